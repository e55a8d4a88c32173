"""One model under its name, as the ledger, its newest run and the history of its monitoring tell it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pizzeria.deployments.turn import Holder, Kind, holder
from pizzeria.errors import DamagedError, PizzeriaError
from pizzeria.maintenance.approval import Pending, pending
from pizzeria.monitoring.history import Chunk, History, folder_of
from pizzeria.monitoring.incidents import Incident, open_incidents
from pizzeria.report.wording import duration, moment, number, plural
from pizzeria.runs.ledger import CLOSING, Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.runs.working import Work, works
from pizzeria.ui.run_facts import Facts
from pizzeria.ui.wheel import TITLES, Phase, State

STAGES = {
    "Data": ("collect", "validate", "split", "leakage"),
    "Features": ("features",),
    "Train": ("train",),
    "Evaluate": ("evaluate",),
    "Package": ("package",),
}
_UNEASY = ("refused", "lacking", "failed", "awaiting approval", "rolled back")
"""Decisions after which somebody may have to do something."""


@dataclass
class Project:
    """What is known of a name; each part is read when it is asked for.

    Attributes:
        newest: Its newest run; None where only the ledger knows it.
        runs: How many it has.
        damage: What of its monitoring cannot be read.
    """

    name: str
    store: Store
    ledger: Ledger
    newest: Facts | None
    runs: int
    damage: str = ""

    @property
    def href(self) -> str:
        return f"/{self.name}"

    @cached_property
    def champion(self) -> Entry | None:
        """The entry that made the live bundle."""
        return self.ledger.champion(self.name)

    @cached_property
    def interrupted(self) -> Entry | None:
        return self.ledger.interrupted(self.name)

    @cached_property
    def last_change(self) -> Entry | None:
        found = self.ledger.entries(self.name, ("deploying", *CLOSING), last=1)
        return found[0] if found else None

    @cached_property
    def monitored(self) -> Entry | None:
        """The last monitoring pass."""
        found = self.ledger.entries(self.name, "monitored", last=1)
        return found[0] if found else None

    @cached_property
    def decided(self) -> Entry | None:
        found = self.ledger.entries(self.name, "decided", last=1)
        return found[0] if found else None

    @cached_property
    def pending(self) -> Pending | None:
        """The challenger that waits for approval; None too where its spec cannot be read any more."""
        try:
            return pending(self.name, self.store)
        except PizzeriaError:
            return None

    @cached_property
    def incidents(self) -> Sequence[Incident]:
        """Those that are open."""
        try:
            return open_incidents(self.store, self.name)
        except (DamagedError, sqlite3.DatabaseError):
            return ()

    @cached_property
    def history(self) -> History | None:
        """What monitoring found; None where it never looked."""
        folder = folder_of(self.store, self.name)
        if not (folder / "history.sqlite").exists():
            return None
        try:
            return _history(folder)
        except DamagedError as error:
            self.damage = f"{error.message}; {error.hint}"
            return None
        except sqlite3.DatabaseError as error:
            self.damage = f"{folder / 'history.sqlite'} cannot be read: {error}"
            return None

    @cached_property
    def last_chunk(self) -> Chunk | None:
        found = [] if self.history is None else self.history.chunks(last=1)
        return found[0] if found else None

    @cached_property
    def at_work(self) -> Holder | None:
        """The command that changes what is live, or watches it, now."""
        kinds: tuple[Kind, ...] = ("turn", "maintain", "pass")
        found = (holder(self.name, self.store, of=of) for of in kinds)
        return next((one for one in found if one is not None), None)

    @cached_property
    def works(self) -> list[Work]:
        """Of its newest run: what is going on, and what was killed and not taken up again."""
        found = [] if self.newest is None else works(self.store, self.newest.id)
        return [one for one in found if not one.ended]

    @property
    def running(self) -> bool:
        """Whether its newest run is at work."""
        return any(one.alive for one in self.works)

    @cached_property
    def phases(self) -> list[Phase]:
        """The ten phases of its life cycle."""
        run = self.newest
        page = f"/{self.name}/runs/{run.id}" if run else f"/{self.name}/runs"
        found: dict[str, tuple[State, str, str]] = {}
        need = run is not None and bool(run.need)
        found["Need"] = ("done" if need else "never", run.owner if run else "", page)
        framed = run is not None and bool(run.task)
        found["Framing"] = ("done" if framed else "never", run.task.replace("_", " ") if run else "", page)
        waiting = True
        for title, stages in STAGES.items():
            state, detail = self._stage(title, stages)
            if self.works and waiting and state == "never":
                state, detail = ("running", "at work") if self.running else ("attention", "killed")
                waiting = False
            found[title] = (state, detail, f"/{self.name}/data" if title == "Data" else page)
        found["Deploy"] = (*self._deployed(), f"/{self.name}/deployment")
        found["Monitor"] = (*self._watched(), f"/{self.name}/monitoring")
        found["Maintain"] = (*self._maintained(), f"/{self.name}/decisions")
        return [Phase(i + 1, title, *found[title]) for i, title in enumerate(TITLES)]

    @property
    def state(self) -> State:
        """Of the project as a whole."""
        states = {phase.state for phase in self.phases}
        return next((state for state in ("attention", "running", "done") if state in states), "never")

    @property
    def headline(self) -> str:
        """The state in a few words."""
        if self.incidents:
            return f"{plural(len(self.incidents), 'incident')} open"
        found = next((phase for phase in self.phases if phase.state == "attention"), None)
        if found is not None:
            return f"{found.title}: {found.detail}" if found.detail else f"{found.title} needs attention"
        if self.at_work is not None:
            return f"pizzeria {self.at_work.what.split()[0]} is at work"
        if self.running:
            return "a run is at work"
        if self.champion is not None:
            return "all well" if self.monitored else "live, not monitored yet"
        return "not deployed"

    def _stage(self, title: str, stages: Sequence[str]) -> tuple[State, str]:
        run = self.newest
        if run is None:
            return "never", ""
        if run.refused in stages:
            words = {"validate": "expectations failed", "leakage": "leakage", "evaluate": "gate missed"}
            return "attention", words.get(run.refused, "refused")
        took = [run.stages[stage] for stage in stages if stage in run.stages]
        if len(took) == len(stages):
            return "done", f"{run.metric} {number(run.value)}" if title == "Evaluate" and run.metric else duration(
                sum(took)
            )
        return "never", ""

    def _deployed(self) -> tuple[State, str]:
        busy = holder(self.name, self.store)
        if busy is not None:
            return "running", f"pizzeria {busy.what.split()[0]}"
        if self.interrupted is not None:
            return "attention", "interrupted"
        last = self.last_change
        if last is not None and last.event == "failed":
            return "attention", "the last change failed"
        if self.champion is not None:
            return "done", str(self.champion.detail.get("target", "live"))
        return "never", "stopped" if last is not None and last.event == "stopped" else ""

    def _watched(self) -> tuple[State, str]:
        busy = holder(self.name, self.store, of="pass")
        if busy is not None and busy.what.startswith("monitor"):
            return "running", "a pass"
        if self.history is None and self.damage:
            return "attention", "its history cannot be read"
        if self.incidents:
            return "attention", f"{plural(len(self.incidents), 'incident')} open"
        if self.monitored is None:
            return "never", ""
        if self.monitored.detail.get("undecided"):
            return "attention", "undecided"
        return "done", moment(self.monitored.at)

    def _maintained(self) -> tuple[State, str]:
        busy = holder(self.name, self.store, of="maintain")
        if busy is not None:
            return "running", f"pizzeria {busy.what.split()[0]}"
        if self.decided is None:
            return "never", ""
        if self.pending is not None and not self.pending.stale:
            return "attention", "awaiting approval"
        action = str(self.decided.detail.get("action", ""))
        return "attention" if action in _UNEASY else "done", action


@lru_cache(maxsize=256)
def _history(folder: Path) -> History:
    """One for each folder: it opens a connection for each question."""
    return History(folder)
