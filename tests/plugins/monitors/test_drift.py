"""Drift column by column: the numbers of NannyML on a whole table, and silence on healthy chunks of any size."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.inference.records import encode_embedding
from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import drift, library

Table = Callable[..., Problem]
METHODS = [
    ("jensen_shannon", "jensen_shannon"),
    ("wasserstein", "chi2"),
    ("kolmogorov_smirnov", "l_infinity"),
    ("hellinger", "hellinger"),
]


def table_records(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    price = rng.lognormal(4 + shift, 0.5, rows)
    price[rng.random(rows) < 0.05] = np.nan
    cities = ["Lyon", "Oslo", "Porto", "Rome"] if not shift else ["Lyon", "Oslo", "Rome", "Bern"]
    city = pd.Series(rng.choice(cities, rows, p=[0.5, 0.3, 0.15, 0.05]), dtype=object)
    city[rng.random(rows) < 0.02] = None
    return pd.DataFrame({"feature:price": price, "feature:city": city, "pred": rng.normal(10 + 3 * shift, 2, rows)})


@pytest.mark.parametrize("rows", [3000, 11_000], ids=["exact", "estimated"])
@pytest.mark.parametrize(("numbers", "categories"), METHODS)
def test_as_nannyml_on_the_whole_table(
    context: Any, judge_chunks: Any, table: Table, numbers: Any, categories: Any, rows: int
) -> None:
    """Also beyond 10,000 reference rows, where NannyML takes bins for two of the methods."""
    reference, analysis = table_records(rows, 0), table_records(1000, 1, shift=0.3)
    rule = Monitoring(chunk=Chunk(size=250), drift=DriftThreshold(numbers=numbers, categories=categories))
    instrument = drift.fit(context(reference, table(), rule, resamples=20))
    assert instrument is not None
    judgement = judge_chunks(instrument, [analysis[i : i + 250] for i in range(0, 1000, 250)])
    nml = library.load()
    columns = {"feature:price": "price", "feature:city": "city", "pred": "prediction"}
    with library.quiet():
        calculator = nml.UnivariateDriftCalculator(
            column_names=list(columns), continuous_methods=[numbers], categorical_methods=[categories], chunk_size=250
        )
        said = calculator.fit(reference).calculate(analysis).filter(period="analysis").to_df()
    for column, name in columns.items():
        found = [finding for finding in judgement.findings if finding.subject == name]
        method = categories if name == "city" else numbers
        assert {finding.method for finding in found} == {method}
        assert [finding.value for finding in found] == pytest.approx(list(said[(column, method, "value")]))


@pytest.mark.parametrize(("numbers", "categories"), METHODS)
@pytest.mark.parametrize("size", [40, 300])
def test_healthy_chunks_are_silent_and_shifted_ones_are_not(
    context: Any, judge_chunks: Any, table: Table, numbers: Any, categories: Any, size: int
) -> None:
    rule = Monitoring(chunk=Chunk(size=size), drift=DriftThreshold(numbers=numbers, categories=categories))
    instrument = drift.fit(context(table_records(1000, 0), table(), rule))
    assert instrument is not None
    healthy = [table_records(size, seed) for seed in range(1, 21)]
    assert judge_chunks(instrument, healthy).alarms == ()
    (alarm,) = judge_chunks(instrument, [*healthy[:2], table_records(size, 1, shift=1.5)]).alarms
    assert (alarm.kind, alarm.subject, alarm.chunk) == ("drift", "columns", "3")
    assert set(alarm.causes) >= {"price", "prediction"}


def test_without_above_the_healthy_chunks_are_the_limit(context: Any, judge_chunks: Any, table: Table) -> None:
    """With 2000 rows a shift of a third of a deviation is beyond chance, and is far below a distance of 0.25."""
    reference = table_records(20_000, 0)
    chunk = table_records(2000, 1, shift=0.15).assign(**{"feature:city": table_records(2000, 2)["feature:city"]})
    for above, alarms in ((0.25, 0), (None, 1)):
        rule = Monitoring(chunk=Chunk(size=2000), drift=DriftThreshold(numbers="kolmogorov_smirnov", above=above))
        instrument = drift.fit(context(reference, table(), rule, resamples=20))
        assert instrument is not None
        assert len(judge_chunks(instrument, [chunk]).alarms) == alarms


def test_goes_to_other_processes_and_readings_are_plain(context: Any, read_chunks: Any, table: Table) -> None:
    import json

    instrument = drift.fit(context(table_records(500, 0), table(), resamples=20))
    assert instrument is not None
    chunk = table_records(100, 1).assign(**{"feature:new": 1})
    known = read_chunks(instrument, [chunk])
    copied = read_chunks(pickle.loads(pickle.dumps(instrument)), [chunk])
    assert json.loads(json.dumps(known.readings)) == json.loads(json.dumps(copied.readings))
    assert "only the traffic has new: the reference says nothing of it" in instrument.judge(known).undecided


def test_what_is_not_there_is_undecided(context: Any, judge_chunks: Any, table: Table) -> None:
    instrument = drift.fit(context(table_records(500, 0), table(), resamples=20))
    assert instrument is not None
    chunk = table_records(100, 1).assign(**{"feature:city": None}).drop(columns="feature:price")
    judgement = judge_chunks(instrument, [chunk])
    assert [(f.subject, f.alert) for f in judgement.findings] == [
        ("price", None),
        ("city", None),
        ("prediction", False),
    ]
    assert len(judgement.undecided) == 2


def test_what_a_client_sends_never_raises(context: Any, judge_chunks: Any, table: Table) -> None:
    instrument = drift.fit(context(table_records(500, 0), table(), resamples=20))
    assert instrument is not None
    odd = [[1, 2], {"a": 1}, "many", None, float("inf"), True, "Lyon", 3, 4.5, "Oslo"]
    chunk = pd.DataFrame({"feature:price": odd, "feature:city": odd, "pred": odd}, dtype=object)
    judgement = judge_chunks(instrument, [pd.concat([chunk] * 5, ignore_index=True)])
    assert {finding.subject for finding in judgement.findings} == {"price", "city", "prediction"}


def photos(rows: int, seed: int, turn: float = 0.0) -> pd.DataFrame:
    """Embeddings of 64 dimensions that lie about three directions; `turn` moves them along another one."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(7).normal(size=(4, 64))
    listing = np.arange(rows) // 3
    place = rng.normal(size=(rows, 3)) + rng.normal(size=(rows, 3))[listing]
    vectors = place @ directions[:3] + 0.3 * rng.normal(size=(rows, 64)) + 4 + turn * directions[3]
    return pd.DataFrame(
        {
            "prediction_id": [f"p{seed}-{i}" for i in range(rows)],
            "input_id": [f"{seed}-{i}.jpg" for i in range(rows)],
            "listing_id": [f"{seed}-{i}" for i in listing],
            "embedding": [encode_embedding(vector) for vector in vectors],
        }
    )


