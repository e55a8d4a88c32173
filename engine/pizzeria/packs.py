"""Arrays of one shape in packs: files of some hundred arrays each, found by key and read through the memory map.

A pack is complete when it is there: it is written under another name, and renamed. It holds the arrays one behind the
other, then what is known of each as JSON, then its own lengths and checksums, so that one which was cut off or damaged
is noticed. Packs are never changed, so that one file may lie in several folders (hard links).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria import atomic
from pizzeria.errors import DataError

SUFFIX = ".pack"
_MAGIC = b"PZPACK01"
_END = struct.Struct("<QI8s")
"""Bytes of the JSON, its CRC-32, and what every pack ends with."""
_OPEN = 256
"""Packs that one reader keeps mapped; each takes a file handle."""
_STEP = 1 << 22


@dataclass(frozen=True)
class Pack:
    """One pack.

    Attributes:
        keys: [N] of the arrays.
        facts: [N] what is known of each array, as JSON can hold it.
        shape: Of one array.
        sha256: Of all arrays' bytes.
    """

    path: Path
    keys: tuple[str, ...]
    facts: tuple[Mapping[str, Any], ...]
    shape: tuple[int, ...]
    dtype: str
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return len(self.keys) * int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def arrays(self) -> NDArray[Any]:
        """[N, *shape], memory-mapped and read-only."""
        mapped = np.memmap(self.path, np.dtype(self.dtype), "r", shape=(len(self.keys), *self.shape))
        return mapped.view(np.ndarray)  # as such it is sliced several times as fast

    def intact(self) -> bool:
        """Whether the arrays are those that were written; reads them all."""
        found, left = hashlib.sha256(), self.size
        with open(self.path, "rb") as stream:
            while left and (part := stream.read(min(left, _STEP))):
                found.update(part)
                left -= len(part)
        return not left and found.hexdigest() == self.sha256


def write_pack(folder: Path, keys: Sequence[str], arrays: NDArray[Any], facts: Sequence[Mapping[str, Any]]) -> Pack:
    """Write one pack into `folder`, in one step; it is named by its keys, so the same ones make the same file.

    Args:
        keys: N, each once.
        arrays: [N, ...].
        facts: N.

    Raises:
        OSError: it could not be written; nothing is left of it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pack = write_pack(Path(folder), ["a", "b"], np.eye(2, dtype=np.float32), [{}, {"n": 1}])
        ...     open_pack(pack.path).facts[1], pack.arrays()[1].tolist(), pack.intact()
        ({'n': 1}, [0.0, 1.0], True)
    """
    arrays = np.ascontiguousarray(arrays)
    content = arrays.reshape(-1).view(np.uint8)
    head = {
        "keys": list(keys),
        "facts": list(facts),
        "shape": list(arrays.shape[1:]),
        "dtype": arrays.dtype.str,
        "sha256": hashlib.sha256(content.data).hexdigest(),
    }
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    path = folder / f"{hashlib.sha256(chr(10).join(keys).encode()).hexdigest()[:24]}{SUFFIX}"
    with atomic.replacing(path) as stream:
        stream.write(content.data)
        stream.write(text)
        stream.write(_END.pack(len(text), zlib.crc32(text), _MAGIC))
    return _pack(path, head)


def open_pack(path: Path) -> Pack:
    """Read what a pack says of itself, and hold its size against that; the arrays are not read.

    Raises:
        DataError: it is damaged or cut off, or no pack.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            stream.seek(max(0, size - _END.size))
            length, checksum, magic = _END.unpack(stream.read(_END.size))
            if magic != _MAGIC or length > size:
                raise ValueError("it does not end as a pack does")
            stream.seek(size - _END.size - length)
            text = stream.read(length)
        if zlib.crc32(text) != checksum:
            raise ValueError("its checksum is another")
        pack = _pack(path, json.loads(text))
        if pack.size + length + _END.size != size:
            raise ValueError(f"it has {size} bytes")
    except (ValueError, OSError, struct.error) as error:
        raise DataError(
            f"{path} is damaged or cut off: {error}", hint="delete the folder that it lies in, and run again"
        ) from error
    return pack


def link_pack(pack: Pack, folder: Path) -> Path:
    """Put a pack into another folder as well: the same file where the file system can, else a copy."""
    target = folder / pack.path.name
    try:
        os.link(pack.path, target)
    except FileExistsError:
        return target
    except OSError:  # another file system, or one without hard links
        atomic.copy_file(pack.path, target)
    return target


class PackedArrays:
    """The arrays of some packs in an order of their own, as if they were one array [N, *shape]; nothing is copied.

    It may go to another process: what is mapped stays behind.

    Args:
        folder: Of the packs.
        names: [N] name of the pack that each row lies in.
        slots: [N] and its place there.

    Raises:
        DataError: a pack is missing or damaged.
    """

    def __init__(self, folder: Path, names: Sequence[str], slots: Sequence[int]) -> None:
        found = dict.fromkeys(names)
        self._packs = [open_pack(folder / name) for name in found]
        number = {name: i for i, name in enumerate(found)}
        self._pack_of = np.array([number[name] for name in names], np.int32)
        self._slot_of = np.asarray(slots, np.int32)
        self._mapped: OrderedDict[int, NDArray[Any]] = OrderedDict()

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *(self._packs[0].shape if self._packs else ()))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._packs[0].dtype if self._packs else np.uint8)

    def __len__(self) -> int:
        return len(self._slot_of)

    def __getitem__(self, row: Any) -> NDArray[Any]:
        """One array for a number; for several numbers (or a slice, or a mask) a copy of theirs."""
        if isinstance(row, int | np.integer):
            return self._one(int(row))
        rows = np.arange(len(self))[row]
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, one in enumerate(rows.tolist()):
            out[place] = self._one(one)
        return out

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": OrderedDict()}

    def _one(self, row: int) -> NDArray[Any]:
        number = int(self._pack_of[row])
        arrays = self._mapped.get(number)
        if arrays is None:
            arrays = self._mapped[number] = self._packs[number].arrays()
            if len(self._mapped) > _OPEN:
                self._mapped.popitem(last=False)
        found: NDArray[Any] = arrays[self._slot_of[row]]
        return found


def _pack(path: Path, head: Mapping[str, Any]) -> Pack:
    return Pack(
        path, tuple(head["keys"]), tuple(head["facts"]), tuple(head["shape"]), str(head["dtype"]), str(head["sha256"])
    )
