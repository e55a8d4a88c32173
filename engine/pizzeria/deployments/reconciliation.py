"""Makes the ledger and what serves agree again, after a change that was killed, interrupted or refused.

An entry `deploying` says what was to become live; the target says what is. Live with that bundle: the change came to
its end. Live with the former one: it did not. Neither: only a command that acts anyway brings the right one up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pizzeria import registry
from pizzeria.contracts import DeploymentStatus, Progress
from pizzeria.deployments.places import ask
from pizzeria.deployments.release import deployed_by, deployment_of, release_of, state_folder
from pizzeria.deployments.signatures import require_signed
from pizzeria.deployments.turn import turn_if_free
from pizzeria.errors import PizzeriaError
from pizzeria.runs.ledger import Entry, Event, Ledger
from pizzeria.runs.store import Store

Mode = Literal["look", "restore", "replace"]
"""What to do where neither bundle is live: leave it and say so, bring the former one up, or leave it for the command
that puts another one there at once."""

INTERRUPTED = "interrupted"
_STARTING_S = 10.0


@dataclass(frozen=True)
class Concluded:
    """What became of a change.

    Attributes:
        entry: That closed it; None while it stays open.
        text: One sentence for people.
    """

    entry: Entry | None
    text: str


def look(name: str, store: Store, progress: Progress) -> str:
    """For commands that only read: close what was interrupted if it can be told how it ended.

    Returns:
        What to tell: of the interrupted change, or of the command that is at work; empty when there is nothing.
    """
    if Ledger(store.root).interrupted(name) is None:
        return ""
    with turn_if_free(name, f"status {name}", store) as holder:
        if holder is not None:
            return f"{holder} is at work on it"
        return settle_interrupted(name, store, progress, "look")


def settle_interrupted(name: str, store: Store, progress: Progress, mode: Mode) -> str:
    """Close the change that a killed command left open, if there is one; called by whoever has the turn."""
    intent = Ledger(store.root).interrupted(name)
    if intent is None:
        return ""
    found = conclude(intent, store, progress, why=INTERRUPTED, mode=mode)
    return f"`pizzeria {intent.detail['action']}` of {intent.at} was interrupted: {found.text}"


def conclude(intent: Entry, store: Store, progress: Progress, *, why: str, mode: Mode) -> Concluded:
    """Close an open change by what its target says; see the module.

    Args:
        why: Goes into the ledger where it did not come to its end.
    """
    change = _Change(intent, store, progress, why)
    if intent.detail["action"] == "stop":
        return change.stop(mode)
    return change.deployment(mode)


def concluding_event(intent: Entry) -> Event:
    """What the entry that completes an intent is called."""
    return "rolled_back" if intent.detail["action"] == "rollback" else "promoted"


@dataclass(frozen=True)
class _Change:
    intent: Entry
    store: Store
    progress: Progress
    why: str

    @property
    def former(self) -> Entry | None:
        return Ledger(self.store.root).champion(self.intent.name)

    def close(self, event: Event, text: str, **detail: Any) -> Concluded:
        entry = self.intent
        kept = {key: entry.detail[key] for key in ("target", "deployment", "log", "bundle") if key in entry.detail}
        closing = kept | {"intent": entry.id, "reconciled": self.why == INTERRUPTED} | detail
        if event == "failed":
            closing["why"] = self.why
        run, sha256 = entry.run, entry.sha256
        return Concluded(Ledger(self.store.root).add(event, entry.name, run=run, sha256=sha256, detail=closing), text)

    def stop(self, mode: Mode) -> Concluded:
        found = ask(self.intent, self.store)
        if found.state == "absent":
            return self.close("stopped", "it is stopped")
        if found.state == "live" or mode != "look":
            return self.close("failed", f"{self.intent.name} is {found.state}; stop it again")
        return Concluded(None, f"{self.intent.name} is {found.state}; `pizzeria stop {self.intent.name}` goes on")

    def deployment(self, mode: Mode) -> Concluded:
        self._end_canary()
        wanted, former = self.intent, self.former
        found = _ask_patiently(wanted, self.store)
        there = found.state == "live" and found.sha256 == wanted.sha256
        # The same bundle at the same address: nobody can tell whether its new settings are in force.
        same = former is not None and (former.sha256, former.detail.get("address")) == (wanted.sha256, found.address)
        if there and not same:
            instead = {} if former is None else {"instead_of": former.sha256}
            text = f"{wanted.sha256[:12]} is live at {found.address}, and is entered so"
            return self.close(concluding_event(wanted), text, address=found.address, trouble=self.why, **instead)
        if former is None:
            return self._without_former(found, mode)
        was = found if same else ask(former, self.store)
        if was.state == "live" and was.sha256 == former.sha256:
            doubt = ", maybe with the former settings" if same else ""
            text = f"{former.sha256[:12]} keeps serving at {was.address}{doubt}"
            return self.close("failed", text, serving=former.sha256)
        if mode == "restore":
            return self._bring_back(former, was)
        text = _plainly(was, former)
        if mode == "replace":
            return self.close("failed", text)
        name = wanted.name
        return Concluded(None, f"{text}; `pizzeria rollback {name}` or `pizzeria deploy RUN` brings one up")

    def _without_former(self, found: DeploymentStatus, mode: Mode) -> Concluded:
        name = self.intent.name
        if mode != "look" or found.state == "absent":
            return self.close("failed", f"nothing is live under the name {name}")
        detail = f" ({found.detail})" if found.detail else ""
        text = f"nothing was live before, and what was begun is {found.state}{detail}"
        return Concluded(None, f"{text}; deploy it again, or `pizzeria stop {name}`")

    def _bring_back(self, former: Entry, was: DeploymentStatus) -> Concluded:
        self.progress.say(f"{_plainly(was, former)}; bringing it back")
        try:
            back = deployed_by(former, self.store)
            release = release_of(back.spec, back.bundle, back.sha256, self.store, back.run)
            require_signed(release, self.store)
            deployment = back.spec.deployment
            status = registry.load("targets", deployment.use).apply(release, deployment.options, self.progress)
        except PizzeriaError as error:
            text = f"the one before, {former.sha256[:12]}, could not be brought back either: {error.message}"
            return self.close("failed", text)
        text = f"the one before, {former.sha256[:12]}, was brought back and is live at {status.address}"
        return self.close("failed", text, serving=former.sha256)

    def _end_canary(self) -> None:
        """Nobody watches it any more: all traffic goes to one bundle again, the new one if that was settled on."""
        if not self.intent.detail.get("rollout"):
            return
        settled_on = [entry.detail for entry in canary_steps(self.intent, self.store)][-1:]
        for keep in (True, False) if settled_on and settled_on[0]["phase"] == "settling" else (False,):
            try:
                deployment = deployment_of(self.intent, self.store)
                target = registry.load("targets", deployment.use)
                state = state_folder(self.store)
                target.settle(self.intent.name, deployment.options, state, keep, self.progress)
            except PizzeriaError as error:
                self.progress.say(f"the canary of {self.intent.name} cannot be ended: {error.message}")
            else:
                return


def canary_steps(intent: Entry, store: Store) -> list[Entry]:
    """The `canary` entries of a change, oldest first."""
    found = Ledger(store.root).entries(intent.name, "canary")
    return [entry for entry in found if entry.detail.get("intent") == intent.id]


def _ask_patiently(entry: Entry, store: Store) -> DeploymentStatus:
    until = time.monotonic() + _STARTING_S
    while (found := ask(entry, store)).state == "starting" and time.monotonic() < until:
        time.sleep(0.2)
    return found


def _plainly(was: DeploymentStatus, former: Entry) -> str:
    if was.state == "live":
        return f"{was.address} answers with {was.sha256[:12]}, and {former.sha256[:12]} was live before"
    detail = f" ({was.detail})" if was.detail else ""
    return f"the one before, {former.sha256[:12]}, is {was.state}{detail}"


def plain_status(status: DeploymentStatus) -> Mapping[str, str]:
    """A status as JSON carries it."""
    return {"state": status.state, "address": status.address, "sha256": status.sha256, "detail": status.detail}
