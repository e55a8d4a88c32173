"""Whether values are missing from the traffic, were never seen in the reference, or lie outside its range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import Alarm, Finding
from pizzeria.spec.monitoring import QualityThreshold
from pizzeria_plugins.monitors import noise
from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.instruments import Context, Judgement, Known, Reading
from pizzeria_plugins.monitors.schema import Column, Schema

if TYPE_CHECKING:
    import pandas as pd

SUBJECTS = {
    "missing": "missing values",
    "unseen": "values never seen",
    "outside": "values out of range",
}
"""What an alarm is about, by what was counted."""
NAMED = 4
"""An alarm names so many columns, the worst first."""
TOLD = 3
"""So many new categories are named."""


@dataclass(frozen=True)
class Before:
    """A column of the reference.

    Attributes:
        missing: Share of the rows without a value.
        once: Share of the rows whose category no other row has.
        low: Least number; NaN of a category.
        high: Largest number.
        rows: With a value.
        alike: Rows that count as one, since photos of one listing look alike: at least 1.
    """

    missing: float
    once: float
    low: float
    high: float
    rows: int
    alike: float = 1.0


@dataclass
class Quality:
    """The instrument. A reading has shares of the chunk's rows by what was counted and column: those above 0."""

    name = "quality"

    rule: QualityThreshold
    schema: Schema
    before: Mapping[str, Before]
    settings: Mapping[str, Any]
    truth: bool = False

    def wants(self, column: str) -> bool:
        return self.schema.wants(column)

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        read = self.schema.read(chunk)
        shares: dict[str, dict[str, float]] = {sort: {} for sort in SUBJECTS}
        told: dict[str, str] = {}
        for column in self.schema.columns:
            name, values, before = column.name, read.values.get(column.name), self.before[column.name]
            missing = np.ones(read.rows, bool) if values is None else np.isnan(values)
            counted = {"missing": int(missing.sum())}
            if values is not None and column.kind == "category":
                counted["unseen"] = int((values >= len(column.known)).sum())
                if counted["unseen"]:
                    told[name] = ", ".join(sorted(read.fresh.get(name, ()))[:TOLD])
            if values is not None and column.kind in ("number", "length") and not column.output:
                counted["outside"] = int(((values < before.low) | (values > before.high)).sum())
                if counted["outside"]:
                    told[name] = f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}"
            for sort, count in counted.items():
                if count:
                    shares[sort][name] = count / read.rows
        return {"shares": shares, "told": told}

    def judge(self, known: Known) -> Judgement:
        findings: list[Finding] = []
        alarms: list[Alarm] = []
        for part, reading in known.of(self.name):
            if part.name not in known.fresh:
                continue
            where = (part.name, part.start, part.end)
            found = False
            for sort, shares in reading["shares"].items():
                broken = []
                for name, value in shares.items():
                    usual, limit = self.limits(sort, name, part.rows)
                    if sort == "outside" and value <= usual:
                        continue  # a few of a healthy chunk's always are
                    text, alert = f"above {limit:.3g}", value > limit
                    subject = f"{sort} {name}" if sort != "outside" else f"{name} out of range"
                    findings.append(Finding("quality", subject, *where, value, text, alert, None, "share", None, limit))
                    found = True
                    if alert:
                        broken.append((value / limit if limit else math.inf, name, value))
                if broken:
                    alarms.append(self._alarm(sort, part, sorted(broken, reverse=True), reading["told"]))
            if not found:
                high = self.rule.missing_above
                subject = "missing or unseen values"
                text = f"above {high:.3g}"
                findings.append(Finding("quality", subject, *where, 0.0, text, False, None, "share", None, high))
        return Judgement(tuple(findings), tuple(alarms))

    def limits(self, sort: str, name: str, rows: int) -> tuple[float, float]:
        """Share that healthy chunks show at most, and above which it alerts: that, or what the rule allows if more.

        Missing: that of the reference and three of NannyML's sampling errors. Unseen: in a healthy chunk a share of
        once / M is to be expected, with `once` the categories that one of M rows has (Good 1953, "The population
        frequencies of species and the estimation of population parameters"), give or take three sampling errors. Out
        of range: of M numbers and one more, each is equally likely to be the largest, so that 2 / (M + 1) is to be
        expected, and either tail beyond the reference holds 1 / M give or take 1 / M. Photos of one listing look alike,
        so it is listings that are counted.
        """
        before = self.before[name]
        if sort == "missing":
            error = math.sqrt(before.missing * (1 - before.missing) / rows)
            usual = before.missing + noise.DEVIATIONS * error
            return usual, max(usual, before.missing + self.rule.missing_above)
        if sort == "unseen":
            error = math.sqrt(before.once * (1 - before.once) / rows)
            usual = before.once + noise.DEVIATIONS * error
            return usual, max(usual, self.rule.unseen_above)
        count = before.rows / before.alike
        share = 2 / (count + 1)
        error = math.sqrt(share * (1 - share) * before.alike / rows + 2 / count**2)
        usual = share + noise.DEVIATIONS * error
        return usual, max(usual, self.rule.outside_above)

    def _alarm(
        self, sort: str, part: Part, broken: Sequence[tuple[float, str, float]], told: Mapping[str, str]
    ) -> Alarm:
        words = [self._words(sort, name, value, told) for _, name, value in broken[:NAMED]]
        more = f", and {len(broken) - NAMED} more columns" if len(broken) > NAMED else ""
        text = f"in {part} {'; '.join(words)}{more}"
        columns = tuple(name for _, name, _ in broken[:NAMED])
        return Alarm("quality", SUBJECTS[sort], part.name, part.start, part.end, text[0].upper() + text[1:], columns)

    def _words(self, sort: str, name: str, value: float, told: Mapping[str, str]) -> str:
        before = self.before[name]
        if sort == "missing":
            return f"{name} is missing in {value:.0%} of the rows, in the reference in {before.missing:.0%}"
        if sort == "unseen":
            return f"{name} has values that the reference never had in {value:.0%}: {told.get(name, '')}"
        return (
            f"{name} is out of the reference's range, {before.low:.4g} to {before.high:.4g}, in {value:.0%}: "
            f"it goes from {told.get(name, '')}"
        )


def fit(context: Context) -> Quality | None:
    """The instrument; None when the reference has no column to compare."""
    schema = context.schema
    if not schema.columns:
        return None
    alike = len(context.reference) / len(noise.groups(context.reference))
    before = {column.name: _before(column, context.numbers.values[column.name], alike) for column in schema.columns}
    return Quality(context.monitoring.quality, schema, before, {})


def _before(column: Column, values: NDArray[np.float64], alike: float) -> Before:
    known = values[~np.isnan(values)]
    missing = 1 - len(known) / len(values)
    if column.categorical:
        counts = np.bincount(known.astype(np.int64))
        return Before(missing, float((counts == 1).sum() / len(known)), math.nan, math.nan, len(known), alike)
    return Before(missing, 0.0, float(known.min()), float(known.max()), len(known), alike)
