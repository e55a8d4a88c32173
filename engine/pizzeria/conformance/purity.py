"""Sees what a function touches: files, sockets, other processes."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pizzeria

_FOREIGN = (
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"),
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.kill"),
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown"),
    *("os.truncate", "os.utime", "shutil.rmtree", "shutil.copyfile", "shutil.move", "tempfile.mkstemp"),
    *("tempfile.mkdtemp", "os.putenv", "os.unsetenv", "urllib.Request", "http.client.connect"),
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_seen: list[str] | None = None
_thread = 0
_allowed: tuple[str, ...] = ()
_installed = False


def touches(work: Callable[[], Any], allowed: Sequence[Path]) -> tuple[Any, list[str]]:
    """Call a function; returns what it returned, and what it touched beyond installed code and the `allowed` folders.

    Example:
        >>> touches(lambda: 7, [])
        (7, [])
        >>> touches(lambda: open("/etc/hostname").close(), [])[1]
        ['reads /etc/hostname']
    """
    global _seen, _thread, _allowed, _installed
    if not _installed:  # a hook stays for good; it is idle outside this function
        sys.addaudithook(_hook)
        _installed = True
    code = [Path(path) for path in sysconfig.get_paths().values()]
    code += [Path(path) for path in sys.path if path and Path(path) != Path.cwd()]
    code += [Path(path).parent for path in pizzeria.__path__]
    roots: list[str | Path] = [
        sys.prefix,
        sys.base_prefix,
        "/proc/self",
        "/dev",
        "/usr/share/zoneinfo",
        *code,
        *allowed,
    ]
    temporary = Path(tempfile.gettempdir()).resolve()
    _allowed = tuple({str(path) for path in (Path(root).resolve() for root in roots) if path != temporary})
    _thread = threading.get_ident()
    seen: list[str] = []
    _seen = seen
    try:
        found = work()
    finally:
        _seen = None
    return found, list(dict.fromkeys(seen))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None or threading.get_ident() != _thread:
        return
    if event in _FOREIGN:
        _seen.append(f"{event} {', '.join(repr(one)[:80] for one in arguments)}")
    elif event == "open" and isinstance(arguments[0], str | bytes):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if isinstance(arguments[2], int) and arguments[2] & _WRITES:
            _seen.append(f"writes {path}")
        elif not any(path == root or path.startswith(root.rstrip("/") + "/") for root in _allowed):
            _seen.append(f"reads {path}")
