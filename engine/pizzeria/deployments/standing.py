"""How a name stands: what is deployed, which runs and commands are at work on it, and which died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pizzeria.contracts import DeploymentStatus, Progress
from pizzeria.deployments.overview import Deployed, deployed
from pizzeria.deployments.reconciliation import plain_status
from pizzeria.deployments.turn import Holder, Kind, holder
from pizzeria.errors import NotFoundError
from pizzeria.runs.store import Store
from pizzeria.runs.working import Work, settle


@dataclass(frozen=True)
class Standing:
    """A name, and all that is to be said of it now.

    Attributes:
        deployed: None where nothing is.
        runs: At work, or killed and not taken up again.
        commands: At work on what is live, by what for.
    """

    name: str
    deployed: Deployed | None
    runs: tuple[Work, ...]
    commands: Mapping[Kind, Holder]

    @property
    def well(self) -> bool:
        """Whether what is deployed, if anything is, answers as it should."""
        return self.deployed is None or self.deployed.well

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        if self.deployed is None:
            nothing = {"run": "", "deployed": "", "since": "", "target": "", "note": "", "others": []}
            told = {"name": self.name, **plain_status(DeploymentStatus("absent")), **nothing}
        else:
            told = self.deployed.plain()
        commands = [{"command": one.what, "pid": one.pid, "since": one.since} for one in self.commands.values()]
        return told | {"runs": [one.plain() for one in self.runs], "commands": commands}


def standing(store: Store, progress: Progress, name: str | None = None) -> list[Standing]:
    """All names that something is deployed of, or that somebody is at work on, or was when it was killed.

    The ledger is told of runs that died, and of changes that were interrupted.

    Raises:
        NotFoundError: there is nothing to say of that name.
    """
    runs: dict[str, list[Work]] = {}
    for one in settle(store):
        if name in (None, one.name):
            runs.setdefault(one.name, []).append(one)
    try:
        live = {one.name: one for one in deployed(store, progress, name)}
    except NotFoundError:
        if name not in runs:
            raise
        live = {}
    return [
        Standing(one, live.get(one), tuple(runs.get(one, ())), _commands(one, store)) for one in sorted({*live, *runs})
    ]


def _commands(name: str, store: Store) -> dict[Kind, Holder]:
    found = {kind: holder(name, store, of=kind) for kind in get_args(Kind)}
    return {kind: one for kind, one in found.items() if one is not None}
