"""sha256 of files, each read once in a process and again when its state on disk (inode, size, times) is another one."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_AT_ONCE = 4
_RACY_NS = 2_000_000_000
_known: dict[tuple[int, ...], str] = {}
"""sha256 by a file's state on disk, of this process."""


def sha256_of_all(paths: Iterable[Path]) -> list[str]:
    """sha256 of each file, in their order.

    Raises:
        OSError: one cannot be read.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # hashing lets other threads run
        return list(pool.map(sha256_of, paths))


def sha256_of(path: Path) -> str:
    """sha256 of a file's content; read once, as long as the file is in the same state.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        stat, looked = os.fstat(stream.fileno()), time.time_ns()  # of what is read, whatever has its name by now
        state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        found = _known.get(state)
        if found is None:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            # A file changed a moment before may change again within the clock's step, so it is not remembered yet.
            if looked - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY_NS:
                _known[state] = found
    return found
