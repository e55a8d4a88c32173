"""Whether columns go together: the numbers of NannyML, and what is healthy of a small reference too."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import domain_classifier, library, multivariate

Table = Callable[..., Problem]
BOTH = DriftThreshold(multivariate=("reconstruction", "domain_classifier"))
NAMES = {"feature:a, (b)": "x0", "feature:b": "x1", "feature:c": "x2", "feature:kind": "x3"}


def together(rows: int, seed: int, apart: bool = False) -> pd.DataFrame:
    """Columns that go together, or each like before but not with the others; with gaps and a category."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=rows)
    kind = np.where(common > 0.5, "large", np.where(common > -0.3, "medium", "small")).astype(object)
    columns = {
        "feature:a, (b)": common + 0.2 * rng.normal(size=rows),
        "feature:b": 3 * common + 0.5 * rng.normal(size=rows),
        "feature:c": rng.normal(size=rows),
        "feature:kind": kind,
    }
    frame = pd.DataFrame(columns)
    frame.loc[rng.random(rows) < 0.05, "feature:b"] = np.nan
    frame.loc[rng.random(rows) < 0.05, "feature:kind"] = None
    if apart:
        frame["feature:b"] = rng.permutation(frame["feature:b"].to_numpy())
    return frame


def test_reconstruction_as_nannyml_on_the_whole_table(context: Any, read_chunks: Any, table: Table) -> None:
    reference, analysis = together(1500, 0), together(900, 1, apart=True)
    instrument = multivariate.fit(context(reference, table(), Monitoring(chunk=Chunk(size=300)), resamples=20))
    assert instrument is not None
    known = read_chunks(pickle.loads(pickle.dumps(instrument)), [analysis[i : i + 300] for i in (0, 300, 600)])
    nml = library.load()
    with library.quiet():
        # NannyML's imputer takes NaN alone for missing.
        left, right = (frame.rename(columns=NAMES).fillna({"x3": np.nan}) for frame in (reference, analysis))
        calculator = nml.DataReconstructionDriftCalculator(column_names=list(NAMES.values()), chunk_size=300)
        said = calculator.fit(left).calculate(right).filter(period="analysis").to_df()["reconstruction_error"]
    readings = known.readings["reconstruction"].values()
    assert [reading["value"] for reading in readings] == pytest.approx(list(said["value"]))
    assert [reading["error"] for reading in readings] == pytest.approx(list(said["sampling_error"]))


def test_domain_classifier_as_nannyml_on_the_whole_table(context: Any, read_chunks: Any, table: Table) -> None:
    reference, analysis = together(300, 0), together(200, 1, apart=True)
    instrument = domain_classifier.fit(context(reference, table(), Monitoring(chunk=Chunk(size=100), drift=BOTH)))
    assert instrument is not None
    known = read_chunks(pickle.loads(pickle.dumps(instrument)), [analysis[:100], analysis[100:]])
    nml = library.load()
    with library.quiet():
        left, right = (frame.rename(columns=NAMES).fillna({"x3": np.nan}) for frame in (reference, analysis))
        calculator = nml.DomainClassifierCalculator(
            feature_column_names=list(NAMES.values()),
            chunk_size=100,
            hyperparameters=domain_classifier.BOOSTING,
        )
        said = calculator.fit(left).calculate(right).filter(period="analysis").to_df()["domain_classifier_auroc"]
    values = [reading["value"] for reading in known.readings["domain_classifier"].values()]
    # Categories come as numbers in another order, and LightGBM's bins of them may differ in a tie.
    assert values == pytest.approx(list(said["value"]), abs=0.01)


@pytest.mark.parametrize("fit", [multivariate.fit, domain_classifier.fit])
def test_healthy_chunks_are_silent_and_those_that_come_apart_are_not(
    context: Any, judge_chunks: Any, table: Table, fit: Any
) -> None:
    instrument = fit(context(together(450, 0), table(), Monitoring(chunk=Chunk(size=100), drift=BOTH)))
    healthy = judge_chunks(instrument, [together(100, seed) for seed in range(1, 5)])
    assert healthy.alarms == ()
    assert healthy.undecided == ()
    assert all(finding.alert is False and finding.high is not None for finding in healthy.findings)
    judgement = judge_chunks(instrument, [together(100, 9, apart=True), together(100, 10)])
    assert [alarm.chunk for alarm in judgement.alarms] == ["1"]
    assert judgement.alarms[0].kind == "multivariate_drift"
    assert len(judgement.figures) == 1


@pytest.mark.parametrize("fit", [multivariate.fit, domain_classifier.fit])
def test_a_column_that_is_gone_is_undecided(context: Any, judge_chunks: Any, table: Table, fit: Any) -> None:
    instrument = fit(context(together(300, 0), table(), Monitoring(drift=BOTH), resamples=20))
    judgement = judge_chunks(instrument, [together(100, 1).assign(**{"feature:c": None})])
    assert [finding.alert for finding in judgement.findings] == [None]
    assert judgement.undecided == ("c is missing from chunk 1 (100 rows): no multivariate drift",)


def test_one_column_goes_with_nothing(context: Any, judge_chunks: Any, table: Table) -> None:
    instrument = multivariate.fit(context(together(300, 0)[["feature:c"]], table()))
    assert instrument is not None
    assert "fewer than two input columns vary" in judge_chunks(instrument, [together(100, 1)]).undecided[0]


def test_what_is_not_asked_for_is_not_measured(context: Any, table: Table) -> None:
    asked = context(together(300, 0), table(), Monitoring(drift=DriftThreshold(multivariate=())))
    assert multivariate.fit(asked) is None
    assert domain_classifier.fit(asked) is None
