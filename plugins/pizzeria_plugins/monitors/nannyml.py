"""Judges logged predictions with NannyML: performance without labels, drift, data quality, and what labels say.

Each chunk is measured once, by instruments that are fitted on the reference (`instruments`), and what was measured is
kept (`memory`); a pass looks only at chunks that are new, open, late or labelled anew (`stock`). Rules are made so that
healthy traffic stays silent even when a chunk has only some dozens of photos: every limit allows for what chance alone
does to a chunk of that size (see `noise`). Whatever cannot be measured is undecided, never fine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.clock import utcnow
from pizzeria.contracts import Alarm, Finding, Judged, Progress, Traffic, Verdict
from pizzeria.errors import DataError, Fault, SpecError
from pizzeria.spec.monitoring import Chunk, Monitoring
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.monitors.metrics import metric_faults

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.monitors.instruments import Instrument, Known
    from pizzeria_plugins.monitors.memory import Memory, Remembered
    from pizzeria_plugins.monitors.stock import Stock

LATEST = 500
"""Of the chunks that stand, so many are looked at beside those of the pass: for figures, rankings and the backtest."""
BLOCK = 1000
"""So many chunks of the pass are judged at a time."""
SPAN_ROWS, SPAN_CHUNKS = 100_000, 50
"""What a worker is given at a time, and what a kill may cost."""


class Options(BaseOptions):
    """Options of the NannyML monitor."""

    least_rows: int = Field(default=30, ge=10, description="A chunk with fewer predictions is undecided.")
    resamples: int = Field(
        default=60, ge=20, le=1000, description="Pairs drawn from the reference to learn how far chance alone goes."
    )
    seed: int = Field(default=0, ge=0, description="Seed of these draws.")


def check(monitoring: Monitoring, problem: Problem) -> list[tuple[str, str, str]]:
    """Faults of the section as (path below `monitoring`, message, hint), before anything runs."""
    return metric_faults(monitoring, problem)


def judge(
    options: Options,
    monitoring: Monitoring,
    problem: Problem,
    reference: pd.DataFrame,
    traffic: Traffic,
    memory: Path,
    progress: Progress,
) -> Verdict:
    """Judge what is new in the traffic; see `pizzeria.contracts.Monitor`.

    Args:
        reference: [M] records with the truth (`true`, or `true:<class>`), of data that the model has not learnt.

    Raises:
        SpecError: a metric of `monitoring.performance` is none of the task's.
        DataError: chunks by period, and records without timestamps.
        NotFoundError: `monitoring.runner` is ray, and Ray is not installed.
    """
    from pizzeria_plugins.monitors import memory as memories
    from pizzeria_plugins.monitors.stock import take_stock

    faults = check(monitoring, problem)
    if faults:
        raise SpecError([Fault(f"monitoring.{path}", message, hint) for path, message, hint in faults])
    if len(reference) < options.least_rows:
        few = f"at least {options.least_rows} rows"
        return _nothing(f"the reference has {len(reference)} rows, {few} are needed", few)
    traffic, dated = _with_times(traffic, monitoring)
    depends = memories.depends_on(reference)
    remembered = memories.Memory(memory, depends)
    stock = take_stock(traffic, remembered, monitoring.chunk, utcnow())
    if not stock.chunks:
        return _nothing("there is no prediction to judge", f"at least {options.least_rows} rows")
    rules = memories.hash_of([depends, _rules(options, monitoring, problem)])
    # Where nothing could be judged yet, each pass says so.
    thin = all(one.cut.rows < options.least_rows for one in stock.chunks)
    if thin or remembered.fact("rules") not in (None, rules):
        remembered.tell_all()
        stock = replace(stock, chunks=remembered.chunks())
    waiting = _waiting(stock, options.least_rows)
    untold = [one for one in stock.chunks if one.untold and one.id not in waiting]
    if not untold and remembered.fact("rules") == rules:
        return _standing(remembered, len(stock.chunks) - len(waiting))
    verdict = _pass(options, monitoring, problem, reference, traffic, dated, remembered, stock, progress)
    remembered.note(rules=rules, plots=dict(verdict.plots), backtest=_plain_backtest(verdict))
    return verdict


def kept(memory: Path) -> None:
    """The last verdict lies in the history: its chunks stand from now on. Without this call they are told again."""
    from pizzeria_plugins.monitors.memory import kept

    kept(memory)


def _pass(
    options: Options,
    monitoring: Monitoring,
    problem: Problem,
    reference: pd.DataFrame,
    traffic: Traffic,
    dated: bool,
    memory: Memory,
    stock: Stock,
    progress: Progress,
) -> Verdict:
    from pizzeria_plugins.monitors import figures, library
    from pizzeria_plugins.monitors.memory import ALL

    with library.quiet(), library.seeded(options.seed):
        instruments = _fit(options, monitoring, problem, reference, memory, stock)
        _measure(options, monitoring, problem, traffic, dated, memory, stock, instruments, progress)
        waiting = _waiting(stock, options.least_rows)
        # What was pruned before it was ever measured is nothing to tell of.
        lost = {one.id for one in stock.chunks if one.id in stock.gone and one.todo == ALL}
        chunks = [one for one in memory.chunks() if one.id not in waiting | lost]
        told = [one for one in chunks if one.untold]
        few = f"at least {options.least_rows} rows"
        short = [one for one in told if one.cut.rows < options.least_rows]
        findings = [one.part.finding("quality", "rows", float(one.cut.rows), few, None) for one in short]
        undecided = [_too_short(one, few) for one in short]
        alarms: list[Alarm] = []
        plots: dict[str, Any] = {}
        backtest = None
        for known in _blocks(chunks, memory, options.least_rows):
            found: list[Alarm] = []
            plots = {}  # The last block has the newest.
            for instrument in instruments:
                judgement = instrument.judge(known)
                findings += judgement.findings
                found += judgement.alarms
                undecided += judgement.undecided
                plots |= judgement.figures
            alarms += _explained(found, instruments, known)
            backtest = next(one.backtest(known) for one in instruments if one.name == "performance")  # type: ignore[attr-defined]
    return Verdict(
        tuple(findings),
        tuple(alarms),
        tuple(dict.fromkeys(undecided)),
        figures.as_json(plots),
        tuple(_judged(one, monitoring.chunk) for one in told),
        len(chunks) - len(told),
        backtest,
    )


def _blocks(chunks: Sequence[Remembered], memory: Memory, least_rows: int) -> Iterator[Known]:
    """What is to be judged, oldest first, some at a time: readings of a whole year are too much to hold.

    With each block come the chunks just before its last that stand; with the last one, the newest of all.
    """
    from pizzeria_plugins.monitors.instruments import Known

    places = [i for i, one in enumerate(chunks) if one.untold]
    for first in range(0, len(places), BLOCK):
        block = places[first : first + BLOCK]
        end = len(chunks) if first + BLOCK >= len(places) else block[-1] + 1
        within = set(block)
        beside = [i for i in range(end) if i not in within][-LATEST:]
        looked = [chunks[i] for i in sorted({*block, *beside})]
        parts = [one.part for one in looked if one.cut.rows >= least_rows]
        if parts:
            yield Known(parts, frozenset(chunks[i].cut.name for i in block), memory.readings(looked))


def _fit(
    options: Options, monitoring: Monitoring, problem: Problem, reference: pd.DataFrame, memory: Memory, stock: Stock
) -> list[Instrument]:
    from pizzeria_plugins.monitors import (
        chunks,
        concept,
        domain_classifier,
        drift,
        library,
        multivariate,
        performance,
        quality,
        schema,
    )
    from pizzeria_plugins.monitors.instruments import Context

    nml = library.load()
    reference = chunks.in_order(reference)
    sizes = [one.cut.rows for one in stock.chunks if one.cut.rows >= options.least_rows] or [options.least_rows]
    parts = chunks.cut_reference(len(reference), [monitoring.chunk.size] if monitoring.chunk.size else sizes)
    fitted, numbers = schema.fit(reference, problem)
    context = Context(nml, options, monitoring, problem, reference, parts, fitted, numbers, memory.remember)
    modules = (performance, drift, multivariate, domain_classifier, quality, concept)
    found = [module.fit(context) for module in modules]
    return [one for one in found if one is not None]


def _measure(
    options: Options,
    monitoring: Monitoring,
    problem: Problem,
    traffic: Traffic,
    dated: bool,
    memory: Memory,
    stock: Stock,
    instruments: Sequence[Instrument],
    progress: Progress,
) -> None:
    from pizzeria_plugins.monitors.reading import spans
    from pizzeria_plugins.monitors.workers import Work, run

    keys = {one.name: memory.key(one.name, one.settings) for one in instruments}
    wanted = _wanted(options, memory, stock, instruments, keys)
    if not wanted:
        return
    asked = {one.cut.name: names for one, names in wanted}
    columns = _columns(traffic, problem, instruments, wanted[0][0])
    work = Work(traffic, instruments, columns, options.seed, dated)
    rows = sum(one.cut.rows for one, _ in wanted)
    # Who asks for workers gets them busy, also with little to do.
    workers = monitoring.workers or 1
    each = SPAN_ROWS if workers == 1 else min(SPAN_ROWS, -(-rows // (2 * workers)))
    cut = spans([one.cut for one, _ in wanted], each, SPAN_CHUNKS)
    done = 0
    tasks = [[(one, asked[one.name]) for one in span] for span in cut]
    for measured in run(work, tasks, monitoring.runner, monitoring.workers):
        memory.keep(measured, keys)
        done += len(measured)
        progress.update("chunks measured", done, len(wanted))


def _wanted(
    options: Options,
    memory: Memory,
    stock: Stock,
    instruments: Sequence[Instrument],
    keys: Mapping[str, str],
) -> list[tuple[Remembered, frozenset[str]]]:
    """What is to be measured: chunks, oldest first, and by which instruments."""
    from pizzeria_plugins.monitors.memory import ALL, LABELS

    have = memory.have(keys)
    every = frozenset(keys)
    labelled = frozenset(one.name for one in instruments if one.truth)
    waiting = _waiting(stock, options.least_rows)
    found = []
    for one in stock.chunks:
        if one.id in stock.gone or one.id in waiting or not one.cut.rows:
            continue
        if one.cut.rows < options.least_rows:
            if one.todo:
                found.append((one, frozenset[str]()))  # Only to be told when it was.
            continue
        missing = frozenset(name for name in every if one.id not in have[name])
        names = every if one.todo == ALL else missing | labelled if one.todo == LABELS else missing
        if names:
            found.append((one, names))
    return found


def _columns(
    traffic: Traffic, problem: Problem, instruments: Sequence[Instrument], first: Remembered
) -> list[str] | None:
    """The columns that some instrument wants, out of those that the records have."""
    from pizzeria_plugins.monitors.chunks import INSTANT

    last = first.cut.last
    piece: Iterator[Any] = traffic.batches(since=first.cut.first.moment, until=last.moment + INSTANT)
    names = [str(name) for name in next(iter(piece), ())]
    truth = ["true", *(f"true:{name}" for name in problem.classes)]
    wanted = [name for name in names if any(one.wants(name) for one in instruments)]
    return list(dict.fromkeys(["timestamp", *wanted, *truth]))


def _with_times(traffic: Traffic, monitoring: Monitoring) -> tuple[Traffic, bool]:
    """The traffic, and whether its records have times; where they have none, they are counted instead."""
    from pizzeria_plugins.monitors.reading import Numbered

    first = next(iter(traffic.batches(columns=["timestamp"])), None)
    if first is not None and "timestamp" in first:
        return traffic, True
    if monitoring.chunk.period is not None and first is not None:
        raise DataError(
            f"monitoring.chunk.period is {monitoring.chunk.period}, but the records have no timestamp",
            hint="set monitoring.chunk.size instead, such as chunk: {size: 500}",
        )
    return Numbered(traffic), False


def _waiting(stock: Stock, least_rows: int) -> frozenset[int]:
    """The open chunk, as long as it is too short to be judged, beside others."""
    short = {one.id for one in stock.chunks if one.cut.open and one.cut.rows < least_rows}
    return frozenset(short) if len(short) < len(stock.chunks) else frozenset()


def _too_short(one: Remembered, few: str) -> str:
    if not one.cut.rows:
        return f"no prediction came in {one.cut.name}"
    return f"{one.part} is too short to judge, {few} are needed"


def _judged(one: Remembered, chunk: Chunk) -> Judged:
    return Judged(one.cut.name, one.start, one.end, one.cut.rows, one.labelled, one.cut.open, _firm(one, chunk))


def _firm(one: Remembered, chunk: Chunk) -> bool:
    """Whether it may close an incident: half of a full chunk, or a period that is over. Without either all is one chunk
    that never fills up, and there is no other to wait for."""
    if not one.cut.open:
        return True
    return chunk.period is None and (chunk.size is None or 2 * one.cut.rows >= chunk.size)


def _explained(alarms: Sequence[Alarm], instruments: Sequence[Instrument], known: Known) -> tuple[Alarm, ...]:
    """Alarms with what is likely behind them, and with examples of the drift in their chunks."""
    from pizzeria_plugins.monitors.causes import explain

    by_name: dict[str, Any] = {one.name: one for one in instruments}
    if "drift" not in by_name:
        return tuple(alarms)
    performance = by_name["performance"]
    metric = performance.rules[0].metric
    usual = performance.estimator.usual.get(metric)
    values = {part.name: reading["metrics"].get(metric, {}).get("value") for part, reading in known.of("performance")}
    return explain(alarms, known, values, None if usual is None else usual.estimated, by_name["drift"].examples.usual)


def _rules(options: Options, monitoring: Monitoring, problem: Problem) -> Any:
    """What a verdict depends on besides reference, code and traffic."""
    left_out = {"alerts", "workers", "runner", "remind_every", "pages", "chunk"}
    return [
        options.model_dump(mode="json"),
        monitoring.model_dump(mode="json", exclude=left_out),
        problem.task,
        list(problem.classes),
    ]


def _standing(memory: Memory, chunks: int) -> Verdict:
    """Nothing is new: the figures are those of the last pass."""
    from pizzeria.contracts import Backtest

    found = memory.fact("backtest")
    backtest = None if found is None else Backtest(**found)
    return Verdict((), (), (), memory.fact("plots") or {}, (), chunks, backtest)


def _plain_backtest(verdict: Verdict) -> dict[str, Any] | None:
    from dataclasses import asdict

    return None if verdict.backtest is None else asdict(verdict.backtest)


def _nothing(why: str, few: str) -> Verdict:
    return Verdict((Finding("quality", "rows", "", "", "", None, few, None),), (), (why,))


__all__ = ["Options", "check", "judge", "kept"]
