"""Python environments and releases: made once for each content, and complete or not there at all."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .conversation import Conversation, Failure
from .files import clear, content_hash, joined, locked, receive, sync, text_of, write

_COMPLETE = "pizzeria-complete"
_LINES = 25
_SOURCE_ONLY = "antlr4-python3-runtime"
"""Nobody has published a wheel of it; pip builds one, with the setuptools that it finds where it finds the rest."""


def release(conversation: Conversation, folder: Path, digest: str) -> None:
    """Have the release with this hash in a folder; it is asked for if it is not there.

    Raises:
        Failure: what came is another one.
    """
    if folder.is_dir():
        return
    work = folder.with_name(f".{folder.name}.partial")
    _fresh(work)
    conversation.say("sending the release")
    receive(conversation, "release", work)
    found = joined(*(content_hash(work / name) for name in ("bundle", "rooms", "plugins")))
    if found != digest:
        clear(work)
        raise Failure(f"the release arrived as {found[:12]}, and {digest[:12]} was sent", "try again")
    os.replace(str(work), str(folder))  # noqa: PTH105
    sync(folder.parent)


def environment(conversation: Conversation, folder: Path, piece: str, digest: str, wheels: bool) -> None:
    """Have the Python environment with this hash in a folder; what it is made from is asked for if it is not there.

    Other deployments may want the same one, so that it has a lock of its own. It is made where it will stay, as the
    programs in it know their folder, and the file that says that it is complete is written last.

    Raises:
        Failure: this Python is too old or cannot make environments, or pip fails.
    """
    if (folder / _COMPLETE).exists():
        return
    with locked(
        folder.with_name(f".{folder.name}.lock"),
        conversation,
        lambda: conversation.say("waiting for another deployment, which makes the environment"),
    ):
        if (folder / _COMPLETE).exists():
            return
        _check_python()
        clear(folder)
        sent = folder.with_name(f".{folder.name}.partial")
        _fresh(sent)
        receive(conversation, piece, sent)
        wheel = next(iter(sent.glob("pizzeria-*.whl")))
        conversation.say(f"making the environment {folder}; this takes a minute")
        begun = time.monotonic()
        _run(conversation, sys.executable, "-m", "venv", str(folder))
        python = str(folder / "bin" / "python")
        pip = (python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet")
        index = ("--no-index", "--find-links", str(sent / "wheels")) if wheels else ()
        kinds = ("--only-binary", ":all:", "--no-binary", _SOURCE_ONLY)
        _run(conversation, *pip, *index, *kinds, "--require-hashes", "-r", str(sent / "requirements.txt"))
        _run(conversation, *pip, "--no-index", "--no-deps", str(wheel))
        write(folder / _COMPLETE, digest + "\n")
        clear(sent)
        conversation.say(f"the environment is there after {time.monotonic() - begun:.0f} s")


def prune(folder: Path, used: set[str], keep: int, spared_s: float = -math.inf) -> None:
    """Remove all children of a folder but those that are used, those that were changed in the last so many seconds, and
    the newest few others. Another deployment may be at work there, and remove some of them, too."""
    others = []
    for one in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            changed = one.stat().st_mtime
            if one.is_dir() and one.name not in used and time.time() - changed >= spared_s:
                others.append((changed, one))
    others.sort(reverse=True)
    for _, one in others[max(0, keep - len(used)) :]:
        with contextlib.suppress(FileNotFoundError):
            clear(one)


def _fresh(work: Path) -> None:
    """What an interrupted upload left is of no use."""
    work.parent.mkdir(parents=True, exist_ok=True)
    clear(work)
    clear(work.with_name(work.name + ".tar"))


def _check_python() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        version = ".".join(map(str, sys.version_info[:3]))
        raise Failure(
            f"{sys.executable} on the machine is Python {version}, and the service needs 3.11 or 3.12",
            "install one there, and give its path: deployment.python=/usr/bin/python3.11",
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Failure(
            f"{sys.executable} on the machine cannot make environments", "install the package python3-venv there"
        ) from None


def _run(conversation: Conversation, *argv: str) -> None:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                conversation.check()
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            output.seek(0)
            tail = "\n".join(output.read().decode("utf-8", "replace").splitlines()[-_LINES:])
            raise Failure(
                f"`{' '.join(argv[1:5])} ...` failed on the machine ({process.returncode}):\n{tail}",
                "a machine without a package index takes wheels from a folder: deployment.wheels=./wheels",
            )


def complete(folder: Path) -> bool:
    """Whether an environment is there in full."""
    return text_of(folder / _COMPLETE) is not None


def used_by(deployments: Path) -> set[str]:
    """Names of the environments that any deployment of this machine may start again."""
    used: set[str] = set()
    for path in deployments.glob("*/state.json"):
        state: dict[str, Any] = json.loads(text_of(path) or "{}")
        used.update(str(slot.get("environment", ""))[:16] for slot in state.get("slots", {}).values())
        used.update(state.get("tools", []))
    return used
