"""Two names of one file system exchanged in one step, so that a folder can take the place of another one."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

_HERE, _EXCHANGE = -100, 2
"""`AT_FDCWD` and `RENAME_EXCHANGE` of Linux."""
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
"""What a kernel or a file system says that does not know how."""


def exchanged(one: Path, other: Path) -> bool:
    """Whether the two names were exchanged; False where that is not known here.

    Raises:
        OSError: it is known, and failed; both are as they were.

    Example:
        >>> import tempfile
        >>> a, b = (Path(tempfile.mkdtemp()) for _ in range(2))
        >>> _ = (a / "new").write_text("")
        >>> exchanged(a, b) and [file.name for file in b.iterdir()]
        ['new']
    """
    call = _renameat2()
    if call is None:
        return False
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))


@cache
def _renameat2() -> Any:
    """The C library's call; None where it has none."""
    found = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return found
