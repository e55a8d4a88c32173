"""What a target would do, for people to read, review and copy; and the same as files in a folder."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pizzeria import atomic, registry
from pizzeria.contracts import Progress, Rendered
from pizzeria.deployments.release import Packed, release_of
from pizzeria.deployments.signatures import require_signed
from pizzeria.errors import DeploymentError
from pizzeria.runs.store import Store

COMMANDS = "COMMANDS"
"""Name of the file that says which commands a deployment runs, and with what environment."""

_OURS = ".pizzeria-deployment.json"


def rendered_of(found: Packed, store: Store) -> Rendered:
    """What the target of a spec would do with a bundle; nothing is touched.

    Raises:
        DeploymentError: the bundle cannot be deployed there.
    """
    target = registry.load("targets", found.spec.deployment.use)
    release = release_of(found.spec, found.bundle, found.sha256, store, found.run)
    rendered: Rendered = target.render(release, found.spec.deployment.options)
    return rendered


def as_text(rendered: Rendered) -> str:
    """All files, the environment and the commands. The last two can be pasted into a shell.

    Example:
        >>> print(as_text(Rendered({"a.ini": "[a]\\n"}, [["echo", "it's"]], {"NAME": "two words"})))
        ==> a.ini <==
        [a]
        <BLANKLINE>
        ==> environment and commands <==
        export NAME='two words'
        echo 'it'"'"'s'
        <BLANKLINE>
    """
    parts = [f"==> {name} <==\n{_ended(text)}\n" for name, text in sorted(rendered.files.items())]
    return "".join([*parts, "==> environment and commands <==\n", commands_text(rendered)])


def commands_text(rendered: Rendered) -> str:
    """The environment and the commands, as lines for a shell."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(rendered.environment.items())]
    lines += [shlex.join(command) for command in rendered.commands]
    return "".join(f"{line}\n" for line in lines or ["# no command"])


def write_out(found: Packed, store: Store, folder: Path, progress: Progress) -> list[Path]:
    """Write the rendered files and `COMMANDS` into a folder, then what else the target builds.

    The folder must be new, empty, or written by an earlier call, whose files are replaced.

    Returns:
        All files that lie there now.

    Raises:
        SignatureError: the bundle is not signed as it must be to go live.
        DeploymentError: the folder holds something else, or a file of the target would lie outside of it.
    """
    rendered = rendered_of(found, store)
    release = release_of(found.spec, found.bundle, found.sha256, store, found.run)
    require_signed(release, store)
    files = {**rendered.files, COMMANDS: commands_text(rendered)}
    for name in files:
        _check_name(name, found.spec.deployment.use)
    before = _files_before(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in before:
        (folder / name).unlink(missing_ok=True)
    # First what is ours, so that a call that is cut off can be made again.
    atomic.write_json(folder / _OURS, {"name": found.spec.name, "sha256": found.sha256, "files": sorted(files)})
    for name, text in files.items():
        path = _inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, text.encode())
    target = registry.load("targets", found.spec.deployment.use)
    if hasattr(target, "build"):
        target.build(release, found.spec.deployment.options, folder, progress)
    there = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _OURS)
    written = sorted(path.relative_to(folder).as_posix() for path in there)
    atomic.write_json(folder / _OURS, {"name": found.spec.name, "sha256": found.sha256, "files": written})
    return there


def _check_name(name: str, use: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or "\\" in name or "\0" in name or {"..", "."} & set(name.split("/")):
        raise DeploymentError(
            f"the target {use} renders a file {name!r}, which does not lie below the folder",
            hint="its names must be relative, without `..`; this is a fault of the target plugin",
        )


def _inside(folder: Path, name: str) -> Path:
    """The path of a file, whose folders lead nowhere else by a link."""
    path = folder / name
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise DeploymentError(f"{path.parent} is a link out of {folder}", hint="give an empty folder")
    return path


def _files_before(folder: Path) -> Iterator[str]:
    if not folder.exists() or (folder.is_dir() and not os.listdir(folder)):  # noqa: PTH208 (one look, no list of paths)
        return iter(())
    try:
        ours: Mapping[str, list[str]] = json.loads((folder / _OURS).read_text())
        names = [str(name) for name in ours["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise DeploymentError(
            f"{folder} holds something that no `pizzeria deploy --out` wrote", hint="give an empty or a new folder"
        ) from None
    for name in names:
        _check_name(name, "in it")
        _inside(folder, name)
    return iter(names)


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else f"{text}\n"
