"""Mixed traffic while models come and go, and while they are watched and maintained; an hour of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import yaml

from pizzeria.runs.ledger import Event, Ledger
from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.leaks import Held, Watch, growth, leaks, living
from pizzeria.torture.traffic import Clients, Seen, garbage, pages, photos_and_listings, rows_and_labels
from pizzeria.torture.trial import Tally

PROMISE = "An hour of mixed traffic, new models, monitoring and maintenance: no failed request, no leak"
SECONDS, SHORT_SECONDS = 3600.0, 15.0
_MAINTENANCE = {"retrain_every": "1s", "at_most_every": "1s", "least_labels": 60, "probation": "5m"}
_MONITORED = (0, 10, 11)
"""Exit codes of `monitor` and `maintain` that are an answer: well, an alert, undecided."""
_TOLD: tuple[Event, ...] = ("promoted", "rolled_back", "monitored", "decided")
_LEAST = 4
"""Commands that are run in any case: a new model, a look at it, maintenance, and the way back."""
_LONGEST = 4
"""Processes of which figures are told: those that lived longest."""
_SETTLES_S = 15.0


def run(bench: Bench, tally: Tally) -> None:
    seconds = SHORT_SECONDS if bench.short else SECONDS
    folder, temporary = bench.folder, bench.folder / "tmp"
    temporary.mkdir(exist_ok=True)
    shop = workplace.rows(folder, name="shop")
    maintained = yaml.safe_load(shop.read_text()) | {"maintenance": _MAINTENANCE}
    shop.write_text(yaml.safe_dump(maintained, sort_keys=False))
    port = {"shop": maintained["deployment"]["port"]}
    specs = [shop]
    if not bench.short:
        specs.append(workplace.photos(folder, name="flat"))
        port["flat"] = yaml.safe_load(specs[-1].read_text())["deployment"]["port"]
    watch = Watch(folder / "runs", every_s=max(seconds / 360, 0.5))
    clients = {
        name: Clients(
            f"http://127.0.0.1:{port[name]}",
            [*[rows_and_labels if name == "shop" else photos_and_listings] * 4, pages, garbage],
            count=2,
            pause_s=0.2,
            seed=bench.random.randrange(1 << 30),
        )
        for name in port
    }
    try:
        for spec in specs:
            if not _command(bench, tally, temporary, (0,), "run", spec.name):
                return
        with ExitStack() as stack:
            stack.enter_context(watch)
            for some in clients.values():
                stack.enter_context(some)
            until = time.monotonic() + seconds
            for done, (codes, arguments) in enumerate(_chores(tuple(port))):
                if done >= _LEAST and time.monotonic() > until:
                    break
                _command(bench, tally, temporary, codes, *arguments)
                time.sleep(0 if bench.short else bench.random.uniform(1, 10))
    finally:
        for name in port:
            bench.pizzeria(folder, "stop", name)
    for name, some in clients.items():
        _tell_of_requests(name, some.seen, tally)
    _tell_of_processes(watch.found(), tally)
    ledger = Ledger(folder / "runs")
    tally.figures |= {f"ledger: {event}": ledger.count(event=event) for event in _TOLD}
    _nothing_left(folder, temporary, tally)


def _chores(names: tuple[str, ...]) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    """What an operator and the clock do, over and over: exit codes to expect, and a command.

    The second model is of the same spec; those after it come of `maintain`.
    """
    yield (0,), ("run", "shop.yaml", "training.max_epochs=2")
    while True:
        for name in names:
            yield _MONITORED, ("monitor", name)
            yield (0,), ("maintain", name)  # trains a challenger, of the shop
        yield (0,), ("rollback", "shop")
        yield (0,), ("status",)
        yield (0,), ("deploy", "shop")
        yield (0,), ("report", "shop")


def _command(bench: Bench, tally: Tally, temporary: Path, codes: tuple[int, ...], *arguments: str) -> bool:
    """Whether it ended as it should."""
    bench.say(" ".join(arguments))
    done = bench.pizzeria(bench.folder, *arguments, env={"TMPDIR": str(temporary)})
    problem = ""
    if done.returncode not in codes or "Traceback" in done.stderr:
        problem = f"exit code {done.returncode}: {done.stderr.strip()[-600:]}"
    tally.note(f"pizzeria {' '.join(arguments)}", problem)
    return not problem


def _tell_of_requests(name: str, seen: Seen, tally: Tally) -> None:
    tally.tried += seen.requests
    tally.held += seen.requests - seen.failures
    tally.broken += [f"{name}: {text}" for text in seen.failed]
    tally.figures[f"requests to {name}"] = seen.requests
    tally.figures |= {f"{name}: {what}": count for what, count in sorted(seen.answers.items())}


def _tell_of_processes(watched: Mapping[str, Sequence[Held]], tally: Tally) -> None:
    grown = leaks(watched)
    tally.tried += len(watched)
    tally.held += len(watched) - len({text.partition(":")[0] for text in grown})
    tally.broken += grown
    tally.figures["processes watched"] = len(watched)
    for name, samples in sorted(watched.items(), key=lambda one: -len(one[1]))[:_LONGEST]:
        minutes = (samples[-1].at - samples[0].at) / 60
        more = growth(samples).get("memory_mb", 0.0)
        tally.figures[name] = f"{minutes:.0f} min, {samples[-1].memory_mb:.0f} MB, {more:+.1f} MB"


def _nothing_left(folder: Path, temporary: Path, tally: Tally) -> None:
    """After `stop` no process of the store lives, and no temporary file is left."""
    until = time.monotonic() + _SETTLES_S
    while (left := living(folder / "runs")) and time.monotonic() < until:
        time.sleep(0.5)
    for process in left:
        process.kill()
    tally.note("stop ends every process", ", ".join(f"{p.pid} still lives" for p in left))
    files = [path.relative_to(temporary).as_posix() for path in temporary.rglob("*") if path.is_file()]
    tally.note("no temporary file is left", f"{len(files)} are: {', '.join(sorted(files)[:5])}" if files else "")
