"""A champion that maintenance promoted is watched for `maintenance.probation`; if it is surely worse, the former comes
back.

`pizzeria.maintenance.watching` says how it does. Each pass looks; while there are many looks, chance alone makes some
of them bad, so the new champion goes at once only when it is surely worse by more than `maintenance.compare` allows. At
the end, one last look, it goes when it is surely worse at all. Where too little was seen by then, the time is extended
once; then the champion stays, and the row says so.
"""

from __future__ import annotations

from typing import Any

from pizzeria.clock import utcnow
from pizzeria.contracts import Progress
from pizzeria.deployments import roll_back
from pizzeria.maintenance.begun import Begun, save
from pizzeria.maintenance.decided import Decision, decided, interval, plainly, since
from pizzeria.maintenance.watching import look_at, run_of
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec


def look(
    entry: Entry, run: Run, spec: Spec, store: Store, progress: Progress, *, dry_run: bool = False
) -> Decision | None:
    """What is to do with a champion on probation; None for one that is not. A worse one is taken back at once.

    Raises:
        DeploymentError: the former did not come up.
    """
    row = promotion(entry, store)
    if row is None or spec.maintenance.probation is None:
        return None
    begin, length = since(entry, Ledger(store.root)), interval(spec.maintenance.probation)
    former = str(row.detail["evidence"]["instead_of"])
    seen = look_at(entry, run, former, row, spec, store, progress, begin, dry_run=dry_run)
    evidence: dict[str, Any] = {"sha256": entry.sha256, "former": former, "since": begin.isoformat()}
    evidence |= {"how": seen.how, **seen.evidence}
    now, end = utcnow(), begin + length
    if seen.worse or (seen.behind and now >= end):
        version = row.detail["evidence"].get("version")
        evidence |= {"version": version} if version else {}
        why = f"on probation since {plainly(begin)}, and surely worse: {seen.text}"
        if dry_run:
            return Decision("rolled back", why, evidence)
        begun = Begun(
            f"{utcnow().isoformat()}-{entry.sha256[:8]}-back", "rolling back", entry.sha256, why, evidence,
            run=run_of(former, entry.name, store), sha256=former, champion_run=run.id,
        )  # fmt: skip
        return go_back(save(begun, entry.name, store), entry.name, store, progress)
    if seen.worse is None and end <= now < end + length:
        return Decision("kept", f"probation is extended to {plainly(end + length)}: {seen.text}", evidence)
    if now >= end:
        settled = "it does no worse than the former" if seen.worse is not None else "too little was seen to judge it"
        return Decision("settled", f"probation is over, {settled}: {seen.text}", evidence)
    return Decision("kept", f"on probation until {plainly(end)}: {seen.text}", evidence)


def go_back(begun: Begun, name: str, store: Store, progress: Progress) -> Decision:
    """Put the former model live again; nothing happens where it is already.

    Raises:
        DeploymentError: it did not come up.
    """
    live = Ledger(store.root).champion(name)
    if live is None or live.sha256 != begun.sha256:
        roll_back(name, store, progress, to=begun.sha256)
    return Decision("rolled back", begun.why, begun.evidence)


def promotion(entry: Entry, store: Store) -> Entry | None:
    """The row by which maintenance promoted this champion, while its probation is not over; None without one."""
    if entry.event != "promoted":
        return None
    for row in reversed(decided(entry.name, store, "promoted", "settled", "rolled back")):
        if row.detail["action"] == "promoted" and row.detail["evidence"].get("sha256") == entry.sha256:
            return row
        if row.sha256 == entry.sha256:
            return None
    return None
