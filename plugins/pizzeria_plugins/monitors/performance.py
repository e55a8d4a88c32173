"""How well the model does: estimated without labels, realised where there are labels, and the rules on both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.contracts import Alarm, Backtest, Finding
from pizzeria.spec.monitoring import PerformanceThreshold
from pizzeria.tasks import task
from pizzeria_plugins.monitors import backtest, noise, performance_figures
from pizzeria_plugins.monitors.chunks import LEAST_REFERENCE_CHUNKS, Part
from pizzeria_plugins.monitors.estimates import Estimator, Usual
from pizzeria_plugins.monitors.instruments import Context, Judgement, Known, Reading
from pizzeria_plugins.monitors.metrics import ERRORS, wanted_metrics
from pizzeria_plugins.monitors.workers import labelled

if TYPE_CHECKING:
    import pandas as pd

NAMED = 3
"""An alarm names so many classes, the worst first."""
Row = Mapping[str, Any]
"""What was measured of one metric in one chunk: `value`, `error`, `realised`, and how many rows are `labelled`."""


@dataclass(frozen=True)
class Limits:
    """Below and above which a chunk raises an alarm, infinite where there is no limit, NaN where it is not known."""

    low: float
    high: float
    why: str = ""

    def __str__(self) -> str:
        return self.bounds + (f" ({self.why})" if self.why and self.bounds else self.why)

    @property
    def bounds(self) -> str:
        """Without the reason."""
        bounds = [f"below {self.low:.3g}"] * math.isfinite(self.low)
        bounds += [f"above {self.high:.3g}"] * math.isfinite(self.high)
        return " or ".join(bounds)

    def wider(self, margin: float, why: str) -> Limits:
        """By three sampling errors on either side, which are the margin.

        Example:
            >>> print(Limits(0.8, math.inf).wider(0.06, "40 of 100 rows have labels"))
            below 0.74 (by three sampling errors below 0.8, since 40 of 100 rows have labels)
        """
        if not margin:
            return self
        why = f"by three sampling errors {self.bounds}, since {why}"
        return Limits(self.low - margin, self.high + margin, f"{why}; {self.why}" if self.why else why)

    def breaks(self, value: float) -> bool | None:
        """Whether a value calls for an alarm; None when it, or the limit, is unknown."""
        return None if any(map(math.isnan, (self.low, self.high, value))) else not self.low <= value <= self.high


@dataclass(frozen=True)
class Rule:
    """One metric that is judged.

    Attributes:
        spec: None where the reference alone decides.
        deviation: NannyML's standard deviation thresholds over the reference's chunks; NaN where these are too few.
    """

    metric: str
    spec: PerformanceThreshold | None
    deviation: tuple[float, float] = (math.nan, math.nan)


@dataclass
class Performance:
    """The instrument.

    A reading has `labelled`, rows whose truth is known, and under `metrics` what `Estimator.measure` gives.

    Attributes:
        rules: The headline first.
        estimator: For the task.
        reference: Rows of the reference.
        reference_chunks: Into so many it was cut.
        least_rows: From so many labelled rows on, what labels say counts.
        default: The metric without rules.
    """

    name = "performance"

    rules: tuple[Rule, ...]
    estimator: Estimator
    reference: int
    reference_chunks: int
    least_rows: int
    settings: Mapping[str, Any]
    truth: bool = True

    def wants(self, column: str) -> bool:
        return self.estimator.wants(column)

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        return {"labelled": labelled(chunk), "metrics": self.estimator.measure(chunk)}

    def judge(self, known: Known) -> Judgement:
        readings = known.of(self.name)
        findings: list[Finding] = []
        alarms: list[Alarm] = []
        undecided = list(self.estimator.undecided)
        figures: dict[str, Any] = {}
        for rule in self.rules:
            rows = rows_of(readings, rule.metric)
            limits = [self.limits(rule, part, row) for (part, _), row in zip(readings, rows, strict=True)]
            if rule.spec is not None and rule.spec.deviations is not None and math.isnan(rule.deviation[0]):
                undecided.append(
                    f"{rule.metric} has no limit: the reference makes {self.reference_chunks} chunks, and deviations "
                    f"need at least {LEAST_REFERENCE_CHUNKS}"
                )
            for place, (part, _) in enumerate(readings):
                if part.name in known.fresh:
                    doubt = self._doubt(rule, rows[:place], rows[place], limits[place][0])
                    finding, text = self._judge(rule, part, rows[place], limits[place], doubt)
                    findings.append(finding)
                    if finding.alert is None and rule.metric in self.estimator.usual:
                        undecided.append(
                            f"{rule.metric} in {part}: {doubt}"
                            if doubt
                            else f"{rule.metric} cannot be estimated in {part}"
                        )
                    if text:
                        worst = self._worst(rule, readings[place][1])
                        others = [row for i, row in enumerate(rows) if i != place]
                        near = backtest.told(rule.metric, others, self.least_rows)
                        alarms.append(
                            Alarm("performance", rule.metric, part.name, part.start, part.end, f"{text}{worst}; {near}")
                        )
            usual = self.estimator.usual.get(rule.metric)
            if usual is not None:
                parts = [part for part, _ in readings]
                broken = [self._broken(row, both) for row, both in zip(rows, limits, strict=True)]
                figures |= performance_figures.draw(rule.metric, parts, rows, [one[0] for one in limits], broken, usual)
        for part, reading in readings:
            if part.name in known.fresh:
                findings += self._beside(part, reading)
        fallen = performance_figures.classes(readings, self.estimator.usual, self.rules[0].metric)
        return Judgement(tuple(findings), tuple(alarms), tuple(undecided), figures | fallen)

    def backtest(self, known: Known) -> Backtest | None:
        """Of the headline."""
        metric = self.rules[0].metric
        return backtest.backtest(metric, rows_of(known.of(self.name), metric), self.least_rows)

    def limits(self, rule: Rule, part: Part, row: Row) -> tuple[Limits, Limits]:
        """Limits for the estimate and for the realised value: the rule's own, or, where it has none, derived ones.

        Derived: three sampling errors from the reference's own value, estimated or realised. The sampling error is
        NannyML's, of a chunk of that size (of its labelled rows, for the realised value), widened because the reference
        too is a sample. Where the reference has chunks enough, three standard deviations over these count as well.

        The rule's own holds as it is for a chunk that is full. What an open chunk has so far, or the labelled rows of a
        full one, is a sample of it, and breaks the rule only beyond three sampling errors: of all rows there are while
        it is open; of a full one with the share of rows that have no label yet, which is 0 once all have one (finite
        population correction: Cochran 1977, "Sampling techniques", section 2.6).
        """
        spec, usual = rule.spec, self.estimator.usual.get(rule.metric)
        lower_is_better = rule.metric in ERRORS
        if spec is not None and (spec.below is not None or spec.above is not None):
            low, high = (
                (-math.inf if spec.below is None else spec.below),
                math.inf if spec.above is None else spec.above,
            )
            return self._given(Limits(low, high), part, row)
        if spec is not None and spec.deviations is not None:
            why = f"{spec.deviations:g} standard deviations over the reference's chunks"
            low, high = rule.deviation
            given = Limits(-math.inf, high, why) if lower_is_better else Limits(low, math.inf, why)
            return self._given(given, part, row)
        if usual is None:
            unknown = Limits(math.nan, math.nan)
            return unknown, unknown
        spread = float(np.nanstd(usual.parts)) if np.isfinite(usual.parts).sum() > 1 else 0.0
        found = []
        for centre, rows in ((usual.estimated, part.rows), (usual.realised, row.get("labelled", 0))):
            own = sampling_error(row, part.rows, rows)
            margin = noise.DEVIATIONS * max(own * math.sqrt(1 + rows / max(self.reference, 1)), spread)
            why = f"three sampling errors from the reference's {centre:.3g}"
            low, high = (-math.inf, centre + margin) if lower_is_better else (centre - margin, math.inf)
            found.append(Limits(low, high, why))
        return found[0], found[1]

    def _given(self, given: Limits, part: Part, row: Row) -> tuple[Limits, Limits]:
        """The rule's own limits, for the estimate and for the realised value; see `limits`."""
        count = row.get("labelled", 0)
        if part.open:
            why = "the chunk is still open"
            estimated, realised = (
                given.wider(noise.DEVIATIONS * sampling_error(row, part.rows, rows), why) for rows in (part.rows, count)
            )
            return estimated, realised
        lacking = max(1 - count / max(part.rows, 1), 0.0)
        margin = noise.DEVIATIONS * sampling_error(row, part.rows, count) * math.sqrt(lacking)
        return given, given.wider(margin, f"{count} of {part.rows} rows have labels")

    def _doubt(self, rule: Rule, before: Sequence[Row], row: Row, limits: Limits) -> str:
        """Why an estimate without alarm decides nothing; empty where it may."""
        usual, value = self.estimator.usual.get(rule.metric), number(row.get("value"))
        if usual is None or limits.breaks(value) is not False:
            return ""
        scale = abs(usual.realised) if rule.metric in ERRORS else 1.0
        missed = backtest.missed(before, self.least_rows, scale)
        # A miss that would not turn the verdict leaves it.
        if missed is None or not (limits.breaks(value - missed.largest) or limits.breaks(value + missed.largest)):
            return ""
        off = f"estimates were off by {missed.mean:.2g} on the last {missed.chunks} chunks with labels"
        return f"{off}, so this one says little"

    def _judge(
        self, rule: Rule, part: Part, row: Row, limits: tuple[Limits, Limits], doubt: str
    ) -> tuple[Finding, str]:
        """The finding of the metric and, where it calls for an alarm, why.

        An alarm comes from the estimate, or from what labels say where rows enough have them.
        """
        said = self._said(row, limits)
        verdicts = {how: limit.breaks(value) for how, (limit, value) in said.items()}
        if doubt:
            verdicts["estimated"] = None
        # What labels say decides also where nothing can be estimated, and the other way round.
        alert = None if set(verdicts.values()) == {None} else any(verdicts.values())
        text = ""
        if alert:
            broken = [how for how, verdict in verdicts.items() if verdict]
            values = " and ".join(f"{how} at {said[how][1]:.3g}, {said[how][0]}" for how in broken)
            text = f"{rule.metric} in {part} is {values}"
        words = f"{limits[0]}; {doubt}" if doubt and alert is None else str(limits[0])
        return self._finding(part, rule.metric, row, words, alert, limits[0]), text

    def _said(self, row: Row, limits: tuple[Limits, Limits]) -> dict[str, tuple[Limits, float]]:
        """What is estimated and, where rows enough have labels, realised; each with its limits."""
        said = {"estimated": (limits[0], number(row.get("value")))}
        if row.get("labelled", 0) >= self.least_rows:
            said["realised"] = (limits[1], number(row.get("realised")))
        return said

    def _broken(self, row: Row, limits: tuple[Limits, Limits]) -> dict[str, float]:
        """Which of them call for an alarm, with their values."""
        return {how: value for how, (limit, value) in self._said(row, limits).items() if limit.breaks(value)}

    def _beside(self, part: Part, reading: Reading) -> list[Finding]:
        """Findings of classes and of what no rule asks for: they show where to look.

        A single class of a small chunk is too noisy to alarm anybody.
        """
        judged = {rule.metric for rule in self.rules}
        return [
            self._finding(part, name, row, "none: it shows where to look", None if row.get("value") is None else False)
            for name, row in reading["metrics"].items()
            if name not in judged and name in self.estimator.usual
        ]

    def _finding(
        self, part: Part, subject: str, row: Row, text: str, alert: bool | None, limits: Limits | None = None
    ) -> Finding:
        low, high = (None, None) if limits is None else (finite(limits.low), finite(limits.high))
        value, realised, error = (finite(number(row.get(key))) for key in ("value", "realised", "error"))
        return part.finding(
            "performance", subject, value, text, alert, realised,
            method=self.estimator.method, low=low, high=high, error=error,
        )  # fmt: skip

    def _worst(self, rule: Rule, reading: Reading) -> str:
        """The classes that fell most."""
        fallen: dict[str, tuple[float, float]] = {}
        for subject, usual in self.estimator.usual.items():
            value = number(reading["metrics"].get(subject, {}).get("value"))
            if usual.metric == rule.metric and subject != rule.metric and value < usual.estimated:
                fallen[subject] = (value - usual.estimated, value)
        order = sorted(fallen, key=lambda subject: fallen[subject][0])[:NAMED]
        return f"; most of it: {', '.join(f'{one} {fallen[one][1]:.2f}' for one in order)}" if order else ""


