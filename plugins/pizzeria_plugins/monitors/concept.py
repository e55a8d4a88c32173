"""Whether inputs mean what they meant: what labels say, against the probabilities that the model gave.

Where probabilities are right the Brier score that labels show is, but for chance, the one that the probabilities
themselves lead to expect: Spiegelhalter 1986, "Probabilistic prediction in patient management and clinical trials",
Statistics in Medicine 5, pages 421 to 433. Of one row with probabilities p and the class y (one-hot) the difference is

    t = half the sum over classes of (y - p)^2, less what p leads to expect of it

which for two classes is (y - p)(1 - 2p), and Spiegelhalter's Z is the sum of t over the root of its variance. So
it is realised minus estimated performance in units of its sampling error, and no choice of threshold or metric is in
it. A model may be a little wrong on the reference too, which over many rows is beyond any chance: a chunk is held
against the reference, not against 0. A shift of the inputs alone leaves t where it is as long as the probabilities are
right where the inputs went; that the model knew nothing of that place looks the same, and is as good a reason to learn
anew. Of a number t is true - predicted, whose mean is the model's bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import Alarm, Finding
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task
from pizzeria_plugins.monitors import drift_figures
from pizzeria_plugins.monitors.chunks import LEAST_REFERENCE_CHUNKS, Part
from pizzeria_plugins.monitors.instruments import Context, Judgement, Known, Reading
from pizzeria_plugins.monitors.schema import as_numbers

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
DEVIATIONS = 4.0
"""An alarm has no second column to agree with it: by chance this is met once in 30,000 chunks, three once in 700."""
LEAST_SCORE = 0.02
"""Over ten thousand labels a Brier score that is worse by nothing that matters is beyond chance; this much matters."""
LEAST_BIAS = 0.1
"""The same of a bias, in standard deviations of the reference's residuals."""


@dataclass(frozen=True)
class Terms:
    """Of N rows with truth.

    Attributes:
        rows: Their places.
        values: [N] t of each.
        variance: [N] of it, where the probabilities are right; 0 for a number, which came with none.
    """

    rows: NDArray[np.int64]
    values: Floats
    variance: Floats


@dataclass
class Concept:
    """The instrument. A reading has the mean of t, its standard error, the rows with truth, and Spiegelhalter's z."""

    name = "concept"

    problem: Problem
    least_rows: int
    mean: float
    """Of t on the reference."""
    error: float
    """Standard error of that."""
    own: Floats
    """[M] t of the reference's rows with truth."""
    settings: dict[str, Any]
    truth: bool = True

    @property
    def subject(self) -> str:
        return "bias" if task(self.problem.task).JUDGED == "value" else "calibration"

    def wants(self, column: str) -> bool:
        return column in ("pred", "true", "listing_id") or column.startswith(("p:", "true:"))

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        terms = terms_of(chunk, self.problem)
        if not len(terms.values):
            return {"rows": 0}
        variance = float(terms.variance.sum())
        z = float(terms.values.sum()) / math.sqrt(variance) if variance > 0 else None
        return {
            "rows": len(terms.values),
            "value": float(terms.values.mean()),
            "error": _standard_error(terms, _listings(chunk, terms.rows)),
            "z": z if self.subject == "calibration" else None,
        }

    def judge(self, known: Known) -> Judgement:
        findings: list[Finding] = []
        alarms: list[Alarm] = []
        readings = known.of(self.name)
        for part, reading in readings:
            if part.name not in known.fresh or not reading["rows"]:
                continue
            where, value = (part.name, part.start, part.end), reading["value"]
            method = "Spiegelhalter" if self.subject == "calibration" else "mean residual"
            if reading["rows"] < self.least_rows:
                few = f"at least {self.least_rows} labels"
                findings.append(Finding("concept", self.subject, *where, value, few, None, None, method))
                continue
            low, high = self.bounds(reading)
            alert = not low <= value <= high
            text = f"outside {low:.3g} to {high:.3g}" if math.isfinite(low) else f"above {high:.3g}"
            least = low if math.isfinite(low) else None
            findings.append(
                Finding("concept", self.subject, *where, value, text, alert, None, method, least, high,
                        reading["error"])
            )  # fmt: skip
            if alert:
                alarms.append(Alarm("concept", self.subject, *where, self._text(part, reading)))
        return Judgement(tuple(findings), tuple(alarms), (), self._figures(readings))

    def bounds(self, reading: Reading) -> tuple[float, float]:
        """Between which the mean of t of a healthy chunk lies: that of the reference, give or take four standard
        errors of the difference, what the reference's own chunks of so many rows show, or what matters, whichever is
        widest. Probabilities that are better than they claim are no alarm."""
        bias = self.subject == "bias"
        margin = max(
            DEVIATIONS * math.hypot(reading["error"], self.error),
            LEAST_BIAS * float(self.own.std()) if bias else LEAST_SCORE,
        )
        count = len(self.own) // reading["rows"]
        if count >= LEAST_REFERENCE_CHUNKS:
            means = self.own[: count * reading["rows"]].reshape(count, -1).mean(axis=1)
            margin = max(margin, DEVIATIONS * float(means.std()))
        return self.mean - margin if bias else -math.inf, self.mean + margin

    def _text(self, part: Part, reading: Reading) -> str:
        rows, value = reading["rows"], reading["value"]
        if self.subject == "bias":
            return (
                f"inputs mean something else in {part}: over {rows} labels the truth is {value:+.3g} from what is "
                f"predicted, in the reference {self.mean:+.3g}"
            )
        return (
            f"inputs mean something else in {part}: over {rows} labels the model is more wrong than its own "
            f"probabilities say (Brier score {value:+.3f}, in the reference {self.mean:+.3f})"
        )

    def _figures(self, readings: Sequence[tuple[Part, Reading]]) -> dict[str, Any]:
        known = [(part, reading) for part, reading in readings if reading["rows"] >= self.least_rows]
        known = known[-drift_figures.LATEST :]
        if not known:
            return {}
        lows, highs = zip(*(self.bounds(reading) for _, reading in known), strict=True)
        values = [reading["value"] for _, reading in known]
        bias = self.subject == "bias"
        title = "Concept: " + ("true minus predicted" if bias else "Brier score, realised minus estimated")
        return {title: drift_figures.line([part.name for part, _ in known], values, lows, highs, name=self.subject)}


