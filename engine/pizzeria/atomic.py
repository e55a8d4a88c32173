"""Writes that are old or new, never half: a temporary name beside the target, fsync, rename, fsync of the folder.

What was killed in between leaves the temporary name (`.<name>.<chance>.tmp`) and the old content.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from pizzeria.exchange import exchanged
from pizzeria.holding import held


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    with replacing(path) as stream:
        stream.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A stream to write to; when the block ends well, what was written takes the place of `path` in one step.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    temporary = _beside(path)
    try:
        with open(temporary, "xb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # until it has its name, so that `pizzeria gc` leaves it alone
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            rename(temporary, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what is told
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A new folder to fill; when the block ends well, it becomes `folder` in one step.

    Raises:
        OSError: it could not be written, or `folder` holds something already, which stands.
    """
    temporary = _beside(folder)
    try:
        temporary.mkdir()
        with held(temporary):
            yield temporary
            sync_all(temporary)
            rename(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def copy_file(source: Path, target: Path) -> None:
    """Replace `target` by a copy of the content of `source` in one step.

    Raises:
        OSError: it could not be read or written; the old content stands.
    """
    with open(source, "rb") as content, replacing(target) as stream:
        shutil.copyfileobj(content, stream, 1 << 20)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by the JSON of `value`; NaN and infinity, which JSON lacks, become null."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes: the same value gives the same bytes."""
    return json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def finite(value: Any) -> Any:
    """The value with every NaN or infinity replaced by None, and tuples by lists.

    Example:
        >>> finite({"f1": float("nan"), "n": (1, 2.5)})
        {'f1': None, 'n': [1, 2.5]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        return finite(value.item())  # a numpy scalar
    return value


def append(stream: IO[bytes], lines: bytes) -> None:
    """Add lines to the end of a file, all of them or none; one that a kill cut off there is ended first.

    Args:
        stream: Opened with `a+b` and without a buffer, and locked, so that nobody else adds to it meanwhile.

    Raises:
        OSError: they could not be written; what a full disk took of them is taken back.
    """
    before = stream.seek(0, os.SEEK_END)
    cut_off = before > 0 and os.pread(stream.fileno(), 1, before - 1) != b"\n"
    try:
        left = memoryview(b"\n" + lines if cut_off else lines)
        while left:  # a disk that is nearly full takes a part, and says so only when it is asked again
            left = left[stream.write(left) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(stream.fileno(), before)
        raise


def rename(source: Path, target: Path) -> None:
    """Rename within one folder, and make the rename durable."""
    os.replace(source, target)  # noqa: PTH105 - Path.replace is the same call with less said
    sync(target.parent)


def replace_folder(source: Path, target: Path) -> None:
    """Let a folder, whose files are durable, take the place of another one beside it, which is removed.

    One step where kernel and file system can exchange two names (Linux; not every file system of a network). Elsewhere
    a kill between two renames leaves neither under its name.

    Raises:
        OSError: it could not; the old one stands.
    """
    if not target.is_dir():
        rename(source, target)
        return
    aside = _beside(target)  # from here on nobody takes `source` up, which its own name would invite to
    os.replace(source, aside)  # noqa: PTH105
    try:
        if not exchanged(aside, target):
            parked = _beside(target)
            os.replace(target, parked)  # noqa: PTH105
            os.replace(aside, target)  # noqa: PTH105
            aside = parked
    except OSError:
        with suppress(OSError):
            os.replace(aside, source)  # noqa: PTH105
        raise
    sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def replace_link(path: Path, target: str) -> None:
    """Let `path` be a symbolic link to `target`, in one step.

    Raises:
        OSError: it could not be made; what was there stands.
    """
    temporary = _beside(path)
    try:
        temporary.symlink_to(target)
        rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def make_folder(path: Path) -> Path:
    """Make a folder, and those above it that are not there, so that they outlast the loss of power."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)
    return path


def sync(path: Path) -> None:
    """Make the content of a file, or the renames and removals in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    """Make a folder durable with all files and folders in it; what links point at is left alone."""
    for at, _, names in os.walk(folder, onerror=_raise):
        for path in (Path(at, name) for name in names):
            if path.is_file() and not path.is_symlink():
                sync(path)
        sync(Path(at))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _raise(error: OSError) -> NoReturn:
    raise error
