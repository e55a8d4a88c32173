"""What a sweep leaves on disk, beside the runs of its members.

    runs/.sweeps/<name>-<digest of what was typed>/
      sweep.json             what was typed, the metric, how many members
      members/<number>.json  one member that came to an end, whichever
      best.yaml, compare.html

The same command is the same sweep, so that one that was killed goes on where it stood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pizzeria import atomic
from pizzeria.errors import DataError, NotFoundError, nearest

State = Literal["done", "missed", "failed"]
"""`missed`: trained and measured, but short of a success criterion."""


@dataclass(frozen=True)
class Member:
    """One member, as far as it came.

    Attributes:
        settings: What it has that others of the sweep may not: key to value, as typed.
        spec: As resolved.
        validation: Metrics on the validation split, which members are compared by; empty when it did not get so far.
        test: Metrics on the test split, for information.
        intervals: (low, high) of them, where evaluation gives some.
        seconds: Of each of its stages that stands, whoever ran it.
        training: What the trainer says of itself.
        packaging: What packaging says: size, milliseconds of an answer.
        message, hint: Why it is not `done`.
    """

    number: int
    settings: Mapping[str, Any]
    spec: Mapping[str, Any]
    run: str = ""
    state: State = "done"
    validation: Mapping[str, float | None] = field(default_factory=dict)
    test: Mapping[str, float | None] = field(default_factory=dict)
    intervals: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    packaging: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk.

    Attributes:
        typed: The command's arguments.
        metric: What members are compared by, on the validation split.
        members: How many there are to be.
    """

    folder: Path
    typed: Sequence[str]
    until: str
    metric: str
    better: Literal["higher", "lower"]
    members: int
    started: str

    @property
    def id(self) -> str:
        return self.folder.name

    def begin(self) -> None:
        """Write it down, so that it can be found from now on."""
        (self.folder / "members").mkdir(parents=True, exist_ok=True)
        plain = asdict(self)
        del plain["folder"]
        atomic.write_json(self.folder / "sweep.json", plain)

    def keep(self, member: Member) -> None:
        """Write a member's record, new or in place of an earlier try's."""
        atomic.write_json(self.folder / "members" / f"{member.number:04d}.json", asdict(member))

    def ended(self) -> list[Member]:
        """Members that came to an end, in their order."""
        return [Member(**_read(path)) for path in sorted((self.folder / "members").glob("[0-9]*.json"))]


def sweeps_in(root: Path) -> list[Sweep]:
    """All sweeps of a store, the newest last."""
    found = [_open(path.parent) for path in (root / ".sweeps").glob("*/sweep.json")]
    return sorted(found, key=lambda sweep: (sweep.started, sweep.id))


def find_sweep(root: Path, name: str | None) -> Sweep:
    """The sweep of this id, or the newest of this spec's name, or the newest of all.

    Raises:
        NotFoundError: there is none.
    """
    every = sweeps_in(root)
    for sweep in reversed(every):
        if name is None or name in (sweep.id, sweep.id.rpartition("-")[0]):
            return sweep
    if name is None:
        raise NotFoundError(f"there is no sweep in {root}", hint="pizzeria run -m SPEC KEY=A,B makes one")
    raise NotFoundError(f"there is no sweep {name!r} in {root}", hint=nearest(name, [sweep.id for sweep in every]))


def _open(folder: Path) -> Sweep:
    return Sweep(folder=folder, **_read(folder / "sweep.json"))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}", hint="remove it; the sweep makes it anew") from error
    assert isinstance(found, dict)
    return found
