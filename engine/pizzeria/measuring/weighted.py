"""Metrics of weighted rows: the same as an evaluator's on a table in which each row stands as often as its weight says.

A bootstrap asks for a metric some thousand times. Here all that does not depend on the draw (sorting, matching boxes)
is done once, and a draw is a weight for each row. `tests/engine/measuring/test_weighted.py` holds each of them against
the evaluator on rows that are really repeated. A slice is such a draw, too: its rows weigh 1, and the others 0.

| metric | how |
|---|---|
| accuracy, f1, precision, recall, log_loss, mae, rmse, r2 | sums of what each row adds |
| auroc | the share of pairs in the right order, ties by half (Mann and Whitney 1947), of weighted rows |
| average_precision | sum over distinct scores of precision times the recall that is won (no interpolation) |
| calibration_error | sum over 15 bins of the difference between what was said and what was true (Guo et al. 2017) |
| map, map_50, mar_100 ... | COCO's twelve figures, see `pizzeria.measuring.box_precision` |
| box_precision, box_recall, box_f1 | of the boxes that are surer than their class's threshold, at IoU 0.50 |

Those of a detector whose name begins with `presence_`, and its calibration_error, are the same of whether a class is
somewhere in the photo.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pizzeria.measuring import box_precision
from pizzeria.measuring.judged import Floats, Judged, Values

BINS = 15
PRESENCE = "presence_"


def weighted(metric: str, judged: Judged) -> Values | None:
    """How to compute a metric of weighted rows; None for one that is not known here.

    Example:
        >>> rows = Judged(values=np.array([1.0, 2.0, 5.0]), wanted=np.array([1.0, 1.0, 1.0]))
        >>> weighted("mae", rows)(np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])).round(3).tolist()
        [[1.667], [2.0]]
    """
    if judged.values is not None and judged.wanted is not None:
        return _of_values(metric, judged.values, judged.wanted)
    if judged.boxes is not None and judged.true_boxes is not None:
        if metric in box_precision.METRICS:
            return lambda weights: box_precision.figure(metric, judged.matched, weights)
        if metric in box_precision.TOLD:
            return lambda weights: _rate(box_precision.TOLD[metric], *box_precision.counts(judged.matched, weights))
        metric = metric.removeprefix(PRESENCE)
    if judged.probabilities is None or judged.true is None:
        return None
    if judged.thresholds is not None:
        return _of_presence(metric, judged.probabilities, judged.true, judged.probabilities >= judged.thresholds)
    return _of_single_labels(metric, judged.probabilities, judged.true)


def _of_presence(metric: str, p: Floats, true: NDArray[np.bool_], said: NDArray[np.bool_]) -> Values | None:
    if metric == "auroc":
        return lambda weights: _by_class(weights, p, true, _auroc)
    if metric == "average_precision":
        return lambda weights: _by_class(weights, p, true, _average_precision)
    if metric in ("f1", "precision", "recall"):
        return lambda weights: _of_decisions(metric, weights, said, true)
    if metric == "f1_micro":
        hit, claims, there = ((one.sum(axis=1)).astype(np.float64) for one in (said & true, said, true))

        def micro(weights: Floats) -> Floats:
            wanted = weights @ there
            return _divide(2 * (weights @ hit), np.where(wanted > 0, weights @ claims + wanted, 0))[:, None]

        return micro
    if metric == "calibration_error":
        bins = [_bins(p[:, i], true[:, i]) for i in range(p.shape[1])]

        def errors(weights: Floats) -> Floats:
            found = np.stack([_gap(weights, one) for one in bins], axis=1)
            return np.where(weights @ true.astype(np.float64) > 0, found, np.nan)

        return errors
    return None


def _of_single_labels(metric: str, p: Floats, true: NDArray[np.bool_]) -> Values | None:
    if metric == "auroc":
        return lambda weights: _by_class(weights, p, true, _auroc)
    if metric in ("f1", "precision", "recall"):
        said = _one_hot(p)
        return lambda weights: _of_decisions(metric, weights, said, true)
    right = p.argmax(axis=1) == true.argmax(axis=1)
    if metric == "accuracy":
        return _mean_of(right.astype(np.float64))
    if metric == "log_loss":
        of_the_true = p[np.arange(len(p)), true.argmax(axis=1)]
        return _mean_of(-np.log(np.clip(of_the_true, 1e-15, 1)))
    if metric == "calibration_error":
        bins = _bins(p.max(axis=1, initial=0), right)
        return lambda weights: _gap(weights, bins)[:, None]
    return None


def _bins(p: Floats, true: NDArray[np.bool_]) -> Floats:
    """[N, 16] how far each row lies above what came true, in the column of its bin; those of just 1 have one of their
    own, as with torchmetrics."""
    out = np.zeros((len(p), BINS + 1))
    out[np.arange(len(p)), np.searchsorted(np.linspace(0, 1, BINS + 1), p, side="right") - 1] = p - true
    return out


def _gap(weights: Floats, bins: Floats) -> Floats:
    return _divide(np.abs(weights @ bins).sum(axis=1), weights.sum(axis=1))


def _one_hot(p: Floats) -> NDArray[np.bool_]:
    said: NDArray[np.bool_] = np.eye(p.shape[1], dtype=bool)[p.argmax(axis=1)]
    return said


def _mean_of(rows: Floats) -> Values:
    return lambda weights: _divide(weights @ rows, weights.sum(axis=1))[:, None]


def _of_values(metric: str, said: Floats, true: Floats) -> Values | None:
    error = said - true
    if metric == "mae":
        return _mean_of(np.abs(error))
    if metric == "rmse":
        squares = _mean_of(error**2)
        return lambda weights: np.sqrt(squares(weights))
    if metric != "r2":
        return None

    def r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        middle = _divide(weights @ true, total)
        # In two steps: a mean of squares less a squared mean would lose all digits of a far-off target.
        spread = np.einsum("bn,bn->b", weights, (true[None] - middle[:, None]) ** 2)
        found: Floats = (1 - _divide(weights @ error**2, spread))[:, None]
        return found

    return r2


def _of_decisions(metric: str, weights: Floats, said: NDArray[np.bool_], true: NDArray[np.bool_]) -> Floats:
    hit, claimed, there = (weights @ one.astype(np.float64) for one in (said & true, said, true))
    return _rate(metric, hit, claimed, there)


def _rate(metric: str, hit: Floats, claimed: Floats, there: Floats) -> Floats:
    below = {"f1": claimed + there, "precision": claimed, "recall": there}[metric]
    above = 2 * hit if metric == "f1" else hit
    found: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    found[there == 0] = np.nan
    return found


def _by_class(
    weights: Floats, p: Floats, true: NDArray[np.bool_], measure: Callable[[Floats, Floats, NDArray[np.bool_]], Floats]
) -> Floats:
    return np.stack([measure(weights, p[:, i], true[:, i]) for i in range(p.shape[1])], axis=1)


def _auroc(weights: Floats, scores: Floats, true: NDArray[np.bool_]) -> Floats:
    right, wrong = _steps(weights, scores, true)  # best first
    all_right, all_wrong = right.sum(axis=1), wrong.sum(axis=1)
    below = all_wrong[:, None] - wrong.cumsum(axis=1) + wrong / 2
    return _divide((right * below).sum(axis=1), all_right * all_wrong)


def _average_precision(weights: Floats, scores: Floats, true: NDArray[np.bool_]) -> Floats:
    right, wrong = _steps(weights, scores, true)
    hits, misses = right.cumsum(axis=1), wrong.cumsum(axis=1)
    seen = hits + misses
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _divide((right * precision).sum(axis=1), hits[:, -1] if hits.shape[1] else right.sum(axis=1))


def _steps(weights: Floats, scores: Floats, true: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """[B, K] weight of the true and of the other rows at each of the K distinct scores, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    begins = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.zeros(0, np.int64)
    if not len(begins):
        return np.zeros((len(weights), 0)), np.zeros((len(weights), 0))
    of_true = weights[:, order] * true[order]
    of_others = weights[:, order] * ~true[order]
    return np.add.reduceat(of_true, begins, axis=1), np.add.reduceat(of_others, begins, axis=1)


def _divide(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
