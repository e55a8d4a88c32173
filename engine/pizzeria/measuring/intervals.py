"""Bootstrap intervals of a model's own figures.

Groups of rows (listings, or single photos or rows) are drawn with replacement, as many as there are, and each figure is
computed anew. The interval holds the middle share of what comes out, moved for bias and skewness: the BCa interval
(Efron 1987, "Better bootstrap confidence intervals"; Efron and Tibshirani 1993, section 14.3), whose acceleration comes
from leaving out one group, or one of `BLOCKS` blocks of groups. Average precision needs that: of 200 photos the plain
percentile interval of mAP held the truth in 83 of 100 trials, the BCa one in 96. Two figures need more:

- The calibration error of few rows is too large, and that of a draw is so once more: its interval is the basic one
  (Davison and Hinkley 1997, "Bootstrap methods and their application", section 5.2), which takes that off, and is made
  to hold the figure.
- A score that is the same in each draw, such as 1 where no row is wrong, may still be worse on other rows: the interval
  reaches as far as the exact one of a share of groups would (Clopper and Pearson 1934).

Of more groups than `MOST_GROUPS` each draw takes that many (the m out of n bootstrap, Bickel, Goetze and van Zwet
1997), from so many that are drawn once without replacement; what comes out is as much too wide as the root of n / m,
and is narrowed by that. So the work is bounded however many rows there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pizzeria.measuring.draws import LEAST_GROUPS, LOST, Draws
from pizzeria.measuring.judged import Floats, Judged, macro
from pizzeria.measuring.weighted import weighted

MOST_GROUPS = 5000
BLOCKS = 200
_NORMAL = NormalDist()
_FURTHEST = 0.1
"""Where a figure lies further out among its draws than this, its bias is too large to be moved for in full."""
_BIASED = ("calibration_error",)
_UNBOUNDED = ("mae", "rmse", "r2", "log_loss")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Rule:
    """How intervals are made.

    Attributes:
        confidence: Share of the draws that they hold.
        resamples: Draws; 0 for no intervals.
        most: Groups in one draw.
    """

    confidence: float = 0.95
    resamples: int = 500
    most: int = MOST_GROUPS
    seed: int = 0


@dataclass(frozen=True)
class Figures:
    """Figures of one set of rows; NaN where one cannot be computed.

    Attributes:
        metrics: By metric; the mean over the classes where it has classes.
        per_class: By metric, [C].
        intervals: By metric, of those that have one.
        class_intervals: By metric, one of each class, None where it has none.
    """

    metrics: Mapping[str, float]
    per_class: Mapping[str, Floats]
    intervals: Mapping[str, Interval]
    class_intervals: Mapping[str, Sequence[Interval | None]]


def groups_of(names: Sequence[str] | None, rows: int) -> NDArray[np.int64]:
    """[N] number of each row's group, from 0; without names each row is a group."""
    if names is None:
        return np.arange(rows)
    found: NDArray[np.int64] = np.unique(np.array(names, np.str_), return_inverse=True)[1].astype(np.int64)
    return found


def figures(
    judged: Judged, metrics: Sequence[str], group: NDArray[np.int64], rule: Rule, wanted: Sequence[str] | None = None
) -> Figures:
    """Each metric that `pizzeria.measuring.weighted` knows, with its interval.

    Args:
        group: [N] of each row.
        wanted: Metrics that get an interval; all of them without it.
    """
    known = {name: measure for name in metrics if (measure := weighted(name, judged)) is not None}
    points = {name: measure(np.ones((1, judged.rows))) for name, measure in known.items()}
    per_class = {name: one[0] for name, one in points.items() if _by_class(judged, one)}
    tops = {name: float(macro(one)[0]) for name, one in points.items()}
    asked = [name for name in known if wanted is None or name in wanted]
    whole: dict[str, Interval] = {}
    each: dict[str, list[Interval | None]] = {}
    there = _groups_with(judged, group) if per_class else []
    for name, drawn in _drawn(judged, asked, group, rule).items():
        found = interval(name, tops[name], drawn.of(macro), rule.confidence, _count(group))
        if found is not None:
            whole[name] = found
        if name in per_class:
            each[name] = [
                interval(name, float(value), drawn.of(itemgetter((slice(None), i))), rule.confidence, there[i])
                for i, value in enumerate(per_class[name])
            ]
    return Figures(tops, per_class, whole, each)