def fit(context: Context) -> Concept | None:
    """The instrument; None when the reference has too few rows with truth and probabilities."""
    terms = terms_of(context.reference, context.problem)
    least = context.options.least_rows
    if len(terms.values) < least:
        return None
    error = _standard_error(terms, _listings(context.reference, terms.rows))
    return Concept(context.problem, least, float(terms.values.mean()), error, terms.values, {})


def terms_of(frame: pd.DataFrame, problem: Problem) -> Terms:
    """t of each row with truth, and its variance.

    Args:
        frame: [N] records.
    """
    nothing = Terms(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    judged = task(problem.task).JUDGED
    if judged == "value":
        if not {"pred", "true"} <= set(frame):
            return nothing
        residuals = as_numbers(frame["true"]) - as_numbers(frame["pred"])
        rows = np.flatnonzero(np.isfinite(residuals))
        return Terms(rows, residuals[rows], np.zeros(len(rows)))
    columns = [f"p:{name}" for name in problem.classes]
    if not set(columns) <= set(frame):
        return nothing
    p = np.column_stack([as_numbers(frame[column]) for column in columns])
    if judged == "class":
        return nothing if "true" not in frame else _one_of(p, _truth(frame["true"], problem.classes))
    truth = [f"true:{name}" for name in problem.classes]
    if not set(truth) & set(frame):
        return nothing
    y = np.column_stack([as_numbers(frame[c]) if c in frame else np.full(len(frame), np.nan) for c in truth])
    return _present(p, y)


def _one_of(p: Floats, places: NDArray[np.int64]) -> Terms:
    """Of rows that are of one class each: the score if class j is true is half of sum(p^2) - 2 p_j + 1.

    Args:
        p: [N, C].
        places: [N] place of the true class, -1 where it is unknown.
    """
    rows = np.flatnonzero((places >= 0) & np.isfinite(p).all(axis=1))
    p, places = p[rows], places[rows]
    p = np.clip(p, 0, 1)
    scores = ((p**2).sum(axis=1, keepdims=True) - 2 * p + 1) / 2
    expected = (p * scores).sum(axis=1)
    variance = (p * scores**2).sum(axis=1) - expected**2
    return Terms(rows, scores[np.arange(len(rows)), places] - expected, np.maximum(variance, 0))


def _present(p: Floats, y: Floats) -> Terms:
    """Of rows that may show any of the classes: the mean over the classes whose truth is known, taken as independent.

    Args:
        p: [N, C] probability that the class is present.
        y: [N, C] 0 or 1, NaN where it is unknown.
    """
    known = np.isfinite(p) & np.isfinite(y)
    rows = np.flatnonzero(known.any(axis=1))
    known, p, y = known[rows], np.clip(p[rows], 0, 1), (y[rows] > 0).astype(np.float64)
    count = known.sum(axis=1)
    terms = np.where(known, (y - p) * (1 - 2 * p), 0.0).sum(axis=1) / count
    variance = np.where(known, (1 - 2 * p) ** 2 * p * (1 - p), 0.0).sum(axis=1) / count**2
    return Terms(rows, terms, variance)


def _truth(column: pd.Series[Any], classes: Sequence[str]) -> NDArray[np.int64]:
    """[N] place of the true class; a label read from a file as 1.0 is the class "1", any other is unknown (-1)."""
    import pandas as pd

    try:
        places, different = pd.factorize(column)
    except TypeError:
        return np.full(len(column), -1, np.int64)
    order = {name: i for i, name in enumerate(classes)}
    texts = [f"{v:.0f}" if isinstance(v, float) and v.is_integer() else str(v) for v in different]
    return np.array([*(order.get(text, -1) for text in texts), -1], np.int64)[places]


def _standard_error(terms: Terms, listings: NDArray[np.int64] | None) -> float:
    """Of the mean of t: from the variance that the probabilities imply, or from the rows themselves, by listing, if
    that is more, as photos of one listing are wrong together."""
    count = len(terms.values)
    centred = terms.values - terms.values.mean()
    if listings is not None:
        centred = np.bincount(listings, weights=centred)
    return math.sqrt(max(float((centred**2).sum()), float(terms.variance.sum()))) / count


def _listings(frame: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """[N] number of each row's listing; None where records have none."""
    import pandas as pd

    if "listing_id" not in frame:
        return None
    listings = frame["listing_id"].iloc[rows]
    if not listings.fillna("").astype(str).str.len().any():
        return None
    places: NDArray[np.int64] = pd.factorize(listings.replace("", None))[0]
    alone = np.flatnonzero(places < 0)
    places[alone] = places.max() + 1 + np.arange(len(alone))
    return places
