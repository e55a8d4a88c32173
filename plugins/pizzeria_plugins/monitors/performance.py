"""How well the model does: estimated without labels, realised where there are labels, and the rule on both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import Finding
from pizzeria.spec.monitoring import PerformanceThreshold
from pizzeria_plugins.monitors import noise
from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.metrics import ERRORS

if TYPE_CHECKING:
    import pandas as pd

NAMED = 3
"""An alert names so many classes, the worst first."""


@dataclass(frozen=True)
class Estimate:
    """One metric over the parts.

    Attributes:
        subject: `f1`, or `f1 of bed`.
        reference: Its realised value on the reference, mean over the reference's parts.
        expected: Its estimated value there. Where probabilities are not well calibrated the two differ, and a healthy
            estimate is near this one.
        reference_parts: [R] realised on the reference, part by part.
        values: [P] estimated without labels; NaN where it cannot be.
        errors: [P] NannyML's sampling error of a part of that size.
        realised: [P] from the labels; NaN without.
        result: NannyML's result; None for a mean over classes.
    """

    subject: str
    reference: float
    expected: float
    reference_parts: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    realised: NDArray[np.float64]
    result: Any = None


@dataclass(frozen=True)
class Performance:
    """The metric that the rule judges, the classes behind it, and what could not be estimated."""

    metric: str
    whole: Estimate | None
    classes: tuple[Estimate, ...] = ()
    undecided: tuple[str, ...] = ()
    labelled: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """[P] rows of each part whose truth is known."""


@dataclass(frozen=True)
class Limits:
    """[P] values below and above which a part raises an alert, infinite where there is none, and why, in words."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    why: str

    def text(self, part: int) -> str:
        low, high = float(self.low[part]), float(self.high[part])
        bounds = [f"below {low:.3g}"] * math.isfinite(low) + [f"above {high:.3g}"] * math.isfinite(high)
        return " or ".join(bounds) + (f" ({self.why})" if self.why else "")

    def breaks(self, part: int, value: float) -> bool | None:
        """Whether a value calls for an alert; None when it, or the limit, is unknown."""
        low, high = float(self.low[part]), float(self.high[part])
        return None if any(map(math.isnan, (low, high, value))) else not low <= value <= high


def read_estimate(subject: str, metric: str, result: Any, reference_parts: int) -> Estimate:
    """Take the figures out of a result of NannyML's CBPE or DLE, whose first rows are the reference's parts."""
    table = {name: result.data[(metric, name)].to_numpy(float) for name in ("value", "sampling_error", "realized")}
    own = table["realized"][:reference_parts]
    return Estimate(
        subject,
        mean(own),
        mean(table["value"][:reference_parts]),
        own,
        table["value"][reference_parts:],
        table["sampling_error"][reference_parts:],
        table["realized"][reference_parts:],
        result,
    )


def mean(values: NDArray[np.float64]) -> float:
    """The mean of what is there; NaN when nothing is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def limits(
    estimate: Estimate, rule: PerformanceThreshold | None, parts: Sequence[Part], rows: int
) -> tuple[Limits, Limits]:
    """Limits for the estimate and for the realised value: the rule's own, or, where it has none, derived ones.

    Derived: three sampling errors from the reference's own value, estimated or realised. The sampling error is
    NannyML's, of a part of that size, widened because the reference too is a sample, of `rows` rows. Where the
    reference has parts enough, three standard deviations over these count as well.
    """
    if rule is not None and (rule.below is not None or rule.above is not None):
        low = np.full(len(parts), -math.inf if rule.below is None else rule.below)
        high = np.full(len(parts), math.inf if rule.above is None else rule.above)
        given = Limits(low, high, "")
        return given, given
    share = np.sqrt(1 + np.array([part.rows for part in parts]) / rows)
    margin = np.nan_to_num(noise.DEVIATIONS * estimate.errors * share)
    if len(estimate.reference_parts) > 1:
        margin = np.maximum(margin, noise.DEVIATIONS * float(np.nanstd(estimate.reference_parts)))
    nowhere = np.full(len(parts), np.inf)
    lower_is_better = estimate.subject in ERRORS
    found = []
    for centre in (estimate.expected, estimate.reference):
        why = f"three sampling errors from the reference's {centre:.3g}"
        low, high = (-nowhere, centre + margin) if lower_is_better else (centre - margin, nowhere)
        found.append(Limits(low, high, why))
    return found[0], found[1]


def judge_performance(
    performance: Performance, bounds: tuple[Limits, Limits] | None, parts: Sequence[Part], least_rows: int
) -> tuple[list[Finding], list[str], list[str]]:
    """Findings for the metric and for each class behind it; alerts come from the metric alone.

    A single class of a small chunk is too noisy to alarm anybody: its findings say where to look.
    An alert comes from the estimate, or from what labels say where at least `least_rows` rows have them.
    """
    undecided = list(performance.undecided)
    whole = performance.whole
    if whole is None or bounds is None:
        return [_finding(performance.metric, None, p, part, "", None) for p, part in enumerate(parts)], [], undecided
    findings, alerts = [], []
    for p, part in enumerate(parts):
        said = {"estimated": (bounds[0], float(whole.values[p]))}
        if performance.labelled[p] >= least_rows:
            said["realised"] = (bounds[1], float(whole.realised[p]))
        verdicts = {how: limit.breaks(p, value) for how, (limit, value) in said.items()}
        # What labels say decides also where nothing can be estimated, and the other way round.
        alert = None if set(verdicts.values()) == {None} else any(verdicts.values())
        findings.append(_finding(whole.subject, whole, p, part, bounds[0].text(p), alert))
        for one in performance.classes:
            alone = False if math.isfinite(one.values[p]) else None
            findings.append(_finding(one.subject, one, p, part, "none: it shows where to look", alone))
        if alert is None:
            undecided.append(f"{whole.subject} cannot be estimated in {part}")
        elif alert:
            broken = [how for how, verdict in verdicts.items() if verdict]
            values = " and ".join(f"{how} at {said[how][1]:.3g}, {said[how][0].text(p)}" for how in broken)
            alerts.append(f"{whole.subject} in {part} is {values}{_worst(performance, p)}")
    return findings, alerts, undecided


def labelled(frame: pd.DataFrame, columns: Sequence[str], parts: Sequence[Part]) -> NDArray[np.int64]:
    """[P] rows of each part with a value in any of `columns`."""
    present = [column for column in columns if column in frame]
    known = frame[present].notna().any(axis=1).to_numpy() if present else np.zeros(len(frame), bool)
    return np.array([int(known[part.first : part.stop].sum()) for part in parts], np.int64)


def _worst(performance: Performance, part: int) -> str:
    values = {one.subject: float(one.values[part]) for one in performance.classes}
    fallen = {one.subject: values[one.subject] - one.expected for one in performance.classes}
    order = sorted((name for name in fallen if fallen[name] < 0), key=fallen.__getitem__)[:NAMED]
    return f"; most of it: {', '.join(f'{name} {values[name]:.2f}' for name in order)}" if order else ""


def _finding(subject: str, estimate: Estimate | None, index: int, part: Part, text: str, alert: bool | None) -> Finding:
    value = realised = None
    if estimate is not None:
        value, realised = (
            float(series[index]) if math.isfinite(series[index]) else None
            for series in (estimate.values, estimate.realised)
        )
    return part.finding("performance", subject, value, text, alert, realised)
