"""`pizzeria maintain`: whether a deployed model needs a successor, and if so, whether the successor may replace it.

A pass finishes what an earlier one had begun; else it looks at a champion on probation; else it asks for reasons to
train, then whether it may (not too often), then for data that no challenger has tried; then a challenger is trained and
compared. Each pass is one decision; docs/maintenance/decisions.md draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pizzeria.clock import utcnow
from pizzeria.contracts import Progress
from pizzeria.deployments import champion, restore
from pizzeria.errors import LackError, NotFoundError, PizzeriaError, PoisonError
from pizzeria.graph import plan
from pizzeria.hiding import said
from pizzeria.maintenance import begun as beginning
from pizzeria.maintenance import probation
from pizzeria.maintenance.approval import pending
from pizzeria.maintenance.begun import Begun
from pizzeria.maintenance.challenge import pursue, said_of
from pizzeria.maintenance.decided import (
    TRIED,
    Action,
    Decision,
    at_of,
    decided,
    interval,
    plainly,
    record,
    since,
)
from pizzeria.monitoring.incidents import open_incidents
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec

__all__ = ["Decision", "maintain"]

_MOST_WAITS = 32


def maintain(
    name: str,
    store: Store,
    progress: Progress,
    *,
    dry_run: bool = False,
    on_end: Callable[[Run], object] | None = None,
) -> Decision:
    """Decide for one deployed model, and act on the decision; the caller has the turn `maintain`.

    Raises:
        NotFoundError: nothing of this name is deployed.
        PizzeriaError: training or deployment failed; the champion stays, and the failure is a decision in the ledger.
    """
    if not dry_run:
        restore(name, f"maintain {name}", store, progress)
    entry, run, spec = champion(name, store)
    work = _Pass(name, store, progress, entry, run, spec, dry_run, on_end)
    unfinished = _unfinished(name, store, entry, progress)
    if dry_run:
        if unfinished is None:
            return work.decide()
        return Decision("would train", f"a challenger was begun and not ended: {unfinished.why}", unfinished.evidence)
    try:
        decision = work.decide() if unfinished is None else work.go_on(unfinished)
    except Exception as error:
        if _told_to_end(error):
            raise KeyboardInterrupt from error  # no failure: the next pass goes on
        text = said_of(error) if isinstance(error, PizzeriaError) else said(error)
        left = beginning.load(name, store)
        evidence = {} if left is None else left.evidence
        _end(Decision("failed", f"{text[:500]}; the champion stays", evidence), work, left)
        raise
    _end(decision, work, beginning.load(name, store))
    return decision


def _told_to_end(error: BaseException) -> bool:
    """Whether it was SIGTERM, which Lightning makes an error of the training."""
    found: BaseException | None = error
    while found is not None:
        if type(found).__name__ == "SIGTERMException":
            return True
        found = found.__cause__ or found.__context__
    return False


def _end(decision: Decision, work: _Pass, begun: Begun | None) -> None:
    """Enter the decision, under the champion of when it began; then nothing is begun any more."""
    run, sha256 = work.run.id, work.entry.sha256
    if begun is not None:
        run, sha256 = begun.champion_run, begun.champion
    challenge = "" if begun is None else begun.id
    report = work.store.root / str(decision.evidence.get("challenger_run", run)) / "report.html"
    shown = report if report.exists() else None
    record(decision, work.spec, work.store, run=run, sha256=sha256, challenge=challenge, report=shown)
    beginning.clear(work.name, work.store)


def _unfinished(name: str, store: Store, entry: Entry, progress: Progress) -> Begun | None:
    """What an earlier pass has begun and not ended, where it still makes sense."""
    found = beginning.load(name, store)
    if found is None:
        return None
    if any(one.detail.get("challenge") == found.id for one in decided(name, store)):
        beginning.clear(name, store)  # it was killed after it was entered
        return None
    if entry.sha256 not in (found.champion, found.sha256):
        progress.say(f"{found.champion[:12]} is live no more: the challenger that was begun against it is dropped")
        beginning.clear(name, store)
        return None
    return found


@dataclass(frozen=True)
class _Data:
    """What a challenger would learn from, or why there is nothing new."""

    spec: Spec | None
    why: str
    parts: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    refused: bool = False


@dataclass(frozen=True)
class _Pass:
    name: str
    store: Store
    progress: Progress
    entry: Entry
    run: Run
    spec: Spec
    dry_run: bool
    on_end: Callable[[Run], object] | None

    def go_on(self, begun: Begun) -> Decision:
        """Finish what was begun."""
        if begun.phase == "rolling back":
            return probation.go_back(begun, self.name, self.store, self.progress)
        self.progress.say(f"going on with the challenger that was begun: {begun.why}")
        spec = beginning.spec_of(begun, self.name, self.store, self.entry)
        return pursue(begun, self.entry, self.run, spec, self.store, self.progress, self.on_end)

    def decide(self) -> Decision:
        """Nothing is begun: what is to do?"""
        watched = probation.look(self.entry, self.run, self.spec, self.store, self.progress, dry_run=self.dry_run)
        decision = watched or self.whether()
        waits = pending(self.name, self.store)
        if waits is not None and not waits.stale and decision.action in ("kept", "waiting", "lacking"):
            text = f"{waits.sha256[:12]} waits for approval since {plainly(at_of(waits.entry))}"
            about = {"sha256": waits.sha256, "challenger_run": waits.run, "decided": waits.entry.id}
            return Decision("waiting", f"{text}: pizzeria approve {self.name}", about)
        return decision

    def whether(self) -> Decision:
        """Whether a challenger is called for; if so, it is trained."""
        reasons, evidence, none = self._reasons()
        if not reasons:
            return Decision("kept", none, evidence)
        why = ", ".join(reasons)
        earliest, because = self._not_before()
        if utcnow() < earliest:
            return Decision("waiting", f"{why}, but not before {plainly(earliest)}: {because}", evidence)
        data = self._data()
        evidence = {**evidence, **data.evidence}
        if data.spec is None:
            return Decision("refused" if data.refused else "lacking", f"{why}, but {data.why}", evidence)
        why = f"{why}, and {data.why}"
        if self.dry_run:
            return Decision("would train", why, evidence)
        at = utcnow()
        begun = Begun(
            f"{at.isoformat()}-{self.entry.sha256[:8]}", "training", self.entry.sha256, why, evidence,
            beginning.as_text(data.spec), data.parts, champion_run=self.run.id,
            meaning_changed=bool(evidence.get("meaning_changed")),
        )  # fmt: skip
        beginning.save(begun, self.name, self.store)
        self.progress.say(f"training a challenger: {why}")
        return pursue(begun, self.entry, self.run, data.spec, self.store, self.progress, self.on_end)

    def _reasons(self) -> tuple[list[str], dict[str, Any], str]:
        """Why a new model is called for, with evidence; or why not."""
        settings, ledger = self.spec.maintenance, Ledger(self.store.root)
        wanted = {*settings.retrain_on, *(["multivariate_drift"] if "drift" in settings.retrain_on else [])}
        found = open_incidents(self.store, self.name, sha256=self.entry.sha256)
        incidents = [one for one in found if one.kind in wanted]
        changed = [one.text for one in found if one.kind == "concept"]
        kinds: list[str] = sorted({"drift" if one.kind == "multivariate_drift" else one.kind for one in incidents})
        passes = [one for one in ledger.entries(self.name, "monitored") if one.sha256 == self.entry.sha256]
        evidence: dict[str, Any] = {
            "incidents": [{"kind": one.kind, "subject": one.subject, "text": one.text} for one in incidents],
            "alerts": [one.text for one in incidents],
        }
        evidence |= {"meaning_changed": changed} if changed else {}
        evidence |= {"monitored": passes[-1].at} if passes else {}
        if settings.retrain_every is not None:
            tried = [at_of(one) for one in decided(self.name, self.store, *TRIED)]
            last = max([since(self.entry, ledger), *tried])
            if utcnow() - last >= interval(settings.retrain_every):
                kinds.append(f"{settings.retrain_every} have passed since {plainly(last)}")
        if kinds:
            return kinds, evidence | {"reasons": kinds}, ""
        if settings.retrain_on and not passes:
            return [], {}, "the model has not been monitored yet; run pizzeria monitor first"
        none = f"no open alert on {' or '.join(settings.retrain_on)}" if settings.retrain_on else "it is not time yet"
        return [], evidence, none

    def _not_before(self) -> tuple[Any, str]:
        """From when on another challenger may be trained, and why."""
        every = self.spec.maintenance.at_most_every
        rows = decided(self.name, self.store, *TRIED, "settled")
        tried = [at_of(one) for one in rows if one.detail["action"] in TRIED]
        last = max([since(self.entry, Ledger(self.store.root)), *tried])
        times, what = _setbacks([one.detail["action"] for one in rows])
        wait: timedelta = interval(every) * min(2 ** max(0, times - 1), _MOST_WAITS)
        because = f"a model is trained at most every {every}"
        if times > 1:
            because += f", and longer after {times} {what} in a row"
        return last + wait, because

    def _data(self) -> _Data:
        """What no challenger has tried yet: newly labelled predictions, or data of the spec's own that have changed."""
        from pizzeria.maintenance.collecting import collect_labelled

        own = _Data(self.spec, "the data have changed") if self._changed() else None
        if self.dry_run and own is None:
            return _Data(self.spec, "newly labelled predictions would be collected, if they are enough")
        if self.dry_run:
            return _Data(self.spec, "the data have changed")
        try:
            version = collect_labelled(self.name, self.spec, self.run, self.store, self.progress)
        except (LackError, NotFoundError) as error:
            evidence = getattr(error, "evidence", {})
            return own or _Data(None, f"{said_of(error)}, and the data have not changed", evidence=evidence)
        except PoisonError as error:
            return _Data(None, said_of(error), evidence=error.evidence, refused=True)
        about = {
            "number": version.number, "labels": version.labels, "known": version.known, "new": version.new,
            "window": version.window, "folder": str(version.folder),
        }  # fmt: skip
        more, before = self._more_than_tried(version.known)
        if before is not None and more < self.spec.maintenance.least_labels:
            tried = f"{more} labels came since the challenger of {plainly(at_of(before))}"
            action = before.detail["action"]
            text = f"{tried}, which was {action}, and {self.spec.maintenance.least_labels} are needed"
            hint = f"`pizzeria labels queue {self.name}` says which predictions to label"
            return own or _Data(None, f"{text} ({hint})", evidence={"version": about})
        what = f"{version.new} new labels are data version {version.number}"
        return _Data(version.spec, what, str(version.parts), {"version": about})

    def _changed(self) -> bool:
        """Whether the spec's own data are others than those of the champion, and no challenger has been tried on them.

        Code that has changed since is no reason: the same data teach the same.
        """
        steps = {step.name: step for step in plan(self.spec, self.store)}
        before = self.store.load(self.run.stage("collect").name)
        if before is not None and before.ingredients["data"] == steps["collect"].ingredients["data"]:
            return False
        return any(step.result is None for name, step in steps.items() if name != "deploy")

    def _more_than_tried(self, known: int) -> tuple[int, Entry | None]:
        """How many labels came since the last challenger that did not stay; what was tried is not tried again."""
        actions: tuple[Action, ...] = ("refused", "awaiting approval", "rolled back")
        for one in reversed(decided(self.name, self.store, *actions)):
            version = one.detail["evidence"].get("version")
            if version:
                return known - int(version["known"]), one
        return known, None


def _setbacks(actions: list[str]) -> tuple[int, str]:
    """How often in a row it went wrong: training failed, or what was promoted was rolled back.

    Example:
        >>> _setbacks(["promoted", "rolled back", "promoted", "rolled back"])
        (2, 'roll-backs')
        >>> _setbacks(["failed", "promoted", "settled"]), _setbacks(["refused", "failed"])
        ((0, ''), (1, 'failures'))
    """
    count, what = 0, ""
    for action in reversed(actions):
        if action in ("failed", "rolled back"):
            count += 1
            what = what or ("failures" if action == "failed" else "roll-backs")
        elif action != "promoted" or not count:
            break
    return count, what
