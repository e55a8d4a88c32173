"""Many processes at once in one store: registrations, runs of one spec, deploys, maintenance, and gc in between."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from pizzeria.deployments.turn import Kind, holder
from pizzeria.errors import PizzeriaError
from pizzeria.holding import is_held
from pizzeria.runs.store import Store
from pizzeria.runs.working import works
from pizzeria.torture import shelf, workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.ledger import contradictions, read
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import Warm, warm

PROMISE = "Many processes at once: every version is there, one champion, no lock is left behind"
PROCESSES, EACH, SHORT_EACH = 4, 50, 10
_EVERY = 5
"""Each so many versions, a process puts one live."""
_REGISTERING = "pizzeria.torture.registering"
_KINDS: tuple[Kind, ...] = ("turn", "pass", "maintain", "cycle")
_RAW = ("Traceback", "is locked")
"""What no user may see."""
_BUSY = "another process is working on the same stage"


def run(bench: Bench, tally: Tally) -> None:
    with warm(bench.environment(bench.folder)) as process:
        place = bench.folder / "shelf"
        place.mkdir()
        together = Together(bench, process, place)
        _registrations(together, SHORT_EACH if bench.short else EACH, tally)
        _deploys(together, tally)
        _maintenance(together, tally)
        _nothing_held(Store(place / "runs"), tally)
    rows = bench.folder / "rows"
    workplace.rows(rows)
    with warm(bench.environment(rows)) as process:
        _runs(Together(bench, process, rows), tally)
        _nothing_held(Store(rows / "runs"), tally)


class Together:
    """Commands in one folder that are begun at once, and waited for."""

    def __init__(self, bench: Bench, process: Warm, folder: Path) -> None:
        self.folder = folder
        self._bench = bench
        self._process = process
        self._begun: list[tuple[str, int, Path]] = []

    def learn(self, *arguments: str) -> int:
        """A command to its end, whose imports the others need not make; returns its exit code."""
        return self._process.learn(self.folder, arguments, self._bench.environment(self.folder), self.folder / "log")

    def begin(self, *arguments: str, module: str = "pizzeria.cli") -> None:
        """Begin a command."""
        log = self.folder / f"log-{len(list(self.folder.glob('log-*')))}"
        log.touch()
        pid = self._process.start(self.folder, arguments, self._bench.environment(self.folder), log, module=module)
        self._begun.append((" ".join(arguments), pid, log))

    def end(self) -> list[tuple[str, int, str]]:
        """Wait for all of them; returns what each was, its exit code and what it said."""
        ended = [(what, self._process.wait(pid), log.read_text()) for what, pid, log in self._begun]
        self._begun = []
        return ended


def _registrations(place: Together, each: int, tally: Tally) -> None:
    """Four processes register and put live, while `gc` runs again and again."""
    text = shelf.spec_text(place.folder, {"use": "replay"})
    path = place.folder / "resolved.yaml"
    path.write_text(text)
    store = Store(place.folder / "runs")
    first = shelf.register(store, text, "first")
    place.learn("deploy", first.id)
    place.learn("gc")
    begun = time.monotonic()
    for number in range(PROCESSES):
        place.begin(str(path), f"process-{number}", str(each), str(_EVERY), module=_REGISTERING)
    for _ in range(3):
        place.begin("gc", "--older-than", "0s")
        time.sleep(0.3)
    for what, code, said in place.end():
        tally.note(f"at once: {what}", _trouble(code, said))
    tally.figures["seconds of all registrations"] = round(time.monotonic() - begun, 1)
    entries = read(store.root / "ledger.sqlite")
    made = Counter(one["sha256"] for one in entries if one["event"] == "bundled")
    wanted = PROCESSES * each + 1
    twice = sum(count != 1 for count in made.values())
    problem = f"{len(made)} versions are in the ledger, {twice} of them twice" if len(made) != wanted or twice else ""
    tally.note(f"{wanted} versions", problem)
    for run in store.runs():
        try:
            run.stage("package")
        except PizzeriaError as error:
            tally.note(f"version {run.id}", error.message)
        else:
            tally.note(f"version {run.id}")
    tally.note("one change after the other, and one champion", contradictions(entries, open_ones=0))
    lives = sum(one["event"] == "promoted" for one in entries)
    tally.figures |= {"versions": len(made), "put live": lives}
    wanted_lives = 1 + PROCESSES * (each // _EVERY)
    tally.note(f"{wanted_lives} times another champion", "" if lives == wanted_lives else f"{lives} were made")


def _deploys(place: Together, tally: Tally) -> None:
    """Two deploys at once, each of another version, and again after they are live."""
    store = Store(place.folder / "runs")
    one, other = (run.id for run in store.runs()[:2])
    before = len(read(store.root / "ledger.sqlite"))
    for run in (one, other, one, other):
        place.begin("deploy", run)
    place.begin("gc")
    for what, code, said in place.end():
        tally.note(f"at once: {what}", _trouble(code, said))
    entries = read(store.root / "ledger.sqlite")
    begun = sum(entry["event"] == "deploying" for entry in entries[before:])
    problem = contradictions(entries, open_ones=0) or ("" if begun == 4 else f"{begun} changes were begun by 4 deploys")
    tally.note("four deploys are four changes, one after the other", problem)


def _maintenance(place: Together, tally: Tally) -> None:
    """Two passes at once: the second decides after the first, on what that has left."""
    store = Store(place.folder / "runs")
    place.learn("maintain", shelf.NAME)
    before = sum(entry["event"] == "decided" for entry in read(store.root / "ledger.sqlite"))
    for _ in range(2):
        place.begin("maintain", shelf.NAME)
    codes = []
    for what, code, said in place.end():
        codes.append(code)
        tally.note(f"at once: {what}", _trouble(0, said))
    decided = sum(entry["event"] == "decided" for entry in read(store.root / "ledger.sqlite")) - before
    same = len(set(codes)) == 1 and codes[0] >= 0
    tally.note(
        "two passes of maintenance are decided one after the other",
        "" if same and decided == 2 else f"they ended with {codes}, and {decided} decisions were entered",
    )


def _runs(place: Together, tally: Tally) -> None:
    """One spec run twice at once, and `gc` beside it that spares nothing old: each stage is made once."""
    arguments = ("run", "tiny.yaml", "--until", "package")
    for _ in range(2):
        place.begin(*arguments)
    for _ in range(5):
        time.sleep(2)
        place.begin("gc", "--older-than", "0s")
    ended = place.end()
    busy = [said for what, code, said in ended if code and what.startswith("run")]
    for what, code, said in ended:
        # The later one may be told that another process is at the same stage: an answer, and no trouble.
        tally.note(
            f"at once: {what}", _trouble(0 if "another process is working on the same stage" in said else code, said)
        )
    if len(busy) == 2:
        tally.note("two runs at once", "neither came to its end")
    place.begin(*arguments)
    [(what, code, said)] = place.end()
    problem = _trouble(code, said) or ("it ran stages again" if ": done in" in said else "")
    tally.note(f"after them: {what} has nothing to do", problem)
    ids = [run.id for run in Store(place.folder / "runs").runs()]
    tally.note("they are one run", "" if len(ids) == 1 else f"there are {len(ids)}")


def _nothing_held(store: Store, tally: Tally) -> None:
    """Nobody is alive any more, so nothing may be held, or said to be at work."""
    name = shelf.NAME if (store.root / ".deployments").is_dir() else "tiny"
    kinds = [kind for kind in _KINDS if holder(name, store, of=kind) is not None]
    tally.note("no turn is taken", f"{', '.join(kinds)} is" if kinds else "")
    held = [path for path in store.root.rglob("*") if is_held(path)]
    tally.note("no lock is left", ", ".join(map(str, held[:5])))
    at_work = [one.told() for one in works(store)]
    tally.note("no run is said to be at work", "; ".join(at_work))


def _trouble(code: int, said: str) -> str:
    raw = next((word for word in _RAW if word in said), "")
    return f"exit code {code}: {said.strip()[-600:]}" if code or raw else ""