def fit(context: Context) -> Performance:
    """The instrument."""
    metrics = wanted_metrics(context.monitoring, context.problem)
    judged = task(context.problem.task).JUDGED
    estimator: Estimator
    if judged == "value":
        from pizzeria_plugins.monitors import values

        estimator = values.fit(context, metrics)
    elif judged == "class":
        from pizzeria_plugins.monitors import classes

        estimator = classes.fit(context, metrics)
    else:
        from pizzeria_plugins.monitors import presence

        estimator = presence.fit(context, metrics)
    specs = context.monitoring.rules or (None,)
    rules = tuple(_rule(context, metric, spec, estimator) for metric, spec in zip(metrics, specs, strict=True))
    chunks = max((len(one.parts) for one in estimator.usual.values()), default=len(context.parts))
    settings = {"metrics": list(metrics), "task": context.problem.task, "classes": list(context.problem.classes)}
    return Performance(rules, estimator, len(context.reference), chunks, context.options.least_rows, settings)


def _rule(context: Context, metric: str, spec: PerformanceThreshold | None, estimator: Estimator) -> Rule:
    usual: Usual | None = estimator.usual.get(metric)
    if spec is None or spec.deviations is None or usual is None or len(usual.parts) < LEAST_REFERENCE_CHUNKS:
        return Rule(metric, spec)
    from nannyml.thresholds import StandardDeviationThreshold

    rule = StandardDeviationThreshold(spec.deviations, spec.deviations)
    low, high = rule.thresholds(np.array(usual.parts))
    return Rule(metric, spec, (float(low), float(high)))


def rows_of(readings: Sequence[tuple[Part, Reading]], metric: str) -> list[Row]:
    """What was measured of a metric, chunk by chunk; with `rows` of the chunk, and how many are `labelled`."""
    return [
        {**reading["metrics"].get(metric, {}), "labelled": reading["labelled"], "rows": part.rows}
        for part, reading in readings
    ]


def sampling_error(row: Row, rows: int, of: int) -> float:
    """Of a value over `of` rows like those of a chunk of `rows`; 0 where none is known."""
    error = number(row.get("error"))
    return 0.0 if math.isnan(error) else error * math.sqrt(rows / max(of, 1))


def number(value: Any) -> float:
    """NaN for None."""
    return math.nan if value is None else float(value)


def finite(value: float) -> float | None:
    """None for what is not finite."""
    return value if math.isfinite(value) else None
