"""Files and folders under a temporary name: `.<name>.tmp`, as `pizzeria.atomic` and everybody else here has it."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pizzeria.clearing.leftovers import Leftover, idle_s
from pizzeria.holding import is_held, is_held_within

WHAT = "half-written, of a killed process"
_NAME = re.compile(r"\..+\.(tmp|partial)")
_OURS = re.compile(r"(pizzeria|torture)-.+")
_SETTLED_S = 2.0
"""So long nobody takes between making something and holding it."""
_DAY_S = 86400.0


def temporaries(root: Path, leave: Callable[[Path], bool] = lambda _: False) -> Iterator[Leftover]:
    """What has a temporary name below a folder, and no living process holds, nor a folder that it lies in.

    Args:
        leave: Whether a folder, or something with a temporary name, is left as it is with all that is in it.
    """
    for at, folders, files in os.walk(root):
        found = [name for name in (*folders, *files) if _NAME.fullmatch(name)]
        for path in (Path(at) / name for name in found):
            if not leave(path) and abandoned(path) and not _in_held(path, root):
                yield Leftover.at(path, WHAT)
        into = [name for name in folders if name not in found]
        folders[:] = [name for name in into if not leave(Path(at) / name) and not is_held(Path(at) / name)]


def abandoned(path: Path) -> bool:
    """Whether no living process is at work on something temporary. What was changed just now is looked at again."""
    young = _SETTLED_S - idle_s(path)
    if young > 0:
        time.sleep(min(young, _SETTLED_S))
    return os.path.lexists(path) and not is_held_within(path)


def _in_held(path: Path, root: Path) -> bool:
    """Whether somebody holds a folder that it lies in by now; it may be long since that was looked at on the way."""
    return any(is_held(folder) for folder in path.parents if root in folder.parents)


def in_temporary_folder(older_than_s: float | None) -> Iterator[Leftover]:
    """Folders of ours in the system's temporary folder, where others may not look: those of a day ago, or so old.

    A socket in one that somebody listens on keeps it.
    """
    listening = _sockets()
    for path in Path(tempfile.gettempdir()).iterdir():
        try:
            ours = _OURS.fullmatch(path.name) is not None and path.lstat().st_uid == os.getuid() and path.is_dir()
        except OSError:
            continue
        if not ours or path.is_symlink() or idle_s(path) < max(_DAY_S, older_than_s or 0.0):
            continue
        if not any(one.startswith(f"{path}/") for one in listening) and not is_held_within(path):
            yield Leftover.at(path, "temporary folder, of a killed process")


def _sockets() -> list[str]:
    """Paths of all sockets that are open on this machine."""
    try:
        lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    except OSError:
        return []
    return [line.rpartition(" ")[2] for line in lines]
