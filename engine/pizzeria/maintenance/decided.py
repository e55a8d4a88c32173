"""What maintenance decides: each pass makes one row `decided` in the ledger, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pizzeria import atomic
from pizzeria.monitoring.telling import tell_decision
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec

Action = Literal[
    "kept",
    "waiting",
    "lacking",
    "would train",
    "refused",
    "awaiting approval",
    "promoted",
    "rolled back",
    "settled",
    "failed",
]
"""`kept`: nothing to do. `waiting`: for the rate limit, or for a human. `lacking`: labels or data, and the text says
which. `would train`: of a dry run. `refused`: the challenger, or the labels that it would learn from. `settled`: the
probation of the champion is over. `failed`: training or deployment; the champion stays."""

TRIED: tuple[Action, ...] = ("refused", "awaiting approval", "promoted", "rolled back", "failed")
"""After which `maintenance.at_most_every` begins to run."""
TOLD: tuple[Action, ...] = ("lacking", "refused", "awaiting approval", "promoted", "rolled back", "failed")
"""Of which the alert channels hear."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Decision:
    """What was decided, and on what evidence."""

    action: Action
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def interval(text: str) -> timedelta:
    """`30m`, `12h` or `1d` as a time span.

    Example:
        >>> interval("12h")
        datetime.timedelta(seconds=43200)
    """
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def at_of(entry: Entry) -> datetime:
    """When something happened."""
    return datetime.fromisoformat(entry.at)


def plainly(moment: datetime) -> str:
    """A time for people.

    Example:
        >>> plainly(datetime(2026, 5, 1, 12, 30, 5))
        '2026-05-01 12:30 UTC'
    """
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def since(entry: Entry, ledger: Ledger) -> datetime:
    """Since when this bundle is the champion: deploying it again with other settings makes it no younger."""
    found = entry
    for one in reversed(ledger.entries(entry.name, ("promoted", "rolled_back"))):
        if one.id <= entry.id:
            if one.sha256 != entry.sha256:
                break
            found = one
    return at_of(found)


def decided(name: str, store: Store, *actions: Action) -> list[Entry]:
    """Rows of earlier decisions, of some actions or all, oldest first."""
    found = Ledger(store.root).entries(name, "decided")
    return [one for one in found if not actions or one.detail["action"] in actions]


def record(
    decision: Decision,
    spec: Spec,
    store: Store,
    *,
    run: str,
    sha256: str,
    challenge: str = "",
    report: Path | None = None,
) -> None:
    """Enter a decision in the ledger, and tell the channels of what people want to know, when it is new.

    Args:
        run, sha256: The champion that it was decided about.
        challenge: The id of the challenge that it ends: of two rows with the same id the second is never written.
    """
    last = decided(spec.name, store)[-1:]
    detail = {"action": decision.action, "why": decision.why, "evidence": atomic.finite(dict(decision.evidence))}
    if not (challenge and any(one.detail.get("challenge") == challenge for one in decided(spec.name, store))):
        detail |= {"challenge": challenge} if challenge else {}
        Ledger(store.root).add("decided", spec.name, run=run, sha256=sha256, detail=detail)
    again = bool(last) and not challenge and last[0].detail["action"] == decision.action
    if decision.action in TOLD and not again:
        about = str(decision.evidence.get("sha256") or sha256)
        text = f"{spec.name}: {decision.action}: {decision.why}"
        if decision.action == "awaiting approval":
            text += f" `pizzeria approve {spec.name}` lets it take over."
        tell_decision(
            spec, store, text, run=str(decision.evidence.get("challenger_run") or run), sha256=about, report=report
        )
