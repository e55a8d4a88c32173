"""Kills while versions are registered, put live and rolled back."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pizzeria.ports import free_port
from pizzeria.runs.ledger import CLOSING
from pizzeria.runs.store import Store
from pizzeria.torture import shelf
from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import Warm, warm

PROMISE = "Killed while a model is registered, put live or rolled back: the ledger is readable, and its champion serves"
KILLS, SHORT_KILLS = 90, 10
SERVICE_KILLS = 10
"""Of commands that bring a real service up, which takes seconds; none when there is little time."""
_WITHIN = 0.5
"""Share of kills of a change that come after the ledger has its beginning, which is the short part of a command."""
_REGISTERING = "pizzeria.torture.registering"


def run(bench: Bench, tally: Tally) -> None:
    kills = SHORT_KILLS if bench.short else KILLS
    with warm(bench.environment(bench.folder)) as process:
        _kill_often(Shelf(bench, process, bench.folder / "shelf", {"use": "replay"}), kills, tally)
        if not bench.short:
            served = Shelf(bench, process, bench.folder / "served", {"use": "local", "port": free_port()})
            try:
                _kill_often(served, SERVICE_KILLS, tally)
            finally:
                served.command("stop", shelf.NAME)


def _kill_often(place: Shelf, kills: int, tally: Tally) -> None:
    place.begin()
    seen: Counter[str] = Counter()
    for number in range(kills):
        what, after = place.one_kill(number)
        seen[what] += 1
        seen["in the middle of a change"] += place.is_open()
        tally.note(f"kill {number + 1} on {place.use}: {what} after {after:.3f} s", place.trouble())
    left = place.left_over()
    tally.note(f"gc after {kills} kills on {place.use}", left)
    tally.figures |= {f"{place.use}: kills, {what}": count for what, count in sorted(seen.items())}


@dataclass
class Shelf:
    """A store with versions to put live, and commands on it that are forked off.

    Attributes:
        use: The target.
        runs: Ids of runs that may be put live.
        seconds: How long each kind of command takes.
    """

    bench: Bench
    process: Warm
    folder: Path
    deployment: dict[str, Any]
    runs: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def use(self) -> str:
        return str(self.deployment["use"])

    @property
    def store(self) -> Store:
        return Store(self.folder / "runs")

    def begin(self) -> None:
        """Two versions that were live one after the other; and how long that takes."""
        self.folder.mkdir()
        text = shelf.spec_text(self.folder, self.deployment)
        (self.folder / "resolved.yaml").write_text(text)
        self.runs = [shelf.register(self.store, text, version).id for version in ("first-older", "second", "third")]
        log = self.folder / "command.log"
        for arguments in (("deploy", self.runs[0]), ("history", shelf.NAME), ("status", shelf.NAME, "--json")):
            self.process.learn(self.folder, arguments, self._environment(), log)  # so that kills hit work, no imports
        self.timed("deploy", self.runs[1])
        self.timed("rollback", shelf.NAME)
        begun = time.monotonic()
        self.process.wait(self._register("timed"))
        self.seconds["register"] = time.monotonic() - begun

    def timed(self, *arguments: str) -> None:
        """A command that must end well."""
        begun = time.monotonic()
        code, said = self.command(*arguments)
        if code:
            raise RuntimeError(f"`pizzeria {' '.join(arguments)}` ended with {code}: {said[-600:]}")
        self.seconds[arguments[0]] = time.monotonic() - begun

    def command(self, *arguments: str) -> tuple[int, str]:
        """A command to its end: exit code, and what it said."""
        log = self.folder / "command.log"
        log.unlink(missing_ok=True)
        code = self.process.wait(self.process.start(self.folder, arguments, self._environment(), log))
        return code, log.read_text()

    def one_kill(self, number: int) -> tuple[str, float]:
        """Kill a command at a random moment; returns which, and after how many seconds.

        A command that had ended before is no try: it is made again, and killed earlier.
        """
        draw = self.bench.random
        share = 1.0
        while True:
            what = draw.choice(list(self.seconds))
            begun = time.monotonic()
            pid = self._start(what, number)
            if what != "register" and draw.random() < _WITHIN:
                self._wait_for_a_change(begun + self.seconds[what] * share)
                time.sleep(draw.uniform(0, self.seconds[what] * share / 10))
            else:
                time.sleep(draw.uniform(0, self.seconds[what] * share))
            os.kill(pid, signal.SIGKILL)
            after = time.monotonic() - begun
            if self.process.wait(pid) == -signal.SIGKILL:
                return what, after
            share = max(share * 0.8, 0.05)

    def _wait_for_a_change(self, until: float) -> None:
        while not self.is_open() and time.monotonic() < until:
            time.sleep(0.001)

    def is_open(self) -> bool:
        """Whether the ledger has a change, now, that nothing has closed."""
        try:
            return bool(contradictions(read(self.folder / "runs" / "ledger.sqlite"), open_ones=0))
        except (sqlite3.Error, ValueError):
            return True

    def trouble(self) -> str:
        """What is wrong after a kill; empty when nothing is: first with the ledger as it lies, then after a command."""
        try:
            entries = read(self.folder / "runs" / "ledger.sqlite")
        except (sqlite3.Error, ValueError) as error:
            return f"the ledger cannot be read: {error}"
        if problem := contradictions(entries, open_ones=1):
            return problem
        # What serves may hang between two bundles until a command acts: a real one does.
        acts = ("deploy", self.bench.random.choice(self.runs)) if self.use == "local" else ("history", shelf.NAME)
        code, said = self.command(*acts)
        if code:
            return f"the next command, `pizzeria {' '.join(acts)}`, ended with {code}: {said[-600:]}"
        code, said = self.command("status", shelf.NAME, "--json")
        if code:
            return f"status ended with {code}: {said[-600:]}"
        [told] = json.loads(said)
        entries = read(self.folder / "runs" / "ledger.sqlite")
        if problem := contradictions(entries, open_ones=0):
            return problem
        made = [one for one in entries if one["event"] in ("promoted", "rolled_back")][-1]
        if (told["state"], told["sha256"]) != ("live", made["sha256"]):
            return f"the champion is {made['sha256'][:12]}, and what serves is {told['state']} {told['sha256'][:12]}"
        if told["commands"]:
            return f"nobody is at work, and status says {told['commands']}"
        return ""

    def left_over(self) -> str:
        """What is left under a temporary name, or at work, after `pizzeria gc`."""
        code, said = self.command("gc", "--older-than", "0s", "--json")
        if code:
            return f"it ended with {code}: {said[-600:]}"
        found = [path for path in (self.folder / "runs").rglob("*") if path.suffix in (".tmp", ".partial")]
        found += (self.folder / "runs").glob("*/.at_work/*")
        return f"{', '.join(str(path) for path in found[:5])} was left" if found else ""

    def _start(self, what: str, number: int) -> int:
        if what == "register":
            return self._register(f"killed-{number}-{self.bench.random.random()}")
        arguments = (what, shelf.NAME if what == "rollback" else self.bench.random.choice(self.runs))
        return self.process.start(self.folder, arguments, self._environment(), self.folder / "killed.log")

    def _register(self, version: str) -> int:
        arguments = (str(self.folder / "resolved.yaml"), version, "1", "2")
        log = self.folder / "killed.log"
        return self.process.start(self.folder, arguments, self._environment(), log, module=_REGISTERING)

    def _environment(self) -> dict[str, str]:
        return self.bench.environment(self.folder)


def read(path: Path) -> list[dict[str, Any]]:
    """All entries of a ledger, read by SQLite alone.

    Raises:
        sqlite3.Error, ValueError: it is damaged.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        told = [str(row[0]) for row in connection.execute("pragma integrity_check")]
        if told != ["ok"]:
            raise ValueError("; ".join(told))
        rows = connection.execute("select id, event, name, run, sha256, detail from ledger order by id")
        return [dict(row) | {"detail": json.loads(row["detail"])} for row in rows]


def contradictions(entries: Sequence[dict[str, Any]], *, open_ones: int) -> str:
    """What does not fit in a ledger of one name: a change must be closed once, by an entry that names it, before the
    next one is made.

    Args:
        open_ones: How many may be open at the end.
    """
    if [one["id"] for one in entries] != list(range(1, len(entries) + 1)):
        return "entries are missing"
    begun: int | None = None
    for one in entries:
        if one["event"] == "deploying":
            if begun is not None:
                return f"entry {one['id']} begins a change while that of entry {begun} is open"
            begun = one["id"]
        elif one["event"] in CLOSING:
            if one["detail"].get("intent") != begun or begun is None:
                return f"entry {one['id']} closes a change that is not open"
            begun = None
    if begun is not None and not open_ones:
        return f"the change of entry {begun} stays open"
    if not any(one["event"] in ("promoted", "rolled_back") for one in entries):
        return "there is no champion"
    return ""
