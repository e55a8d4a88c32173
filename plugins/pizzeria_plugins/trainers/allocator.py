"""Lets a training on a CPU keep the memory that it frees, for its next step.

glibc gives each large block back to the system as soon as it is freed. A training frees and takes the same blocks in
every step, and the system hands each of them out page by page, filled with zeros: of a detector's step in float32 that
was 18%, in bfloat16 5%.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_DEFAULTS = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65_536}
"""Numbers and defaults of `mallopt(3)`."""


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory while what is inside runs, and give it back at its end.

    Does nothing where the C library is another one, or where the user has chosen how it allocates (`MALLOC_...`).
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or any(name.startswith("MALLOC_") for name in os.environ):
        yield
        return
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        give_back()


def give_back() -> None:
    """Give freed memory back to the system, and keep none any more."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for parameter, value in _DEFAULTS.items():
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)
