"""The gate: whether an evaluation meets the success criteria. What cannot be judged does not pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pizzeria.spec.problem import Criterion


@dataclass(frozen=True)
class Outcome:
    """How one criterion went; `gate.json` holds a list of these."""

    metric: str
    of_class: str | None
    at_least: float | None
    at_most: float | None
    value: float | None
    """None where there is none, or it is NaN."""
    passed: bool | None
    """None: undecided, which counts as not passed."""
    text: str
    """One sentence for people, with by how much it was missed."""

    def plain(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)


def judge(criteria: Iterable[Criterion], evaluation: Mapping[str, Any]) -> list[Outcome]:
    """Hold each criterion against what `Evaluator.evaluate` found on the test split.

    A criterion is undecided when the split is empty, when its value is missing or NaN, and, for one over all classes,
    when some class was never seen in the truth: a mean over the other classes says nothing of it.

    Example:
        >>> evaluation = {"metrics": {"map_50": 0.41}, "per_class": {}, "examples": 90, "classes_never_seen": []}
        >>> judge([Criterion(metric="map_50", at_least=0.6)], evaluation)[0].text
        'map_50 is 0.41, at least 0.6 was asked: 0.19 short'
    """
    return [_judge(criterion, evaluation) for criterion in criteria]


def passes(outcomes: Sequence[Outcome]) -> bool:
    """Whether there is a criterion at all, and each one passed."""
    return bool(outcomes) and all(outcome.passed is True for outcome in outcomes)


def _judge(criterion: Criterion, evaluation: Mapping[str, Any]) -> Outcome:
    metric, of_class = criterion.metric, criterion.of_class
    name = metric if of_class is None else f"{metric} of {of_class}"
    values = evaluation["metrics"] if of_class is None else evaluation["per_class"].get(of_class, {})
    found = values.get(metric)
    value = None if found is None or math.isnan(found) else float(found)
    bounds = {"at_least": criterion.at_least, "at_most": criterion.at_most}
    if reason := _undecided(criterion, value, evaluation):
        text = f"{name} is undecided, which does not pass: {reason}"
        return Outcome(metric, of_class, **bounds, value=value, passed=None, text=text)
    assert value is not None
    asked, misses = [], []
    for word, bound, gap in (
        ("at least", criterion.at_least, (criterion.at_least or 0) - value),
        ("at most", criterion.at_most, value - (criterion.at_most or 0)),
    ):
        if bound is not None:
            asked.append(f"{word} {bound:g}")
            misses += [f"{gap:.3g} {'short' if word == 'at least' else 'too much'}"] if gap > 0 else []
    text = f"{name} is {_figure(value, bounds.values())}, {' and '.join(asked)} was asked"
    text += f": {misses[0]}" if misses else ""
    return Outcome(metric, of_class, **bounds, value=value, passed=not misses, text=text)


def _undecided(criterion: Criterion, value: float | None, evaluation: Mapping[str, Any]) -> str:
    """Why the criterion cannot be judged; empty when it can."""
    if not evaluation["examples"]:
        return "the test split is empty"
    never = evaluation["classes_never_seen"]
    if criterion.of_class is not None and criterion.of_class in never:
        return f"the test split has no {criterion.of_class}"
    if criterion.of_class is None and never:
        return f"the test split has no {', no '.join(never)}"
    return "it could not be computed" if value is None else ""


def _figure(value: float, bounds: Iterable[float | None]) -> str:
    """Three digits, or as many as tell the value from a bound that it does not equal."""
    for digits in range(3, 17):
        text = f"{value:.{digits}g}"
        if all(bound is None or bound == value or float(text) != bound for bound in bounds):
            return text
    return repr(value)
