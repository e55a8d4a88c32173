"""A challenger that passed and waits for a human: `maintenance.approval`, and `pizzeria approve`."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Any

from pizzeria.clock import utcnow
from pizzeria.contracts import Progress
from pizzeria.deployments import champion, restore, turn
from pizzeria.errors import NotFoundError
from pizzeria.loading import load_resolved
from pizzeria.maintenance.begun import Begun, as_text, clear, save
from pizzeria.maintenance.challenge import promote
from pizzeria.maintenance.decided import Decision, at_of, decided, interval, plainly, record
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec


@dataclass(frozen=True)
class Pending:
    """A challenger that waits.

    Attributes:
        entry: The row `decided` that says so, with all evidence.
        run, sha256: Its own.
        stale: Why it cannot be approved any more; empty while it can.
    """

    entry: Entry
    run: str
    sha256: str
    stale: str

    @property
    def why(self) -> str:
        """What it showed, in words."""
        return str(self.entry.detail["why"])

    @property
    def evidence(self) -> dict[str, Any]:
        """What it showed: `frozen`, `window`, `version` ..."""
        found: dict[str, Any] = self.entry.detail["evidence"]
        return found


def pending(name: str, store: Store) -> Pending | None:
    """The challenger that waits for approval, the newest where several did; None when there is none."""
    ledger = Ledger(store.root)
    rows = decided(name, store, "awaiting approval")[-1:]
    if not rows:
        return None
    [row] = rows
    evidence = row.detail["evidence"]
    sha256, run = str(evidence["sha256"]), str(evidence["challenger_run"])
    for later in ledger.entries(name, ("declined", "decided")):
        ended = later.event == "declined" or later.detail["action"] in ("promoted", "refused")
        if later.id > row.id and ended and later.detail.get("evidence", later.detail).get("sha256") == sha256:
            return None
    return Pending(row, run, sha256, _stale(row, sha256, name, store))


def _stale(row: Entry, sha256: str, name: str, store: Store) -> str:
    live = Ledger(store.root).champion(name)
    if live is None:
        return f"nothing named {name!r} is deployed any more"
    if live.sha256 == sha256:
        return "it is live already"
    if live.sha256 != row.sha256:
        return f"it was compared with {row.sha256[:12]}, and {live.sha256[:12]} is live since {live.at}"
    _, _, spec = champion(name, store)
    too_old = at_of(row) + interval(spec.maintenance.approve_within)
    if utcnow() > too_old:
        return (
            f"it waits since {plainly(at_of(row))}, and maintenance.approve_within is {spec.maintenance.approve_within}"
        )
    return ""


def approve(
    name: str,
    store: Store,
    progress: Progress,
    *,
    who: str = "",
    reason: str = "",
    sha256: str | None = None,
) -> Decision:
    """Let the challenger that waits take over at once, with the target's roll-out.

    Args:
        who: Who said so; the user of this process by default.
        sha256: Of the challenger that was meant: refused when another one waits by now.

    Raises:
        NotFoundError: none waits, or it is not the one that was meant, or it is stale.
        DeploymentError: it did not come up; the champion stays, and it may be approved again.
    """
    with turn(name, f"approve {name}", store, progress, of="maintain"):
        restore(name, f"approve {name}", store, progress)
        found = _waiting(name, store, sha256)
        entry, _, _ = champion(name, store)
        spec = _spec(found, entry, store)
        detail = {"who": who or user(), "reason": reason, "sha256": found.sha256, "decided": found.entry.id}
        Ledger(store.root).add("approved", name, run=found.run, sha256=found.sha256, detail=detail)
        evidence = found.evidence | {"approved_by": detail["who"], "reason": reason}
        begun = Begun(
            f"{found.entry.id}-approved-{utcnow().isoformat()}", "promoting", entry.sha256, found.why, evidence,
            as_text(spec), "", found.run, found.sha256, entry.run,
        )  # fmt: skip
        save(begun, name, store)
        try:
            decision = promote(begun, spec, store, progress)
        except Exception:
            clear(name, store)
            raise
        record(decision, spec, store, run=entry.run, sha256=entry.sha256, challenge=begun.id)
        clear(name, store)
        return decision


def decline(
    name: str,
    store: Store,
    progress: Progress,
    *,
    who: str = "",
    reason: str = "",
    sha256: str | None = None,
) -> Pending:
    """Say no to the challenger that waits; the champion stays. Arguments and errors as of `approve`."""
    with turn(name, f"approve {name} --decline", store, progress, of="maintain"):
        found = _waiting(name, store, sha256, stale=True)
        detail = {"who": who or user(), "reason": reason, "sha256": found.sha256, "decided": found.entry.id}
        Ledger(store.root).add("declined", name, run=found.run, sha256=found.sha256, detail=detail)
        return found


def user() -> str:
    """The name of the user of this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _waiting(name: str, store: Store, sha256: str | None, *, stale: bool = False) -> Pending:
    found = pending(name, store)
    if found is None:
        raise NotFoundError(
            f"no challenger of {name} waits for approval", hint="`pizzeria history` shows what happened"
        )
    if sha256 is not None and not found.sha256.startswith(sha256):
        raise NotFoundError(
            f"{sha256[:12]} does not wait: {found.sha256[:12]} does, which is newer",
            hint=f"look at it: pizzeria approve {name}",
        )
    if found.stale and not stale:
        raise NotFoundError(
            f"{found.sha256[:12]} cannot be approved any more: {found.stale}",
            hint=f"`pizzeria maintain {name}` trains a new one when there is a reason to",
        )
    return found


def _spec(found: Pending, live: Entry, store: Store) -> Spec:
    """As it was trained, with the target and the log of what is live now."""
    instead = live.detail if "deployment" in live.detail else None
    return load_resolved(store.run(found.run).folder / "spec.yaml", instead=instead)
