"""How well a classifier tells a chunk from the reference: NannyML's domain classifier, a LightGBM, cross-validated.

An AUROC of 0.5 says that it cannot. It sees any change, also of columns together that a plane does not show, and costs
five fits for each chunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.spec.monitoring import DriftThreshold
from pizzeria_plugins.monitors import drift_figures, noise
from pizzeria_plugins.monitors.chunks import LEAST_REFERENCE_CHUNKS, Part
from pizzeria_plugins.monitors.instruments import Context, Judgement, Known, Reading
from pizzeria_plugins.monitors.multivariate import table_of, varying
from pizzeria_plugins.monitors.schema import Column, Schema
from pizzeria_plugins.monitors.together import judge_together

if TYPE_CHECKING:
    import pandas as pd

SUBJECT = "domain classifier"
BOOSTING = {"n_estimators": 100, "n_jobs": 1, "random_state": 13, "verbose": -1, "deterministic": True}
"""LightGBM's defaults as NannyML takes them, but silent, on one core, and the same each time."""
FOLDS = 5
DRAWS = 10
"""Pairs that are drawn from the reference, and chunks of it that are told from its rest."""
Floats = NDArray[np.float64]


@dataclass
class DomainClassifier:
    """The instrument.

    A reading has `value`, the AUROC, `healthy` as in drift: mean and deviation of pairs and of the reference's own
    chunks, and the columns that the chunk lacks: `missing`.
    """

    name = "domain_classifier"

    rule: DriftThreshold
    schema: Schema
    columns: tuple[Column, ...]
    table: Floats
    """[M, K] of the reference."""
    groups: list[NDArray[np.int64]]
    seed: int
    size: int | None
    settings: dict[str, Any]
    truth: bool = False
    _healthy: dict[int, list[list[float]]] = field(default_factory=dict, repr=False)

    def wants(self, column: str) -> bool:
        return any(column == one.source for one in self.columns)

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        read = self.schema.read(chunk)
        missing = [one.name for one in self.columns if one.name not in read.values
                   or np.isnan(read.values[one.name]).all()]  # fmt: skip
        if missing or read.rows < FOLDS:
            return {"value": None, "missing": missing}
        value = self.auroc(self.table, table_of(self.columns, read))
        return {"value": value, "missing": [], "healthy": self.healthy(read.rows), "rows": read.rows}

    def auroc(self, reference: Floats, chunk: Floats) -> float:
        """0.5 to 1, or a little below where there is nothing to tell.

        Args:
            reference: [M, K] numbers, and numbers of categories.
            chunk: [N, K].
        """
        from pizzeria_plugins.monitors import library

        nml = library.load()
        names = [f"x{i}" for i in range(len(self.columns))]  # LightGBM refuses brackets, colons and commas
        with library.quiet():
            calculator = nml.DomainClassifierCalculator(
                names, chunker=nml.SizeBasedChunker(len(chunk)), cv_folds_num=FOLDS, hyperparameters=dict(BOOSTING)
            )
            # What its `fit` sets, which besides classifies each chunk of the reference.
            categorical = [name for name, one in zip(names, self.columns, strict=True) if one.categorical]
            calculator.categorical_column_names = categorical
            calculator.continuous_column_names = [name for name in names if name not in categorical]
            calculator._reference_X = _frame(names, reference)
            calculator._is_fitted = True
            return float(calculator._calculate_chunk(nml.Chunk(key="chunk", data=_frame(names, chunk))))

    def healthy(self, rows: int) -> list[list[float]]:
        """Mean and deviation of pairs of healthy samples of the size and, where there are enough, of its own chunks."""
        size = rows if rows == self.size else noise.step(rows)
        if size not in self._healthy:
            self._healthy[size] = [
                [float(np.mean(values)), float(np.std(values))]
                for values in (self._pairs(noise.sample_size(rows)), self._own(size))
                if len(values) > 1
            ]
        return self._healthy[size]

    def keep(self, size: int, found: list[list[float]]) -> None:
        """Take what was worked out before for chunks of that size."""
        self._healthy[size] = found

    def _pairs(self, rows: int) -> list[float]:
        """AUROC of samples that share no group, at least as many rows on the reference's side."""
        rng = np.random.default_rng(self.seed)
        found = []
        for _ in range(DRAWS):
            order = rng.permutation(len(self.groups))
            shuffled = np.concatenate([self.groups[i] for i in order])
            chunk, reference = shuffled[:rows], shuffled[rows : rows + noise.LARGEST_SAMPLE]
            if min(len(chunk), len(reference)) < FOLDS:
                break
            found.append(self.auroc(self.table[reference], self.table[chunk]))
        return found

    def _own(self, size: int) -> list[float]:
        """AUROC of the reference's own chunks against its rest: what time does to healthy data."""
        count = len(self.table) // size
        if count < LEAST_REFERENCE_CHUNKS:
            return []
        found = []
        for i in np.unique(np.linspace(0, count - 1, min(DRAWS, count)).astype(int)):
            inside = np.zeros(len(self.table), bool)
            inside[i * size : (i + 1) * size] = True
            found.append(self.auroc(self.table[~inside], self.table[inside]))
        return found

    def judge(self, known: Known) -> Judgement:
        def rule(reading: Reading) -> tuple[float | None, float]:
            return None, self.limit(reading)

        def words(part: Part, value: float, text: str) -> str:
            return f"a classifier tells {part} from the reference: AUROC {value:.2f}, {text}"

        found = judge_together(known, self.name, SUBJECT, "LightGBM", rule, words)
        return replace(found, figures=self._figures(known.of(self.name)))

    def limit(self, reading: Reading) -> float:
        """AUROC beyond which a chunk has drifted: what `drift.above` allows as 2 AUROC - 1, which goes from 0 to 1 as
        the distances do; what healthy chunks show; or what chance does to the AUROC of so many rows (Mann and Whitney
        1947: its variance is (m + n + 1) / (12 m n)), whichever is most."""
        m, n = len(self.table), reading["rows"]
        deviations = self.rule.deviations
        limits = [mean + deviations * deviation for mean, deviation in reading["healthy"]]
        limits.append(0.5 + deviations * math.sqrt((m + n + 1) / (12 * m * n)))
        limits.append(0.5 + min(self.rule.above or 0.0, 1.0) / 2)
        return float(max(limits))

    def _figures(self, readings: Sequence[tuple[Part, Reading]]) -> dict[str, Any]:
        known = [(part.name, reading) for part, reading in readings if reading["value"] is not None]
        known = known[-drift_figures.LATEST :]
        if not known:
            return {}
        values, highs = [r["value"] for _, r in known], [self.limit(r) for _, r in known]
        chunks = [name for name, _ in known]
        title = "Drift: can a classifier tell chunks from the reference?"
        return {title: drift_figures.line(chunks, values, [None] * len(known), highs, name="AUROC")}


def fit(context: Context) -> DomainClassifier | None:
    """The instrument; None when the spec does not ask for it, or no input varies in the reference."""
    if "domain_classifier" not in context.monitoring.drift.multivariate:
        return None
    columns = varying(context)
    if not columns:
        return None
    table = table_of(columns, context.numbers)
    size, seed = context.monitoring.chunk.size, context.options.seed
    settings = {"seed": seed, "size": size}
    groups = noise.groups(context.reference)
    rule = context.monitoring.drift
    instrument = DomainClassifier(rule, context.schema, columns, table, groups, seed, size, settings)
    if size is not None:
        instrument.keep(size, context.remember(["domain_classifier", settings], lambda: instrument.healthy(size)))
    return instrument


def _frame(names: Sequence[str], table: Floats) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(table, columns=list(names))
