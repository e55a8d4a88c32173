"""Labels that contradict confident answers, more than other labels of the same time and the test set do."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pizzeria.maintenance.doubts import Doubt, Group, Known, named
from pizzeria.spec.maintenance import Trust

if TYPE_CHECKING:
    import pandas as pd

CONFIDENT = 0.9
"""From this calibrated probability on (or below the rest to 1) an answer is confident."""
_Z = 3.09
"""99.9 %, one-sided: many sources and classes are looked at."""
_LONE = 0.5
"""Where there is nothing to compare with, so many contradictions more than on the test set are doubted."""
_ANSWERS, _VALUES = "answers", "values"


class Claim(NamedTuple):
    """A confident answer: what was said, and whether the label contradicts it."""

    kind: str
    contradicted: bool


def claims(task: str, answer: Mapping[str, Any], truth: Mapping[str, Any], usual: float = math.inf) -> list[Claim]:
    """The confident answers to one input, and whether its label contradicts them.

    Args:
        answer: `p:<class>` and `pred`, as in `pizzeria.inference.records`.
        truth: See `pizzeria.inference.truth`.
        usual: Regression: errors up to this are usual.

    Example:
        >>> claims("tabular_classification", {"p:yes": 0.95, "p:no": 0.05, "pred": "yes"}, {"class": "no"})
        [Claim(kind='answers', contradicted=True), Claim(kind='answers yes', contradicted=True)]
        >>> claims("object_detection", {"p:bed": 0.02, "p:tv": 0.5}, {"classes": ["bed"]})
        [Claim(kind='answers no bed', contradicted=True)]
    """
    if "value" in truth:
        said = answer.get("pred")
        return [] if said is None else [Claim(_VALUES, abs(float(said) - float(truth["value"])) > usual)]
    p = {name.removeprefix("p:"): float(value) for name, value in answer.items() if name.startswith("p:")}
    if not p:
        return []
    if "class" in truth:
        best = max(p, key=lambda name: p[name])
        kinds = (_ANSWERS, f"{_ANSWERS} {best}") if p[best] >= CONFIDENT else ()
        return [Claim(kind, best != truth["class"]) for kind in kinds]
    shown = set(truth["classes"])
    sure = [Claim(f"answers {name}", name not in shown) for name, value in p.items() if value >= CONFIDENT]
    return sure + [Claim(f"answers no {name}", name in shown) for name, value in p.items() if value <= 1 - CONFIDENT]


def contradicting(
    examples: pd.DataFrame, new: Sequence[int], groups: Sequence[Group], known: Known, trust: Trust
) -> Iterator[Doubt]:
    usual = _usual_error(known.reference)
    answers, truths = examples["answer"].tolist(), examples["truth"].tolist()
    said = {i: claims(known.task, json.loads(answers[i]), json.loads(truths[i]), usual) for i in new}
    before = _tally(one for row in _reference_claims(known, usual) for one in row)
    at = examples["predicted_at"].tolist()
    known_inputs: frozenset[int] = frozenset()
    for group in (*groups, *_bursts(examples, groups, trust)):
        mine = {
            kind: counts
            for kind, counts in sorted(_tally(one for i in group.rows for one in said[i]).items())
            if counts[1] >= trust.least and _share(counts) > _share(before.get(kind, (0, 0))) + trust.contradicting
        }
        if not mine:
            continue
        first, last = min(at[i] for i in group.rows), max(at[i] for i in group.rows)
        inside = set(group.rows)
        others = _tally(one for i in new if i not in inside and first <= at[i] <= last for one in said[i])
        for kind, (against, count) in mine.items():
            usual_share = _share(before.get(kind, (0, 0)))
            beside = others.get(kind, (0, 0))
            alone = beside[1] < trust.least
            base = max(usual_share, 0.0 if alone else _share(beside))
            surely = lower_bound(against, count)
            if alone:
                # A bad day is no proof: errors of neighbouring hours are alike, and labels come in by the day. Nor is
                # it that the model errs on inputs unlike all that it was tested on.
                if not group.whole:
                    continue
                known_inputs = known_inputs or familiar(examples, known.reference)
                tally = _tally(one for i in group.rows if i in known_inputs for one in said[i])
                against, count = tally.get(kind, (0, 0))
                doubted = count >= trust.least and lower_bound(against, count) > base + max(_LONE, trust.contradicting)
            else:
                doubted = surely > base and against / count > base + trust.contradicting
            if not doubted:
                continue
            compared = (
                "on inputs like those of the test set, and there are no other labels of that time to compare with"
                if alone
                else f"and {beside[0]} of {beside[1]} are by other labels of that time"
            )
            rows = [i for i in group.rows if any(one.kind == kind and one.contradicted for one in said[i])]
            yield Doubt(
                group.source,
                f"{group.name} contradict {against} of {count} {_answers(kind)}, where {usual_share:.0%} are wrong on"
                f" the test set, {compared}: {named(examples, rows)}",
                tuple(group.rows),
            )
            break


def _answers(kind: str) -> str:
    if kind == _VALUES:
        return "answers by more than a usual error"
    said = kind.removeprefix(_ANSWERS).strip()
    return f"confident answers {said!r}" if said else "confident answers"


def _bursts(examples: pd.DataFrame, groups: Sequence[Group], trust: Trust) -> Iterator[Group]:
    """What one source said within one hour by the clock, where it said as much at other times too."""
    labelled = examples["labelled_at"].tolist()
    for group in groups:
        hours: dict[str, list[int]] = {}
        for i in group.rows:
            hours.setdefault(labelled[i][:13], []).append(i)
        for hour, rows in sorted(hours.items()):
            if len(hours) > 1 and len(rows) >= trust.least:
                yield Group(group.source, f"{group.name} of {hour.replace('T', ' ')} h", rows, whole=False)


def _reference_claims(known: Known, usual: float) -> Iterator[list[Claim]]:
    for record in known.reference.to_dict("records"):
        answer = {str(k): v for k, v in record.items() if str(k).startswith("p:") or k == "pred"}
        shown = [str(k).removeprefix("true:") for k, v in record.items() if str(k).startswith("true:") and v == 1]
        if any(str(k).startswith("true:") for k in record):
            truth: dict[str, Any] = {"classes": shown}
        elif "true" in record:
            truth = {"value": record["true"]} if known.task == "tabular_regression" else {"class": str(record["true"])}
        else:
            continue
        yield claims(known.task, answer, truth, usual)


def familiar(examples: pd.DataFrame, reference: pd.DataFrame) -> frozenset[int]:
    """Rows whose columns are each within what the test set has: between its smallest and largest, or one of its values.

    What is missing counts as within.
    """
    import pandas as pd

    inside = np.ones(len(examples), np.bool_)
    for name in (str(name) for name in examples if str(name).startswith("feature:") and name in reference):
        theirs = reference[name].dropna()
        if not len(theirs):
            continue
        mine = examples[name]
        if pd.api.types.is_numeric_dtype(theirs) and not pd.api.types.is_bool_dtype(theirs):
            numbers = pd.to_numeric(mine, errors="coerce").to_numpy(np.float64)
            within = np.isnan(numbers) | ((numbers >= theirs.min()) & (numbers <= theirs.max()))
        elif pd.api.types.is_datetime64_any_dtype(theirs):
            continue  # time goes on
        else:
            within = (mine.isna() | mine.astype(str).isin(set(theirs.astype(str)))).to_numpy(np.bool_)
        inside &= within
    return frozenset(np.flatnonzero(inside).tolist())


def _usual_error(reference: pd.DataFrame) -> float:
    """Regression: what 99 of 100 errors on the test set do not exceed; at least twice the target's own spread."""
    if "true" not in reference or reference["true"].dtype == object or not len(reference):
        return math.inf
    try:
        true = reference["true"].astype("float64")
        errors = (reference["pred"].astype("float64") - true).abs()
    except (TypeError, ValueError):
        return math.inf
    return max(float(errors.quantile(0.99)), 2 * float(true.std(ddof=0)))


def _tally(found: Any) -> dict[str, tuple[int, int]]:
    """By kind, how many are contradicted, and how many there are."""
    counts: dict[str, list[int]] = {}
    for kind, contradicted in found:
        one = counts.setdefault(kind, [0, 0])
        one[0] += contradicted
        one[1] += 1
    return {kind: (one[0], one[1]) for kind, one in counts.items()}


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else 0.0


def lower_bound(hits: int, count: int) -> float:
    """Lower end of the one-sided 99.9 % interval of a share (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).

    Example:
        >>> lower_bound(0, 20), round(lower_bound(20, 20), 3)
        (0.0, 0.677)
    """
    if not count:
        return 0.0
    p, z2 = hits / count, _Z * _Z
    middle = p + z2 / (2 * count)
    spread = _Z * math.sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    return max(0.0, (middle - spread) / (1 + z2 / count))