def _by_class(judged: Judged, values: Floats) -> bool:
    return judged.true is not None and values.shape[1] == judged.true.shape[1] and values.shape[1] > 1


def _groups_with(judged: Judged, group: NDArray[np.int64]) -> list[int]:
    """[C] in how many groups each class is true."""
    assert judged.true is not None
    return [int((np.bincount(group[true]) > 0).sum()) for true in judged.true.T]


def _count(group: NDArray[np.int64]) -> int:
    return int(group.max()) + 1 if len(group) else 0


@dataclass(frozen=True)
class Drawn:
    """One metric, again and again: [.., C], or [..] after `of`.

    Attributes:
        middle: [1, C] of the rows that were drawn from.
        draws: [B, C].
        without: [K, C] each without one group, or one block of groups.
        scale: By how much the draws must be narrowed.
    """

    middle: Floats
    draws: Floats
    without: Floats
    scale: float = 1.0

    def of(self, one: Callable[[Floats], Floats]) -> Drawn:
        """One number of the classes' each time: their mean, or one of them."""
        return Drawn(one(self.middle), one(self.draws), one(self.without), self.scale)


def _drawn(judged: Judged, metrics: Sequence[str], group: NDArray[np.int64], rule: Rule) -> dict[str, Drawn]:
    """By metric; empty where there are too few groups, or no draws are wanted."""
    count = _count(group)
    if count < LEAST_GROUPS or not rule.resamples:
        return {}
    scale, chance = 1.0, np.random.default_rng(rule.seed)
    if count > rule.most:
        some = np.sort(chance.choice(count, rule.most, replace=False))
        place = np.full(count, -1)
        place[some] = np.arange(rule.most)
        rows = np.flatnonzero(place[group] >= 0)
        judged, group = judged.of(rows), place[group[rows]]
        scale, count = math.sqrt(rule.most / count), rule.most
    measures = [measure for name in metrics if (measure := weighted(name, judged)) is not None]
    draws = Draws(group, count, rule.resamples, math.inf, rule.seed).of(measures)
    block = chance.permutation(count) % min(count, BLOCKS)
    without = (block[group][None] != np.arange(min(count, BLOCKS))[:, None]).astype(np.float64)
    once = np.ones((1, judged.rows))
    return {
        name: Drawn(measure(once), drawn, measure(without), scale)
        for name, measure, drawn in zip(metrics, measures, draws, strict=True)
    }


def interval(metric: str, value: float, drawn: Drawn, confidence: float, groups: int) -> Interval | None:
    """From the draws of one number; None where the figure, or too many of the draws, cannot be computed.

    Args:
        value: The figure on all rows.
        groups: How many there are that tell of it.
    """
    there, middle = drawn.draws[~np.isnan(drawn.draws)], float(drawn.middle[0])
    if math.isnan(value) or math.isnan(middle) or len(there) < (1 - LOST) * len(drawn.draws):
        return None
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    biased = metric in _BIASED
    levels = tails if biased else _levels(tails, drawn)
    low, high = (float(one) for one in drawn.scale * (np.quantile(there, levels) - middle))
    if biased:
        return max(0.0, min(value, value - high)), max(value, value - low)
    if metric in _UNBOUNDED:
        return value + low, value + high
    if low == high == 0:
        high = 1 - tails[0] ** (1 / max(1, groups))
        low = -high
    return max(0.0, value + low), min(1.0, value + high)


def _levels(tails: tuple[float, float], drawn: Drawn) -> tuple[float, float]:
    """The levels of the draws at which a BCa interval ends."""
    there, middle = drawn.draws[~np.isnan(drawn.draws)], drawn.middle[0]
    share = float(((there < middle).sum() + (there == middle).sum() / 2) / len(there))
    bias = _NORMAL.inv_cdf(min(max(share, _FURTHEST), 1 - _FURTHEST)) * drawn.scale
    apart = drawn.without[~np.isnan(drawn.without)]
    apart = apart.mean() - apart if len(apart) else apart
    spread = float((apart**2).sum()) ** 1.5
    skew = float((apart**3).sum()) / (6 * spread) * drawn.scale if spread > 0 else 0.0
    moved = [bias + _NORMAL.inv_cdf(tail) for tail in tails]
    low, high = (_NORMAL.cdf(bias + one / (1 - skew * one)) for one in moved)
    return low, high
