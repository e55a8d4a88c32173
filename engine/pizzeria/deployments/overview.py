"""What is deployed, and how it is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pizzeria.contracts import DeploymentStatus, Progress
from pizzeria.deployments.places import ask, elsewhere
from pizzeria.deployments.reconciliation import look, plain_status
from pizzeria.errors import NotFoundError, nearest
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store


@dataclass(frozen=True)
class Deployed:
    """A name, and how its service is.

    Attributes:
        entry: That made the champion; what is being deployed for the first time where there is none.
        note: Of a change that was interrupted or is under way.
        others: Services of the name on other targets.
    """

    name: str
    entry: Entry
    status: DeploymentStatus
    note: str
    others: tuple[tuple[Entry, DeploymentStatus], ...]

    @property
    def well(self) -> bool:
        """Whether the champion, and no other bundle, answers."""
        return self.status.state == "live" and self.status.sha256 == self.entry.sha256

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        entry, detail = self.entry, self.entry.detail
        others = [{"target": one.detail["target"], **plain_status(status)} for one, status in self.others]
        deployed = {"run": entry.run, "deployed": entry.sha256, "since": entry.at, "target": detail.get("target", "")}
        return {"name": self.name, **plain_status(self.status), **deployed, "note": self.note, "others": others}


def deployed(store: Store, progress: Progress, name: str | None = None) -> list[Deployed]:
    """All that is deployed, or one name; what was interrupted is told of, and closed where it can be.

    Raises:
        NotFoundError: nothing of that name is deployed.
    """
    out = []
    ledger = Ledger(store.root)
    for one in ledger.names():
        if name not in (None, one):
            continue
        note = look(one, store, progress)
        # Once more: what was under way at the first question may be live at the second.
        entry = ledger.champion(one) or ledger.interrupted(one) or ledger.champion(one)
        if entry is not None:
            out.append(Deployed(one, entry, ask(entry, store), note, tuple(elsewhere(one, store))))
        elif note and name is not None:
            raise NotFoundError(note)
    if name is not None and not out:
        names = [one for one in ledger.names() if ledger.champion(one) is not None]
        raise NotFoundError(f"nothing named {name!r} is deployed", hint=nearest(name, names))
    return out
