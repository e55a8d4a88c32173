"""Things that are killed while they work, and what is said of them afterwards: `status`, `history` and `ui`."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pizzeria.ports import free_port
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.torture import shelf, workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.leaks import living
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import Warm, warm

PROMISE = "A dead run, service, command or lock is known as dead within 10 s"
KNOWN_WITHIN_S = 10.0
_BEGINS_S = 240.0
"""A training, a service or pages may take so long to begin on a machine that has other work."""

_STALLING = '''\
"""A target whose service is a file; a command that finds `stall` in the working folder never comes to its end."""

import json
import time
from pathlib import Path

from pizzeria.contracts import DeploymentStatus, Rendered
from pizzeria.spec.section import Options as PluginOptions


class Options(PluginOptions):
    """Options of the target: there are none."""


def render(release, options):
    return Rendered({"service.json": json.dumps({"sha256": release.sha256})})


def apply(release, options, progress):
    while Path("stall").exists():
        time.sleep(0.1)
    (release.state / f"{release.name}.json").write_text(json.dumps({"sha256": release.sha256}))
    return status(release.name, options, release.state)


def status(name, options, state):
    path = state / f"{name}.json"
    if not path.exists():
        return DeploymentStatus("absent")
    return DeploymentStatus("live", "stalling", json.loads(path.read_text())["sha256"])


def remove(name, options, state):
    (state / f"{name}.json").unlink(missing_ok=True)
'''


def run(bench: Bench, tally: Tally) -> None:
    slowest: dict[str, float] = {}
    parts = {"commands": _commands, "training": _training} | ({} if bench.short else {"served": _service})
    with warm(bench.environment(bench.folder)) as process:
        for name, part in parts.items():
            bench.say(name)
            place = Watched(bench, process, bench.folder / name, tally, slowest)
            place.folder.mkdir()
            try:
                part(place)
            finally:
                place.end()
    tally.figures |= {f"{what} told as dead, s": round(seconds, 1) for what, seconds in slowest.items()}


class Watched:
    """A store, commands on it that are forked off, and what `status` says of it."""

    def __init__(self, bench: Bench, process: Warm, folder: Path, tally: Tally, slowest: dict[str, float]) -> None:
        self.folder = folder
        self.bench = bench
        self._process = process
        self._tally = tally
        self._slowest = slowest
        self._begun: set[int] = set()

    @property
    def store(self) -> Store:
        return Store(self.folder / "runs")

    def command(self, *arguments: str) -> tuple[int, str]:
        """A command to its end: exit code, and what it said."""
        log = self.folder / "command.log"
        log.unlink(missing_ok=True)
        pid = self.start(*arguments, log=log)
        self._begun.discard(pid)
        return self._process.wait(pid), log.read_text()

    def must(self, *arguments: str) -> None:
        """A command that must end well; what it imports is imported for those that follow."""
        log = self.folder / "command.log"
        log.unlink(missing_ok=True)
        code = self._process.learn(self.folder, arguments, self.bench.environment(self.folder), log)
        if code:
            raise RuntimeError(f"`pizzeria {' '.join(arguments)}` ended with {code}: {log.read_text()[-600:]}")

    def start(self, *arguments: str, log: Path | None = None) -> int:
        """Fork a command off; returns its process id."""
        environment = self.bench.environment(self.folder)
        pid = self._process.start(self.folder, arguments, environment, log or self.folder / "at-work.log")
        self._begun.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """kill -9, and see that it has gone; nothing happens to one that was killed before."""
        if pid in self._begun:
            self._begun.discard(pid)
            os.kill(pid, signal.SIGKILL)
            self._process.wait(pid)

    def end(self) -> None:
        """Kill what is left at work."""
        for pid in list(self._begun):
            self.kill(pid)

    def status(self) -> dict[str, Any]:
        """What `pizzeria status --json` says of the one name that is here; nothing where there is nothing."""
        code, said = self.command("status", "--json")
        if code not in (0, 1):
            raise RuntimeError(f"`pizzeria status` ended with {code}: {said[-600:]}")
        found: list[dict[str, Any]] = json.loads(said[said.index("[") :])
        return found[0] if found else {"state": "absent", "commands": [], "runs": []}

    def until(self, true: Callable[[dict[str, Any]], object]) -> None:
        """Wait until something has begun, by what `status` says."""
        deadline = time.monotonic() + _BEGINS_S
        while not true(told := self.status()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"it never began; `pizzeria status --json` says {told}")
            time.sleep(0.2)

    def known(self, what: str, died: float, true: Callable[[dict[str, Any]], object]) -> None:
        """Note whether a `status` that began within so many seconds of a death knows of it."""
        problem = "nobody asked in time"
        while (asked := time.monotonic()) - died <= KNOWN_WITHIN_S or problem.startswith("nobody"):
            told = self.status()
            if true(told):
                self._slowest[what] = max(self._slowest.get(what, 0.0), time.monotonic() - died)
                self._tally.note(f"kill -9 {what}: status")
                return
            problem = f"{asked - died:.0f} s later `pizzeria status --json` says {told}"
            time.sleep(0.5)
        self._tally.note(f"kill -9 {what}: status", problem)

    def note(self, what: str, problem: str) -> None:
        self._tally.note(what, problem)


def _commands(place: Watched) -> None:
    """A deploy, a cycle, and an action of the pages, each killed while it holds the turn of a name."""
    plugin = place.folder / "plugins" / "targets" / "stalling.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(_STALLING)
    text = shelf.spec_text(place.folder, {"use": "replay"}).replace("use: replay", "use: stalling")
    older, newer, third = (shelf.register(place.store, text, version).id for version in ("older", "newer", "third"))
    place.must("deploy", older)
    place.must("deploy", newer)
    place.must("status", "--json")

    with _stalled(place):
        deploy = place.start("deploy", third)
        place.until(lambda told: _at_work(told, "deploy"))
        _until_open(place)
        died = _now()
        place.kill(deploy)
    place.known("a deploy", died, lambda told: not told["commands"] and told["state"] == "live")
    _history(place, "a deploy")

    cycle = place.start("cycle", shelf.NAME, "--monitor", "1h", "--only", "monitor")
    place.until(lambda told: _at_work(told, "cycle"))
    died = _now()
    place.kill(cycle)
    place.known("a cycle", died, lambda told: not _at_work(told, "cycle"))
    again = place.start("cycle", shelf.NAME, "--monitor", "1h", "--only", "monitor")
    place.until(lambda told: _at_work(told, "cycle"))
    place.note("after it another cycle goes round", "")
    place.kill(again)

    with _pages(place) as (pages, browser), _stalled(place):
        _act(browser)
        place.until(lambda told: _at_work(told, "rollback"))
        _until_open(place)
        died = _now()
        place.kill(pages)
    place.known("pages with an action at work", died, lambda told: not told["commands"] and told["state"] == "live")
    _history(place, "pages with an action at work")
    code, said = place.command("rollback", shelf.NAME)
    place.note("after it a roll-back does as it is told", "" if code == 0 else f"exit code {code}: {said[-600:]}")


def _training(place: Watched) -> None:
    """A run that is killed while it trains; seen by `status`, by the pages, and by the ledger."""
    name = "tiny"
    workplace.rows(place.folder, name=name, epochs=20_000)
    at_work = place.start("run", f"{name}.yaml", "--until", "train")
    place.until(lambda told: _runs(told) == [("running", "train")])
    with _pages(place) as (_, browser):
        seen = browser.get(f"/{name}").text
        place.note("the pages show a run at work", "" if "a run is at work" in seen else "they do not")
        died = _now()
        place.kill(at_work)
        place.known("a run", died, lambda told: _runs(told) == [("dead", "train")])
        seen = browser.get(f"/{name}").text
        wrong = "a run is at work" in seen or "killed" not in seen
        place.note("kill -9 a run: the pages", "they do not say that it was killed" if wrong else "")
    last = Ledger(place.store.root).entries(name)[-1]
    stopped = last.event == "run_stopped" and last.detail.get("killed")
    place.note("kill -9 a run: the ledger", "" if stopped else f"its last entry is {last.event}")
    again = place.start("run", f"{name}.yaml", "--until", "train")
    place.until(lambda told: _runs(told) == [("running", "train")])
    place.note("the same command goes on, and status says so", "")
    place.kill(again)


def _service(place: Watched) -> None:
    """A service with its keeper, a real one, killed at once."""
    text = shelf.spec_text(place.folder, {"use": "local", "port": free_port()})
    older = shelf.register(place.store, text, "older").id
    try:
        place.must("deploy", older)
        place.until(lambda told: told["state"] == "live")
        found = living(place.store.root)
        died = _now()
        for process in found:
            process.kill()
        place.known(f"a service and its keeper ({len(found)} processes)", died, lambda told: told["state"] == "dead")
        code, _ = place.command("status")
        place.note("status ends with 1 then", "" if code == 1 else f"it ended with {code}")
        place.must("deploy", older)
        place.until(lambda told: told["state"] == "live")
        place.note("the next deploy brings it up again", "")
    finally:
        place.command("stop", shelf.NAME)


@contextmanager
def _stalled(place: Watched) -> Iterator[None]:
    """Whoever changes what is live stays at it inside."""
    stall = place.folder / "stall"
    stall.touch()
    try:
        yield
    finally:
        stall.unlink()


@contextmanager
def _pages(place: Watched) -> Iterator[tuple[int, Any]]:
    """`pizzeria ui`, and somebody who opened its link."""
    import httpx

    log = place.folder / "pages.log"
    log.write_text("")
    pages = place.start("ui", "--actions", "--port", "0", log=log)
    try:
        deadline = time.monotonic() + _BEGINS_S
        while (link := re.search(r"(http://127\.0\.0\.1:\d+)(/-/in\S+)", log.read_text())) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the pages do not come up: {log.read_text()[-600:]}")
            time.sleep(0.1)
        with httpx.Client(base_url=link[1], follow_redirects=True, timeout=60, trust_env=False) as browser:
            browser.get(link[2])
            yield pages, browser
    finally:
        place.kill(pages)


def _act(browser: Any) -> None:
    """Roll back, as somebody does who clicks."""
    page = browser.get(f"/{shelf.NAME}/deployment").text
    href = re.findall(rf'href="(/{shelf.NAME}/act/rollback\?to=[^"]+)"', page)[0]
    question = browser.get(href).text
    fields = dict(re.findall(r'<input type="hidden" name="(word|to)" value="([^"]*)"', question))
    browser.post(href.partition("?")[0], data=fields, headers={"Origin": str(browser.base_url).rstrip("/")})


def _until_open(place: Watched) -> None:
    """Until the ledger has the intent: a command that is killed before has begun nothing."""
    deadline = time.monotonic() + _BEGINS_S
    while Ledger(place.store.root).interrupted(shelf.NAME) is None and time.monotonic() < deadline:
        time.sleep(0.05)


def _history(place: Watched, what: str) -> None:
    code, said = place.command("history", shelf.NAME, "--json")
    last = json.loads(said[said.index("[") :])[-1] if code == 0 else {"outcome": said[-600:]}
    ended = last["outcome"] == "failed" and last["reconciled"]
    place.note(f"kill -9 {what}: history", "" if ended else f"it says {last['outcome']}")


def _at_work(told: dict[str, Any], command: str) -> bool:
    return any(one["command"].startswith(command) for one in told["commands"])


def _runs(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["state"], one["stage"]) for one in told["runs"]]


def _now() -> float:
    return time.monotonic()
