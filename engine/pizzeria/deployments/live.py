"""Changes what is live: deploy, promote, roll back, stop. Each is an intent in the ledger, an act, and how it ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pizzeria import registry
from pizzeria.contracts import DeploymentStatus, Progress, Release
from pizzeria.deployments.places import elsewhere, placement, status_of
from pizzeria.deployments.reconciliation import Mode, conclude, concluding_event, settle_interrupted
from pizzeria.deployments.release import Packed, deployed_by, deployment_of, release_of, spec_of, state_folder
from pizzeria.deployments.rollout import can_roll_out, roll_out
from pizzeria.deployments.signatures import require_signed
from pizzeria.deployments.turn import turn
from pizzeria.errors import DeploymentError, NotFoundError, PizzeriaError, Terminated, nearest, said_of_interruption
from pizzeria.hiding import said
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.deployment import Rollout
from pizzeria.spec.spec import Spec

Action = Literal["deploy", "promote", "rollback"]


def put_live(
    spec: Spec,
    run: Run,
    bundle: Path,
    sha256: str,
    store: Store,
    progress: Progress,
    *,
    rollout: Rollout | None = None,
) -> DeploymentStatus:
    """Bring a bundle up on the spec's target, and enter it in the ledger as the champion.

    Args:
        rollout: Take over in these steps, instead of what `spec.deployment.rollout` says. Where nothing of this name is
            live on that target yet, it comes up all at once.

    Raises:
        RolloutError: it did worse than the roll-out allows.
        DeploymentError: it did not come up. The champion is as it was, and the message says how it is.
    """
    wanted = Packed(spec, run, bundle, sha256)
    steps = rollout or spec.deployment.rollout
    action: Action = "deploy" if rollout is None else "promote"
    with turn(spec.name, f"{action} {run.id}", store, progress):
        _settle(spec.name, store, progress, "replace")
        return _bring_live(wanted, action, store, progress, steps)


def champion(name: str, store: Store) -> tuple[Entry, Run, Spec]:
    """The champion of a name, with its run, and its spec as deployed.

    Raises:
        NotFoundError: nothing of this name is deployed.
    """
    entry = _champion(name, store)
    return entry, store.run(entry.run), spec_of(entry, store)


def known(name: str, store: Store) -> None:
    """Whether anything of this name is live, or was to be when a command was killed.

    Raises:
        NotFoundError: nothing is.
    """
    if Ledger(store.root).interrupted(name) is None:
        _champion(name, store)


def _champion(name: str, store: Store) -> Entry:
    ledger = Ledger(store.root)
    entry = ledger.champion(name)
    if entry is None:
        raise NotFoundError(
            f"nothing named {name!r} is deployed", hint=nearest(name, ledger.names(), "deployed before:")
        )
    return entry


def stop(name: str, store: Store, progress: Progress, *, others: bool = False) -> None:
    """Take a service down, wherever it was put live; the ledger is enough for that, even where the run is damaged.

    Args:
        others: Leave the champion, and take down what earlier deployments left on other targets.

    Raises:
        NotFoundError: nothing of this name is deployed.
        DeploymentError: a target cannot take it down.
    """
    known(name, store)
    with turn(name, f"stop {name}", store, progress):
        begun = Ledger(store.root).interrupted(name)
        _settle(name, store, progress, "replace")
        if begun is not None and Ledger(store.root).champion(name) is None:
            _remove(begun, store)  # what a killed first deployment left
            return
        entry = _champion(name, store)
        for other, status in elsewhere(name, store):
            progress.say(f"taking {name} down on {other.detail['target']} at {status.address}")
            _remove(other, store)
        if others:
            return
        detail = {"action": "stop", **_kept(entry), "former": _named(entry), "pid": os.getpid()}
        intent = Ledger(store.root).add("deploying", name, run=entry.run, sha256=entry.sha256, detail=detail)
        begun_s = time.monotonic()
        try:
            _remove(entry, store)
        except BaseException as error:
            conclude(intent, store, progress, why=_why(error), mode="replace")
            raise
        closing = {"intent": intent.id, "seconds": time.monotonic() - begun_s}
        Ledger(store.root).add("stopped", name, run=entry.run, sha256=entry.sha256, detail=closing)


def roll_back(name: str, store: Store, progress: Progress, *, to: str | None = None) -> Entry:
    """Put a bundle live again that was champion before, on the target where it was then.

    Args:
        to: The first digits of its sha256, or its run; by default the one before the present one.

    Raises:
        NotFoundError: there was none before, or none of that name.
        DeploymentError: it did not come up.
    """
    known(name, store)
    ledger = Ledger(store.root)
    with turn(name, f"rollback {name}", store, progress):
        _settle(name, store, progress, "replace")
        present, _, spec = champion(name, store)
        entry = _before(name, present, ledger.entries(name), to)
        former = deployed_by(entry, store)
        if spec.signing.public_keys:  # whom to trust is said by what is live, not by what was live once
            former = replace(former, spec=former.spec.model_copy(update={"signing": spec.signing}))
        _bring_live(former, "rollback", store, progress, None)
        found = ledger.champion(name)
    assert found is not None
    return found


def restore(name: str, what: str, store: Store, progress: Progress) -> None:
    """For a command (`what`) that relies on what is live: see what became of a change that was killed, and bring the
    champion back up if it left nothing."""
    if Ledger(store.root).interrupted(name) is not None:
        with turn(name, what, store, progress):
            _settle(name, store, progress, "restore")


def _settle(name: str, store: Store, progress: Progress, mode: Mode) -> None:
    text = settle_interrupted(name, store, progress, mode)
    if text:
        progress.say(text)


def _bring_live(
    wanted: Packed, action: Action, store: Store, progress: Progress, rollout: Rollout | None
) -> DeploymentStatus:
    spec, ledger = wanted.spec, Ledger(store.root)
    target, options = registry.load("targets", spec.deployment.use), spec.deployment.options
    release = release_of(spec, wanted.bundle, wanted.sha256, store, wanted.run)
    if rollout is not None and not can_roll_out(target):
        raise DeploymentError(
            f"the target {spec.deployment.use} puts a new model live all at once, not in steps",
            hint=f"pizzeria deploy {wanted.run.id}",
        )
    target.render(release, options)  # what cannot run there is refused before anything is touched
    require_signed(release, store)
    release.log_folder.mkdir(parents=True, exist_ok=True)
    release.state.mkdir(parents=True, exist_ok=True)
    former = ledger.champion(spec.name)
    steps = _steps(wanted, former, rollout, store, progress)
    place = {**placement(spec), "bundle": str(wanted.bundle)}
    plan = {"rollout": None if steps is None else steps.model_dump(mode="json"), "pid": os.getpid()}
    detail = {"action": action, **place, "former": _named(former), **plan}
    run, sha256 = wanted.run.id, wanted.sha256
    intent = ledger.add("deploying", spec.name, run=run, sha256=sha256, detail=detail)
    begun = time.monotonic()

    def note(evidence: Any) -> None:
        ledger.add("canary", spec.name, run=run, sha256=sha256, detail={"intent": intent.id, **evidence})

    try:
        with _terminable():
            if steps is None:
                status: DeploymentStatus = target.apply(release, options, progress)
            else:
                status = roll_out(target, release, options, steps, note, progress)
            _check(status, release)
    except BaseException as error:  # an interrupt, too, must leave a ledger that agrees with what serves
        after = conclude(intent, store, progress, why=_why(error), mode="restore").text
        if isinstance(error, DeploymentError):
            raise type(error)(f"{error.message}\n{after}", hint=error.hint) from error
        progress.say(after)
        raise
    closing = {**place, "intent": intent.id, "address": status.address, "seconds": time.monotonic() - begun}
    unchanged = former is not None and _same(former, wanted, closing)
    event = "unchanged" if unchanged else concluding_event(intent)
    instead = {} if former is None else {"instead_of": former.sha256}
    ledger.add(event, spec.name, run=run, sha256=sha256, detail=closing | instead)
    if former is not None and not unchanged:
        for other, left in elsewhere(spec.name, store):
            progress.say(
                f"{spec.name} is also live on {other.detail['target']} at {left.address}, with {left.sha256[:12]};"
                f" `pizzeria stop {spec.name} --others` takes it down"
            )
    return status


def _steps(
    wanted: Packed, former: Entry | None, rollout: Rollout | None, store: Store, progress: Progress
) -> Rollout | None:
    """The roll-out, where there is something live that it can take over from."""
    if rollout is None or (former is not None and former.sha256 == wanted.sha256):
        return None
    use = wanted.spec.deployment.use
    if former is not None:
        # Where it is to be, which may be another machine than the former's.
        found = status_of(wanted.spec.name, wanted.spec.deployment, store)
        if found.state == "live" and found.sha256 == former.sha256:
            return rollout
    progress.say(f"nothing is live on {use} that {wanted.sha256[:12]} could take over from; it comes up all at once")
    return None


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does, so that a job that is called off leaves no half-made change."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(status: DeploymentStatus, release: Release) -> None:
    if status.state != "live":
        raise DeploymentError(f"{release.name} is {status.state} and not live: {status.detail or 'no reason is given'}")
    if status.sha256 != release.sha256:
        raise DeploymentError(
            f"{status.address} answers with bundle {status.sha256[:12] or '(none)'}, and {release.sha256[:12]} was"
            " deployed"
        )


def _same(former: Entry, wanted: Packed, closing: dict[str, Any]) -> bool:
    keys = ("address", "target", "deployment", "log")
    return (former.run, former.sha256) == (wanted.run.id, wanted.sha256) and all(
        former.detail.get(key) == closing[key] for key in keys
    )


def _before(name: str, present: Entry, entries: list[Entry], to: str | None) -> Entry:
    made = [entry for entry in entries if entry.event in ("promoted", "rolled_back")]
    others = [entry for entry in made if entry.id < present.id and entry.sha256 != present.sha256]
    if not others:
        raise NotFoundError(f"{name} has had no other bundle to go back to", hint="pizzeria status shows what is live")
    if to is None:
        return others[-1]
    found = [entry for entry in others if entry.run == to or (len(to) >= 4 and entry.sha256.startswith(to))]
    if len({entry.sha256 for entry in found}) > 1:
        raise NotFoundError(f"{to!r} fits several bundles of {name}", hint="write more digits of its sha256")
    if not found:
        if present.run == to or (len(to) >= 4 and present.sha256.startswith(to)):
            raise NotFoundError(f"{to!r} is what {name} is at now", hint=f"pizzeria history {name}")
        known = {entry.run for entry in others} | {entry.sha256[:12] for entry in others}
        raise NotFoundError(f"{name} was never at {to!r}", hint=nearest(to, known))
    return found[-1]


def _remove(entry: Entry, store: Store) -> None:
    deployment = deployment_of(entry, store)
    registry.load("targets", deployment.use).remove(entry.name, deployment.options, state_folder(store))


def _kept(entry: Entry) -> dict[str, Any]:
    return {key: entry.detail[key] for key in ("target", "deployment", "log", "bundle") if key in entry.detail}


def _named(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else {"entry": entry.id, "run": entry.run, "sha256": entry.sha256}


def _why(error: BaseException) -> str:
    if isinstance(error, PizzeriaError):
        return error.message
    return said_of_interruption(error) if isinstance(error, KeyboardInterrupt) else said(error)
