"""Checkpoints that survive any kill, without pickle: a folder of tensors (safetensors) and plain data (JSON).

Lightning's own writer pickles, stages through TMPDIR, and can lose the last good checkpoint when the process is killed
or the disk is full. Here a checkpoint is written beside its final name, fsynced and renamed, and only then are older
ones removed; both files are hashed, and a damaged checkpoint is passed over for the one before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pizzeria.atomic import make_folder, replace_folder, sync
from pizzeria.errors import TrainingError

TENSORS = "tensors.safetensors"
STATE = "state.json"
KEPT = 2
"""The newest, and one to fall back on."""
_MAKE_ROOM = "make room or make the folder writable, then run again: it goes on from the last checkpoint"


class SafeCheckpointIO(CheckpointIO):
    """Lightning's hooks around `write` and `read`; a checkpoint is written while the next steps are under way.

    What is in it is copied first. An error of one is raised when the next is due, or at the training's end, which
    waits for the last.
    """

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(max_workers=1)
        # Its thread begins here: later there may be no memory for one, and its work would be waited for in vain.
        self._writer.submit(int).result()
        self._at_work: Future[None] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        self.wait()
        self._at_work = self._writer.submit(_put, *_snapshot(checkpoint), Path(path))

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        return read(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        shutil.rmtree(path, ignore_errors=True)

    def wait(self) -> None:
        """Until all that was saved is on disk.

        Raises:
            TrainingError: it could not be written.
        """
        at_work, self._at_work = self._at_work, None
        if at_work is not None:
            at_work.result()

    def teardown(self) -> None:
        try:
            self.wait()
        finally:
            self._writer.shutdown()


def write(checkpoint: Mapping[str, Any], folder: Path) -> None:
    """Write a checkpoint, then remove all but the newest `KEPT` of its parent folder.

    Args:
        checkpoint: Nested dicts, lists and tuples of tensors, numbers, strings, booleans and None.
        folder: Its final name, such as `checkpoints/epoch-00003`; names sort by age.

    Raises:
        TrainingError: it cannot be written, or holds something else. Older checkpoints stand untouched.
    """
    _put(*_snapshot(checkpoint), folder)


def _snapshot(checkpoint: Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """The checkpoint as JSON, and copies of its tensors."""
    tensors: dict[str, Tensor] = {}
    return json.dumps(_flatten(dict(checkpoint), tensors, ())), tensors


def _put(text: str, tensors: Mapping[str, Tensor], folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        make_folder(folder.parent)
        for left in folder.parent.glob(".*.tmp"):  # of one who was killed
            shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir()
        blob = save(dict(tensors))
        hashes = {"tensors": _sha256(blob), "state": _sha256(text.encode())}
        _write(temporary / TENSORS, blob)
        _write(temporary / STATE, json.dumps({"sha256": hashes, "state": text}).encode())
        sync(temporary)
        replace_folder(temporary, folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise TrainingError(
            f"the checkpoint {folder} cannot be written: {error.strerror or error}", hint=_MAKE_ROOM
        ) from error
    for old in _all(folder.parent)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def read(folder: Path) -> dict[str, Any]:
    """Read what `write` wrote, with tensors on the CPU in their old memory layout.

    Raises:
        TrainingError: it is not whole.
    """
    try:
        blob = (folder / TENSORS).read_bytes()
        outer = json.loads((folder / STATE).read_bytes())
        text = outer["state"]
        if outer["sha256"] != {"tensors": _sha256(blob), "state": _sha256(text.encode())}:
            raise ValueError("its hashes do not fit")
        found: dict[str, Any] = _restore(json.loads(text), load(blob))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise TrainingError(f"the checkpoint {folder} is damaged: {error}", hint="remove that folder") from error
    return found


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Around what else is written there.

    Raises:
        TrainingError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written to: {error.strerror or error}", hint=_MAKE_ROOM) from error


def newest(folder: Path, say: Callable[[str], object] = lambda _: None) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint below `folder` with its content, or None where there is none.

    Args:
        say: Told of damaged ones that are passed over.
    """
    for candidate in reversed(_all(folder)):
        try:
            return candidate, read(candidate)
        except TrainingError as error:
            say(f"{error.message}; it is passed over")
    return None


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("epoch-*") if path.is_dir()) if folder.is_dir() else []


def _flatten(value: Any, tensors: dict[str, Tensor], path: tuple[str, ...]) -> Any:
    """Plain JSON for `value`; a tensor goes into `tensors`, and what JSON lacks is told by a key that starts with @."""
    if isinstance(value, Tensor):
        name = "/".join(path)
        copy = value.detach().cpu().contiguous()
        tensors[name] = copy.clone() if copy.data_ptr() == value.data_ptr() else copy
        return {"@tensor": name, "stride": list(value.stride())}
    if isinstance(value, Mapping):
        return {"@dict": [[key, _flatten(item, tensors, (*path, str(key)))] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_flatten(item, tensors, (*path, str(i))) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"@tuple": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TrainingError(f"a checkpoint cannot hold {type(value).__name__} at {'.'.join(path)}")


def _restore(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_restore(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "@tensor" in value:
        # The old layout (channels_last, say) keeps the optimizer's fast path, which wants equal strides everywhere.
        flat = tensors[value["@tensor"]]
        return torch.empty_strided(flat.shape, value["stride"], dtype=flat.dtype).copy_(flat)
    if "@tuple" in value:
        return tuple(_restore(item, tensors) for item in value["@tuple"])
    return {key: _restore(item, tensors) for key, item in value["@dict"]}


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
