"""What a column alone tells: all, nothing, and no more than it does on rows that it was not fitted on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pizzeria.leakage.telling import auc_of, r2_of

RANDOM = np.random.default_rng(3)
N = 4000
TRAIN = np.arange(N) < 3000
CLASSES = RANDOM.integers(0, 3, N)
NUMBERS = RANDOM.normal(0, 1, N)


def test_columns_that_tell_all() -> None:
    names = pd.Series(np.array(["x", "y", "z"])[CLASSES])
    assert auc_of(names, CLASSES, TRAIN) == 1
    assert auc_of(pd.Series(CLASSES + RANDOM.normal(0, 0.01, N)), CLASSES, TRAIN) > 0.995
    missing_says_it = pd.Series(np.where(CLASSES == 1, np.nan, RANDOM.normal(0, 1, N)))
    assert auc_of(missing_says_it, (CLASSES == 1).astype(int), TRAIN) == 1
    assert r2_of(pd.Series(NUMBERS * 60 + 3), NUMBERS, TRAIN) > 0.999
    assert r2_of(pd.Series(NUMBERS**2 * 3), NUMBERS**2, TRAIN) > 0.999
    assert r2_of(pd.Series(np.cos(NUMBERS)), NUMBERS**2, TRAIN) > 0.95  # not straight
    assert r2_of(pd.Series(pd.to_datetime("2024-01-01") + pd.to_timedelta(NUMBERS, unit="D")), NUMBERS, TRAIN) > 0.999


def test_columns_that_tell_nothing_even_where_they_could_be_learnt_by_heart() -> None:
    ids = pd.Series([f"id{i}" for i in range(N)])
    for column in (ids, pd.Series(RANDOM.normal(0, 1, N)), pd.Series(np.full(N, np.nan)), pd.Series(["a"] * N)):
        assert 0.45 < auc_of(column, CLASSES, TRAIN) < 0.55
        assert r2_of(column, NUMBERS, TRAIN) < 0.05


def test_too_little_to_judge_by() -> None:
    few = np.arange(N) < N - 49
    assert auc_of(pd.Series(NUMBERS), CLASSES, few) is None
    assert r2_of(pd.Series(NUMBERS), NUMBERS, few) is None
    assert auc_of(pd.Series(NUMBERS), np.where(TRAIN, CLASSES, 1), TRAIN) is None  # one class to judge
    assert r2_of(pd.Series(NUMBERS), np.where(TRAIN, NUMBERS, 0), TRAIN) is None


@pytest.mark.parametrize("name", ["load_breast_cancer", "load_wine", "load_iris", "load_diabetes"])
def test_no_alarm_on_healthy_columns(name: str) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    data = getattr(datasets, name)(as_frame=True)
    order = np.random.default_rng(0).permutation(len(data.target))
    train = np.zeros(len(order), np.bool_)
    train[order[: int(len(order) * 0.6)]] = True
    told = [
        r2_of(data.data[c], data.target.to_numpy(float), train)
        if name == "load_diabetes"
        else auc_of(data.data[c], data.target.to_numpy(), train)
        for c in data.data
    ]
    limit = 0.7 if name == "load_diabetes" else 0.98
    assert max(told) < limit


def test_flights_dep_delay_is_caught_and_air_time_cannot_be(shared_data: Path) -> None:
    """One column at a time, air_time tells nothing of the delay: known_after has to name it."""
    rows = pd.read_parquet(shared_data / "tabular" / "flights.parquet")
    train = np.arange(len(rows)) < 0.7 * len(rows)
    delay = rows["arr_delay"].to_numpy(float)
    assert r2_of(rows["dep_delay"], delay, train) > 0.75
    for column in ("air_time", "distance", "sched_dep_time", "carrier", "dest"):
        assert r2_of(rows[column], delay, train) < 0.1
