"""The gate: whether an evaluation meets the success criteria. What cannot be judged does not pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pizzeria.spec.problem import Criterion


@dataclass(frozen=True)
class Gain:
    """How much better a model is than the live champion, on the same test rows that the champion never learnt from.

    Attributes:
        value: In the metric's unit; below 0 when it is worse.
        low, high: Its interval; NaN where there is none.
        champion: The champion's figure.
        rows: Photos or rows that both were judged on.
        undecided: Why it cannot be told; empty when it can.
    """

    value: float
    low: float
    high: float
    champion: float
    rows: int
    undecided: str = ""


@dataclass(frozen=True)
class Outcome:
    """How one criterion went; `gate.json` holds a list of these."""

    metric: str
    of_class: str | None
    at_least: float | None
    at_most: float | None
    value: float | None
    """None where there is none, or it is no finite number."""
    passed: bool | None
    """None: undecided, which counts as not passed."""
    text: str
    """One sentence for people, with by how much it was missed."""
    slice: dict[str, Any] | None = None
    lower_bound: bool = False
    interval: tuple[float, float] | None = None
    """Of the value, where it has one."""
    gain_over_champion: float | None = None
    gain: dict[str, Any] | None = None
    """As of `Gain`; None where the champion was not asked for, or there is none."""

    def plain(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)


def judge(
    criteria: Iterable[Criterion], evaluation: Mapping[str, Any], gains: Mapping[int, Gain] | None = None
) -> list[Outcome]:
    """Hold each criterion against what `Evaluator.evaluate` found on the test split.

    A criterion is undecided when the split is empty, when its value (or its interval, where that is asked for) is
    missing or NaN, and, for one over all classes of the whole split, when some class was never seen in the truth: a
    mean over the other classes says nothing of it. In a slice the mean is over the classes that the slice has.

    Args:
        evaluation: With what `pizzeria.measuring.assessment` adds.
        gains: Of the criteria that ask for one, by their place, where there is a champion.

    Example:
        >>> evaluation = {"metrics": {"map_50": 0.41}, "per_class": {}, "examples": 90, "classes_never_seen": []}
        >>> judge([Criterion(metric="map_50", at_least=0.6)], evaluation)[0].text
        'map_50 is 0.41, at least 0.6 was asked: 0.19 short'
    """
    return [_judge(criterion, evaluation, (gains or {}).get(i)) for i, criterion in enumerate(criteria)]


def passes(outcomes: Sequence[Outcome]) -> bool:
    """Whether there is a criterion at all, and each one passed."""
    return bool(outcomes) and all(outcome.passed is True for outcome in outcomes)


def _judge(criterion: Criterion, evaluation: Mapping[str, Any], gain: Gain | None) -> Outcome:
    where = _part(criterion, evaluation)
    value, interval = _figure_of(criterion, where)
    reason = _undecided(criterion, value, interval, gain, evaluation, where)
    passed: bool | None = None
    if reason or value is None:
        text = f"{criterion.subject} is undecided, which does not pass: {reason}"
    else:
        asked, misses = _asked(criterion, value, interval, gain)
        bounds = (criterion.at_least, criterion.at_most)
        text = f"{criterion.subject} is {_figure(value, bounds)}"
        if criterion.lower_bound and interval is not None:
            text += f" ({_figure(interval[0], bounds)} to {_figure(interval[1], bounds)})"
        text += f", {', and '.join(asked)}"
        text += f": {', and '.join(misses)}" if misses else ""
        passed = not misses
    return Outcome(
        criterion.metric,
        criterion.of_class,
        criterion.at_least,
        criterion.at_most,
        value,
        passed,
        text,
        slice=None if criterion.part is None else dict([criterion.part]),
        lower_bound=criterion.lower_bound,
        interval=interval,
        gain_over_champion=criterion.gain_over_champion,
        gain=None if gain is None else asdict(gain),
    )


def _part(criterion: Criterion, evaluation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The evaluation, or that of the slice; empty where there is no such slice."""
    if criterion.part is None:
        return evaluation
    column, value = criterion.part
    found: Mapping[str, Any] = (evaluation.get("slices") or {}).get(column, {}).get(value, {})
    return found


