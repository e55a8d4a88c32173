"""How a run has ended: what it left, what of that must be equal each time, and what must not be there any more."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.torture.leaks import living

TIMED = frozenset({"result.json", "curves.csv", "parity.json", "state.json", "data_docs"})
"""Files and folders of stages that say how long something took, or when it was."""
_TEMPORARY = (".tmp", ".partial", ".old")
_SETTLES_S, _STEADY_S = 20.0, 2.0


def outcome(store: Path, name: str) -> dict[str, str]:
    """What the run of a spec, of which there is one in the store, has left: sha256 of each file of each stage without
    times in it, and of the bundle, as the stage and (where it is deployed) the ledger have it.

    Args:
        name: Of the spec.
    """
    opened = Store(store)
    found: dict[str, str] = {}
    for link in sorted(store.glob(f"{name}-*/stages/*")):
        result = opened.load(link.resolve().name)
        if result is None:
            continue
        found[f"{link.name}: complete"] = "yes"
        if "sha256" in result.facts:
            found[f"{link.name}: bundle"] = str(result.facts["sha256"])
        for path in sorted(result.folder.rglob("*")):
            if path.is_file() and not TIMED & set(path.relative_to(result.folder).parts):
                with open(path, "rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                found[f"{link.name}: {path.relative_to(result.folder)}"] = digest
    champion = Ledger(store).champion(name)
    if champion is not None:
        found["ledger: champion"] = champion.sha256
    return found


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Names of what is not equal; empty when all is.

    Example:
        >>> differences({"train: model.safetensors": "ab"}, {"train: model.safetensors": "cd"})
        'another train: model.safetensors'
    """
    names = sorted(expected.keys() | found.keys())
    return ", ".join(
        f"another {name}" if name in expected and name in found else f"{'no' if name in expected else 'a new'} {name}"
        for name in names
        if expected.get(name) != found.get(name)
    )


def left_over(folders: Iterable[Path]) -> list[str]:
    """Temporary files and folders that are still there."""
    found = []
    for folder in folders:
        for at, inner, files in os.walk(folder):
            found += [str(Path(at, name)) for name in (*inner, *files) if name.endswith(_TEMPORARY)]
    return found


def orphans(session: int) -> list[int]:
    """Processes of a session whose first process has died, after some seconds in which they may end by themselves."""
    until = time.monotonic() + _SETTLES_S
    while (found := _of_session(session)) and time.monotonic() < until:
        time.sleep(0.1)
    return found


def serving(store: Path, expected: int | None = None) -> int:
    """How many processes work for a store, after some seconds in which there may be more or fewer.

    Args:
        expected: How many there should be in the end; None: as many as there are for a while.
    """
    until, since = time.monotonic() + _SETTLES_S, time.monotonic()
    number = len(living(store))
    while number != expected and time.monotonic() < until:
        if expected is None and time.monotonic() > since + _STEADY_S:
            break
        time.sleep(0.2)
        before, number = number, len(living(store))
        since = since if number == before else time.monotonic()
    return number


def _of_session(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue  # it has just ended
        if int(its_session) == session and state != "Z":
            found.append(int(path.parent.name))
    return found
