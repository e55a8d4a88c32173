"""Whether what was written is on disk before it gets its name, and the name is on disk before all ends.

A kill leaves what a process has written in the kernel's memory; the loss of power does not. That cannot be tried
without a machine to switch off, so the order of the calls is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pizzeria.torture.writing.faults import SYNCS, WRITES, Call

_RENAMES = ("rename", "renameat", "renameat2")
_MAKES = ("link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat")


def disorder(calls: Sequence[Call], folder: Path) -> list[str]:
    """What the loss of power could take, in words; nothing when all is in order.

    Args:
        calls: Of one operation that went well.
        folder: Only what lies in it counts.

    Example:
        >>> call = lambda name, *paths: Call(name, 1, paths, "well")
        >>> written = call("write", "/f/.a.tmp")
        >>> disorder([written, call("rename", "/f/.a.tmp", "/f/a"), call("fsync", "/f")], Path("/f"))
        ['a gets its name before its content is on disk']
        >>> disorder([written, call("fsync", "/f/.a.tmp"), call("rename", "/f/.a.tmp", "/f/a")], Path("/f"))
        ['the name of a is never on disk']
    """
    found: list[str] = []
    unwritten: set[str] = set()
    """Files whose content is not on disk, and folders that something was made in since they were."""
    named: dict[str, str] = {}
    """New names by their folder, of which the folder was not made durable since."""
    for call in calls:
        if call.ended != "well" or not call.within(folder):
            continue
        path = call.paths[-1]
        if call.name in WRITES:
            unwritten.add(call.paths[0] if call.name not in ("sendfile", "copy_file_range") else _target(call))
        elif call.name in SYNCS:
            unwritten.discard(path)
            named = {name: at for name, at in named.items() if at != path}
        elif call.name in _MAKES:
            unwritten.add(str(Path(path).parent))
            if "link" in call.name:
                named[path] = str(Path(path).parent)
        elif call.name in _RENAMES:
            source, target = call.paths[0], call.paths[-1]
            lost = sorted(one for one in unwritten if one == source or one.startswith(f"{source}/"))
            if lost:
                what = Path(lost[0]).relative_to(source).as_posix()
                within = "its content" if what == "." else f"{what} in it"
                found.append(f"{Path(target).relative_to(folder)} gets its name before {within} is on disk")
            unwritten -= set(lost)
            named.pop(source, None)
            named[target] = str(Path(target).parent)
    found += [f"the name of {Path(name).relative_to(folder)} is never on disk" for name in named if _stays(name)]
    return found


def _target(call: Call) -> str:
    """`sendfile` names the target first, `copy_file_range` last."""
    return call.paths[0] if call.name == "sendfile" else call.paths[-1]


def _stays(name: str) -> bool:
    """What is on its way out is not meant to last."""
    return not any(part.startswith(".") and part.endswith((".tmp", ".partial")) for part in Path(name).parts)