def _figure_of(criterion: Criterion, where: Mapping[str, Any]) -> tuple[float | None, tuple[float, float] | None]:
    """The value and its interval; None where there is none, or it is no finite number."""
    values, intervals = where.get("metrics", {}), where.get("intervals", {})
    if criterion.of_class is not None:
        values = where.get("per_class", {}).get(criterion.of_class, {})
        intervals = where.get("per_class_intervals", {}).get(criterion.of_class, {})
    found, interval = values.get(criterion.metric), intervals.get(criterion.metric)
    value = None if found is None or not math.isfinite(found) else float(found)
    if interval is None or any(math.isnan(end) for end in interval):
        return value, None
    return value, (float(interval[0]), float(interval[1]))


def _asked(
    criterion: Criterion, value: float, interval: tuple[float, float] | None, gain: Gain | None
) -> tuple[list[str], list[str]]:
    """What was asked, in words, and by how much it was missed."""
    low, high = interval if criterion.lower_bound and interval is not None else (value, value)
    asked: list[str] = []
    bounds: list[str] = []
    misses: list[str] = []
    for word, bound, end, gap in (
        ("at least", criterion.at_least, "lower", (criterion.at_least or 0) - low),
        ("at most", criterion.at_most, "upper", high - (criterion.at_most or 0)),
    ):
        if bound is not None:
            of_end = f" of the {end} end" if criterion.lower_bound else ""
            bounds.append(f"{word} {bound:g}{of_end}")
            misses += [f"{gap:.3g} {'short' if word == 'at least' else 'too much'}"] if gap > 0 else []
    if bounds:
        asked.append(f"{' and '.join(bounds)} was asked")
    if criterion.gain_over_champion is not None:
        asked.append("there is no other champion to be better than" if gain is None else _against(criterion, gain))
        if gain is not None:
            short = criterion.gain_over_champion - (gain.low if criterion.lower_bound else gain.value)
            misses += [f"{short:.3g} short"] if short > 0 else []
    return asked, misses


def _against(criterion: Criterion, gain: Gain) -> str:
    interval = "" if math.isnan(gain.low) else f", {gain.low:+.3g} to {gain.high:+.3g}"
    of_end = " of the lower end" if criterion.lower_bound else ""
    return (
        f"a gain of {gain.value:+.3g}{interval} over the champion's {gain.champion:.3g} on {gain.rows} that it never "
        f"learnt from, at least {criterion.gain_over_champion:+g} was asked{of_end}"
    )


def _undecided(
    criterion: Criterion,
    value: float | None,
    interval: tuple[float, float] | None,
    gain: Gain | None,
    evaluation: Mapping[str, Any],
    where: Mapping[str, Any],
) -> str:
    """Why the criterion cannot be judged; empty when it can."""
    if not evaluation["examples"]:
        return "the test split is empty"
    if criterion.part is not None:
        column, part = criterion.part
        if not where:
            return f"the test split has nothing where {column} is {part}"
        if where["undecided"]:
            return f"the test split has {where['count']} where {column} is {part}, {where['undecided']}"
    else:
        never = evaluation["classes_never_seen"]
        if criterion.of_class is not None and criterion.of_class in never:
            return f"the test split has no {criterion.of_class}"
        if criterion.of_class is None and never:
            return f"the test split has no {', no '.join(never)}"
    if value is None:
        return "it could not be computed"
    if criterion.lower_bound and interval is None and (criterion.at_least, criterion.at_most) != (None, None):
        return "it has no interval: there are too few examples"
    if gain is not None and gain.undecided:
        return f"against the champion it cannot be told: {gain.undecided}"
    if gain is not None and not gain.rows:
        return "against the champion it cannot be told: there is no row that it never learnt from"
    if gain is not None and (not math.isfinite(gain.value) or (criterion.lower_bound and math.isnan(gain.low))):
        return "against the champion it cannot be told"
    return ""


def _figure(value: float, bounds: Iterable[float | None]) -> str:
    """Three digits, or as many as tell the value from a bound that it does not equal."""
    for digits in range(3, 17):
        text = f"{value:.{digits}g}"
        if all(bound is None or bound == value or float(text) != bound for bound in bounds):
            return text
    return repr(value)
