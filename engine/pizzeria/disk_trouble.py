"""How a disk that is full, read-only or closed to us is told, however deep in a library it was noticed: which disk it
is, and what to do."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pizzeria.cache_folder import VARIABLE, caches
from pizzeria.errors import PizzeriaError, StorageError

_FULL, _QUOTA, _READ_ONLY, _DENIED, _BROKEN = "full", "quota", "read-only", "denied", "broken"
_NUMBERS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _QUOTA,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EIO: _BROKEN,
}
_OF_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_CANTOPEN: _DENIED,
    sqlite3.SQLITE_IOERR: _BROKEN,
}
_SAID = {os.strerror(number).lower(): what for number, what in _NUMBERS.items() if what in (_FULL, _QUOTA, _READ_ONLY)}
_SAID |= {"requested and": _FULL, "unexpected pos": _FULL}  # NumPy and torch, when less was written than was to be
_SAID |= {"no usable temporary directory": _FULL}  # Python's own tempfile, which has tried to write
"""What libraries say of it in a text and nowhere else."""
_QUOTED = re.compile(r"""["'](/[^"'\\\n]+)["'\\]""")
_MB, _LITTLE = 1_000_000, 8_000_000
_AGAIN = "the same command goes on from here"
_MAKE_ROOM = "free some space (`pizzeria gc --caches` removes what nobody needs)"


def trouble_of(error: BaseException) -> StorageError | None:
    """What to tell of an error that came of a disk, or of one that was raised while such a one was seen to; else None.

    An error that Pizzeria raised on purpose has said what it has to say.

    Example:
        >>> trouble = trouble_of(OSError(errno.EROFS, "Read-only file system", "/proc/x"))
        >>> trouble.message
        'the disk at /proc cannot be written to (/proc/x): it is read-only'
        >>> trouble_of(ValueError("a number"))
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, PizzeriaError):
        if (what := _kind(seen)) is not None:
            return _told(what, seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None


def hint_of(text: str) -> str:
    """What to do where a text, such as the end of a service's log, tells of a full disk; empty where it does not.

    Example:
        >>> hint_of("OSError: [Errno 28] No space left on device")
        'free some space (`pizzeria gc --caches` removes what nobody needs); the same command goes on from here'
        >>> hint_of("KeyError: 28")
        ''
    """
    return f"{_MAKE_ROOM}; {_AGAIN}" if _said_in(text) in (_FULL, _QUOTA) else ""


@contextmanager
def disk_trouble_told() -> Iterator[None]:
    """Let what came of a disk leave the block as a `StorageError`; all other errors pass.

    Raises:
        StorageError: a disk is full, read-only or broken, or a file is closed to us.
    """
    try:
        yield
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
        raise trouble from error


def _kind(error: BaseException) -> str | None:
    if isinstance(error, sqlite3.Error):
        return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    number = getattr(error, "errno", None)
    what = _NUMBERS.get(number) if isinstance(error, OSError) and number is not None else None
    if what == _DENIED and not error.filename:  # type: ignore[attr-defined]  # a port or a process, not a file
        return None
    if what is None:
        what = _said_in(str(error))
    return what


def _said_in(text: str) -> str | None:
    return next((what for said, what in _SAID.items() if said in text.lower()), None)


def _told(what: str, error: BaseException) -> StorageError:
    path = _path_in(error)
    names = {_store(): "the store", caches(): "the caches", _temporary(): "temporary files"}
    disk = _mount(path) if path is not None else min((_mount(one) for one in names), key=_free)
    here = [f"{name} in {one}" for one, name in names.items() if _mount(one) == disk]
    named = f" ({path})" if path is not None else ""
    holds = f"; it has {', '.join(here)}" if here else ""
    if isinstance(error, sqlite3.Error) and what in (_BROKEN, _DENIED) and _free(disk) < _LITTLE:
        what = _FULL  # SQLite says so when a file cannot be made, or the one that its processes share cannot grow
    if what == _DENIED:
        return StorageError(
            f"{path or _store()} may not be read or written: {error}",
            hint=f"see to its owner and rights, and to those of its folder; this command runs as user {os.getuid()}",
        )
    if what == _READ_ONLY:
        hint = f"mount it for writing, or put the store elsewhere: pizzeria --store FOLDER ...; then {_AGAIN}"
        return StorageError(f"the disk at {disk} cannot be written to{named}: it is read-only{holds}", hint=hint)
    if what == _BROKEN:
        hint = f"look at the machine's log (dmesg) for what is wrong with it; when it is well, {_AGAIN}"
        return StorageError(f"the disk at {disk} failed to read or write{named}{holds}: {error}", hint=hint)
    none = f"your quota on the disk at {disk} is used up" if what == _QUOTA else f"the disk at {disk} has no room"
    elsewhere = f"put what it has elsewhere (--store, {VARIABLE}, TMPDIR)"
    return StorageError(
        f"{none} for what was to be written{named}: {_free(disk) / _MB:.1f} of {_size(disk) / _MB:.1f} MB are free"
        f"{holds}",
        hint=f"{_MAKE_ROOM}, or {elsewhere}. Nothing that was complete is lost: {_AGAIN}",
    )


def _store() -> Path:
    return Path(os.environ.get("PIZZERIA_STORE") or "runs").absolute()


def _temporary() -> Path:
    return Path(os.environ.get("TMPDIR") or "/tmp").absolute()  # noqa: S108 - looked at; tempfile would write there


def _path_in(error: BaseException) -> Path | None:
    """The file that the error is about, where it says so."""
    name = getattr(error, "filename", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str):
        found = _QUOTED.search(str(error))
        name = found.group(1) if found else None
    return Path(name).absolute() if name else None


def _mount(path: Path) -> Path:
    """The top folder of the disk that a path lies on, or will."""
    while not path.exists() and path != path.parent:
        path = path.parent
    path = path.resolve()
    while not path.is_mount():
        path = path.parent
    return path


def _free(disk: Path) -> int:
    """Bytes that we may still write there; 0 where no further file fits."""
    with suppress(OSError):
        found = os.statvfs(disk)
        return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize
    return 0


def _size(disk: Path) -> int:
    with suppress(OSError):
        found = os.statvfs(disk)
        return found.f_blocks * found.f_frsize
    return 0
