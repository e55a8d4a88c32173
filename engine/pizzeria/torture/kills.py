"""Kills `pizzeria run` at moments of every stage, lets the same command go on, and compares how it ends with a run that
was left alone: every file of every stage that holds no times, weights, metrics and bundle among them."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from pizzeria.graph import stages
from pizzeria.runs.store import Store
from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.commands import Case, Command
from pizzeria.torture.endings import differences, left_over, orphans, outcome, serving
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import warm

PROMISE = "A run killed anywhere goes on with the same command, and ends as one that was left alone"
TRIES, SHORT_TRIES = 50, 4
_REAL_EVERY = 10
"""One try in so many is a command that begins from nothing; the others are forked off a process that has its imports,
so that kills hit the stages and not the imports."""
BEFORE, AFTER, ENDED = "before the first stage", "after the last stage", "when it had ended"
_POLL_S = 0.0005
_DEPLOY = "deploy"
_NAME = "try"
"""Of the store of each try: some files of a stage hold paths in it, and so it is the same one each time."""


@dataclass(frozen=True)
class Alone:
    """A run that was left alone.

    Attributes:
        fingerprints: Of its stages, in order.
        seconds: How long each took; `BEFORE` and `AFTER` too.
        outcome: What it left.
        processes: How many serve.
    """

    fingerprints: dict[str, str]
    seconds: dict[str, float]
    outcome: dict[str, str]
    processes: int

    def packaged(self) -> Alone:
        """The same, of a run that goes no further than the bundle."""
        return Alone(
            {stage: fingerprint for stage, fingerprint in self.fingerprints.items() if stage != _DEPLOY},
            self.seconds,
            {what: value for what, value in self.outcome.items() if not what.startswith((_DEPLOY, "ledger"))},
            0,
        )


def run(bench: Bench, tally: Tally) -> None:
    kinds = ("rows",) if bench.short else ("rows", "photos")
    tries = SHORT_TRIES if bench.short else TRIES
    hit: Counter[str] = Counter()
    for i, kind in enumerate(kinds):
        spec = getattr(workplace, kind)(bench.folder / kind / "work")
        with warm(bench.environment(bench.folder)) as forks:
            case = Case(bench, forks, spec, bench.folder / kind, until="package" if bench.short else _DEPLOY)
            _torture(case, tally, tries * (i + 1) // len(kinds) - tries * i // len(kinds), hit)
    tally.figures |= {f"killed {where}": number for where, number in sorted(hit.items())}


def _torture(case: Case, tally: Tally, tries: int, hit: Counter[str]) -> None:
    bench = case.bench
    environment = case.environment(_NAME)
    code = case.forks.learn(case.spec.parent, _run(case), environment, case.log(_NAME))
    if code:
        tally.note(f"run {case.spec.stem}, left alone", f"it ended with {code}: {case.said(_NAME)}")
        return
    first = outcome(case.store(_NAME), case.spec.stem)
    case.remove(_NAME)
    alone = left_alone(case)
    other = differences(first, alone.outcome)
    tally.note(f"run {case.spec.stem} twice, left alone", other)
    number = 0
    for at in _moments(case, alone, tries):
        real = not bench.short and number % _REAL_EVERY == _REAL_EVERY // 2
        # A run that is killed before it deploys is followed to its bundle: a service takes far longer to come up.
        followed = (case, alone) if at in (_DEPLOY, AFTER) else (replace(case, until="package"), alone.packaged())
        where, problem = one_try(*followed, _NAME, at, real=real)
        if problem:
            case.keep(_NAME, f"broken-{number + 1}")
        if where == ENDED and not problem:
            continue  # it was quicker
        number += 1
        hit[where] += 1
        tally.note(f"kill run {case.spec.stem} {where} (try {number})", problem)
        bench.say(f"{case.spec.stem}: try {number}: killed {where}: {problem or 'held'}")
        if number >= tries and (bench.short or all(f"in {stage}" in hit for stage in alone.fingerprints)):
            break


def left_alone(case: Case) -> Alone:
    """Run the spec, with nothing done to it."""
    name = _NAME
    begun = time.monotonic()
    command = case.start(name)
    partials = case.store(name) / ".cache"
    while command.lives(_POLL_S) and not (partials.is_dir() and any(partials.glob("*.partial"))):
        pass
    first = time.monotonic() - begun
    code = command.ended()
    if code:
        raise RuntimeError(f"a run that was left alone ended with {code}: {case.said(name)}")
    whole = time.monotonic() - begun
    store = Store(case.store(name))
    links = {link.name: link.resolve().name for link in (store.run(case.spec.stem).folder / "stages").iterdir()}
    fingerprints = {stage.NAME: links[stage.NAME] for stage in stages() if stage.NAME in links}
    results = {stage: store.load(fingerprint) for stage, fingerprint in fingerprints.items()}
    seconds = {stage: result.seconds for stage, result in results.items() if result is not None}
    seconds |= {BEFORE: first, AFTER: max(whole - first - sum(seconds.values()), 0.05)}
    found = Alone(fingerprints, seconds, outcome(store.root, case.spec.stem), serving(store.root))
    case.remove(name)
    return found


def one_try(case: Case, alone: Alone, name: str, at: str, *, real: bool) -> tuple[str, str]:
    """Kill a run at a moment of a stage, and let it go on.

    Returns:
        Where it was hit, and how the promise was broken; empty when it held.
    """
    command = case.start(name, real=real)
    _until(command, case, alone, name, at)
    command.lives(case.bench.random.uniform(0, alone.seconds[at]))
    command.kill()
    code = command.ended()
    if code != -signal.SIGKILL:
        where, problem = ENDED, "" if code == 0 else f"it ended with {code}: {case.said(name)}"
    else:
        where, problem = stands_at(case, alone, name), ""
    left = orphans(command.pid)
    for pid in left:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)
    since = case.log(name).stat().st_size
    code = case.run(name, real=real)
    if code:
        problem = problem or f"the same command ended with {code}: {case.said(name, since)}"
    else:
        problem = problem or differences(alone.outcome, outcome(case.store(name), case.spec.stem))
    if left:
        problem = problem or f"{len(left)} processes of the killed command go on: {left}"
    if not problem and (number := serving(case.store(name), alone.processes)) != alone.processes:
        problem = f"{number} processes serve, and not {alone.processes}"
    if not problem and (code := case.run(name, "gc")):
        problem = f"pizzeria gc ended with {code}: {case.said(name, since)}"
    store = case.store(name)
    if not problem and (files := left_over([store, store.with_suffix(".cache"), store.with_suffix(".tmp")])):
        problem = f"left over after the next run and gc: {', '.join(files[:3])}"
    if problem:
        case.run(name, "stop", case.spec.stem)
    else:
        case.remove(name)
    return where, problem


def stands_at(case: Case, alone: Alone, name: str) -> str:
    """Where a killed run has come to, by what it left."""
    cache = case.store(name) / ".cache"
    done = [stage for stage, fingerprint in alone.fingerprints.items() if (cache / fingerprint).exists()]
    at = [stage for stage, fingerprint in alone.fingerprints.items() if (cache / f"{fingerprint}.partial").exists()]
    if at:
        return f"in {at[-1]}"
    if not done:
        return BEFORE
    return AFTER if len(done) == len(alone.fingerprints) else "between two stages"


def _moments(case: Case, alone: Alone, tries: int) -> Iterator[str]:
    """Where to kill, so that each stage has its turn, in an order drawn by chance; more of them than tries, since some
    stages are over before they are hit."""
    for _ in range(0, 3 * tries, len(alone.fingerprints)):
        names = [*alone.fingerprints, BEFORE, AFTER]
        case.bench.random.shuffle(names)
        yield from names


def _until(command: Command, case: Case, alone: Alone, name: str, at: str) -> None:
    """Wait until a run has come to a moment, or has ended."""
    cache = case.store(name) / ".cache"
    if at == BEFORE:
        return
    last = list(alone.fingerprints.values())[-1]
    path = cache / (last if at == AFTER else f"{alone.fingerprints[at]}.partial")
    while not path.exists() and command.lives(_POLL_S):
        pass


def _run(case: Case) -> tuple[str, ...]:
    return ("run", case.spec.name, "--until", case.until)
