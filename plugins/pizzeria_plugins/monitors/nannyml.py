"""Judges logged predictions with NannyML: performance without labels, drift, and data quality.

Rules are made so that healthy traffic stays silent even when a chunk has only some dozens of photos: every limit allows
for what chance alone does to a chunk of that size (see `noise`). Whatever cannot be measured is undecided, never fine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.contracts import Alarm, Finding, Judged, Kind, Progress, Traffic, Verdict
from pizzeria.errors import Fault, SpecError
from pizzeria.spec.monitoring import Monitoring
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as BaseOptions
from pizzeria.tasks import task
from pizzeria_plugins.monitors.metrics import known_metrics, metric_fault

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.monitors.chunks import Part
    from pizzeria_plugins.monitors.columns import Columns
    from pizzeria_plugins.monitors.performance import Performance


class Options(BaseOptions):
    """Options of the NannyML monitor."""

    least_rows: int = Field(default=30, ge=10, description="A chunk with fewer predictions is undecided.")
    resamples: int = Field(
        default=60, ge=20, le=1000, description="Pairs drawn from the reference to learn how far chance alone goes."
    )
    seed: int = Field(default=0, ge=0, description="Seed of these draws.")


def check(monitoring: Monitoring, problem: Problem) -> list[tuple[str, str, str]]:
    """Faults of the section as (path below `monitoring`, message, hint), before anything runs."""
    fault = metric_fault(monitoring.performance, problem)
    return [] if fault is None else [fault]


def judge(
    options: Options,
    monitoring: Monitoring,
    problem: Problem,
    reference: pd.DataFrame,
    traffic: Traffic,
    memory: Path,
    progress: Progress,
) -> Verdict:
    """Compare traffic with the reference, chunk by chunk; see `pizzeria.contracts.Monitor`.

    Args:
        reference: [M] records with the truth (`true`, or `true:<class>`), of data that the model has not learnt.

    Raises:
        SpecError: `monitoring.performance.metric` is none of the task's.
        DataError: chunks by period, and records without timestamps.
    """
    import pandas as pd

    from pizzeria_plugins.monitors import before_drift as drift
    from pizzeria_plugins.monitors import before_quality as quality
    from pizzeria_plugins.monitors import chunks, figures, library, noise
    from pizzeria_plugins.monitors.columns import read_columns
    from pizzeria_plugins.monitors.performance import judge_performance, limits

    faults = check(monitoring, problem)
    if faults:
        raise SpecError([Fault(f"monitoring.{path}", message, hint) for path, message, hint in faults])
    metric = monitoring.performance.metric if monitoring.performance else known_metrics(problem)[0]
    few = f"at least {options.least_rows} rows"
    pieces = list(traffic.batches())
    analysis = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()
    if len(reference) < options.least_rows:
        return _nothing(f"the reference has {len(reference)} rows, {few} are needed", few)
    if not len(analysis):
        return _nothing("there is no prediction to judge", few)
    reference, analysis = chunks.in_order(reference), chunks.in_order(analysis)
    every = chunks.cut(analysis, monitoring.chunk)
    parts = [part for part in every if part.rows >= options.least_rows]
    short = [part for part in every if part.rows < options.least_rows]
    undecided = [f"{part} is too short to judge, {few} are needed" for part in short]
    findings = [part.finding("quality", "rows", float(part.rows), few, None) for part in short]
    if not parts:
        return Verdict(tuple(findings), (), tuple(undecided))

    nml = library.load()
    with library.quiet(), library.seeded(options.seed):
        reference_parts = chunks.cut_reference(len(reference), [part.rows for part in parts])
        columns = read_columns(reference, analysis, problem)
        sampling = drift.Sampling(noise.groups(reference), options.resamples, options.seed)

        performance = _estimate(nml, metric, problem, columns, reference, analysis, reference_parts, parts)
        bounds = limits(performance.whole, monitoring.performance, parts, len(reference)) if performance.whole else None
        found, fallen, unsure = judge_performance(performance, bounds, parts, options.least_rows)
        findings, undecided = findings + found, [*undecided, *unsure, *columns.undecided]

        measured = drift.univariate(nml, columns, reference_parts, parts, monitoring.drift, sampling)
        found, drifted, unsure = drift.judge_columns(measured, parts, monitoring.drift)
        findings, undecided = findings + found, undecided + unsure
        together = None
        if "reconstruction" in monitoring.drift.multivariate:
            found, apart, unsure, together = drift.multivariate(nml, columns, reference_parts, parts, sampling)
            findings, undecided, drifted = findings + found, undecided + unsure, drifted + apart

        found, poor = quality.judge_quality(
            nml, columns, parts, monitoring.quality.missing_above, monitoring.quality.unseen_above
        )
        plots = figures.draw(performance, bounds, measured, together, parts, len(reference_parts))
    alarms: list[Alarm] = []
    found_alerts: tuple[tuple[Kind, str, list[str]], ...] = (
        ("performance", metric, fallen),
        ("drift", "columns", drifted),
        ("quality", "values", poor),
    )
    for kind, subject, texts in found_alerts:
        for text in texts:
            part = next(part for part in parts if str(part) in text)
            alarms.append(Alarm(kind, subject, part.name, part.start, part.end, text))
    names = [name for name in analysis if str(name) == "true" or str(name).startswith("true:")]
    judged = tuple(
        Judged(
            part.name,
            part.start,
            part.end,
            part.rows,
            int(analysis[names].iloc[part.first : part.stop].notna().any(axis=1).sum()) if names else 0,
            part is every[-1],
        )
        for part in every
    )
    return Verdict(tuple(findings + found), tuple(alarms), tuple(undecided), plots, judged)


def _estimate(
    nml: Any,
    metric: str,
    problem: Problem,
    columns: Columns,
    reference: pd.DataFrame,
    analysis: pd.DataFrame,
    reference_parts: list[Part],
    parts: list[Part],
) -> Performance:
    judged = task(problem.task).JUDGED
    if judged == "value":
        from pizzeria_plugins.monitors.values import estimate_values

        return estimate_values(nml, metric, columns, reference, analysis, reference_parts, parts)
    if judged == "class":
        from pizzeria_plugins.monitors.classes import estimate_classes

        return estimate_classes(nml, metric, problem, reference, analysis, reference_parts, parts)
    from pizzeria_plugins.monitors.presence import estimate_presence

    return estimate_presence(nml, metric, problem, reference, analysis, reference_parts, parts)


def _nothing(why: str, few: str) -> Verdict:
    return Verdict((Finding("quality", "rows", "", "", "", None, few, None),), (), (why,))