@pytest.mark.parametrize("reference", [90, 400])
def test_embeddings(context: Any, judge_chunks: Any, detection: Problem, reference: int) -> None:
    """A reference that is hardly larger than the space: photos that a PCA was not fitted on are no drift."""
    instrument = drift.fit(context(photos(reference, 0), detection))
    assert instrument is not None
    healthy = judge_chunks(instrument, [photos(60, seed) for seed in range(1, 13)])
    assert healthy.alarms == ()
    assert {finding.subject for finding in healthy.findings} == {
        "embedding direction 1", "embedding direction 2", "embedding direction 3", "embedding distance",
        "embedding residual",
    }  # fmt: skip
    (alarm,) = judge_chunks(instrument, [photos(60, 20, turn=1.0)]).alarms
    assert "embedding residual" in alarm.causes
    assert set(alarm.examples) <= set(photos(60, 20)["prediction_id"])
    assert len({name.split("-")[1] for name in alarm.examples}) == len(alarm.examples) == 5
    assert set(alarm.usual) <= set(photos(reference, 0)["input_id"])


def test_broken_embeddings_are_missing(context: Any, judge_chunks: Any, detection: Problem) -> None:
    instrument = drift.fit(context(photos(90, 0), detection, resamples=20))
    assert instrument is not None
    chunk = photos(40, 1)
    chunk.loc[:9, "embedding"] = "not base64"
    chunk.loc[10:19, "embedding"] = encode_embedding(np.ones(3))
    chunk.loc[20:29, "embedding"] = None
    assert all(finding.alert is not None for finding in judge_chunks(instrument, [chunk]).findings)
    assert judge_chunks(instrument, [chunk[:30]]).undecided != ()
