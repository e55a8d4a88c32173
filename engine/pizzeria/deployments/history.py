"""All deployments of a name: when, what, by which target, how long it took, how it ended and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pizzeria.errors import NotFoundError, nearest
from pizzeria.runs.ledger import CLOSING, Entry, Ledger
from pizzeria.runs.store import Store

_ACTIONS = {"promoted": "deploy", "rolled_back": "rollback", "stopped": "stop"}
_OUTCOMES = {
    "promoted": "live",
    "rolled_back": "live",
    "unchanged": "was live already",
    "stopped": "stopped",
    "failed": "failed",
}


@dataclass(frozen=True)
class Happening:
    """One change of what is live under a name, or a try.

    Attributes:
        outcome: `live`, `was live already`, `stopped`, `failed`, or `open`: at work, or killed and not looked at since.
        why: Why it failed.
        seconds: That it took; None where it was cut off, or is not known.
        champion: Whether it made the present champion.
        steps: Of a roll-out: percent, verdict, why, and what was observed of both bundles.
    """

    id: int
    at: str
    action: str
    sha256: str
    run: str
    target: str
    address: str
    outcome: str
    why: str
    seconds: float | None
    reconciled: bool
    champion: bool
    steps: tuple[dict[str, Any], ...] = field(default=())

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def history(name: str, store: Store) -> list[Happening]:
    """All changes of a name, oldest first.

    Raises:
        NotFoundError: it was never deployed.
    """
    ledger = Ledger(store.root)
    entries = ledger.entries(name, ("deploying", *CLOSING, "canary"))
    changes = [entry for entry in entries if entry.event in ("deploying", *CLOSING)]
    if not changes:
        raise NotFoundError(f"{name!r} was never deployed", hint=nearest(name, ledger.names()))
    champion = ledger.champion(name)
    closed = {entry.detail["intent"]: entry for entry in changes if "intent" in entry.detail}
    steps: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        if entry.event == "canary" and entry.detail.get("phase") == "step":
            shown = ("percent", "verdict", "why", "staged", "present")
            steps.setdefault(entry.detail["intent"], []).append({key: entry.detail.get(key) for key in shown})
    out = []
    for entry in changes:
        if entry.event == "deploying":
            out.append(_happening(entry, closed.get(entry.id), champion, steps.get(entry.id, [])))
        elif "intent" not in entry.detail:  # of a version of Pizzeria that made one entry for each change
            out.append(_happening(entry, entry, champion, []))
    return out


def _happening(intent: Entry, closing: Entry | None, champion: Entry | None, steps: list[dict[str, Any]]) -> Happening:
    detail = {} if closing is None else closing.detail
    seconds = detail.get("seconds")
    if seconds is None and closing is not None and closing.event == "failed" and not detail.get("reconciled"):
        seconds = (datetime.fromisoformat(closing.at) - datetime.fromisoformat(intent.at)).total_seconds()
    return Happening(
        id=intent.id,
        at=intent.at,
        action=str(intent.detail.get("action", _ACTIONS.get(intent.event, intent.event))),
        sha256=intent.sha256,
        run=intent.run,
        target=str(intent.detail.get("target", "")),
        address=str(detail.get("address", "")),
        outcome="open" if closing is None else _OUTCOMES[closing.event],
        why=str(detail.get("why", detail.get("trouble", ""))),
        seconds=seconds,
        reconciled=bool(detail.get("reconciled")),
        champion=closing is not None and champion is not None and closing.id == champion.id,
        steps=tuple(steps),
    )
