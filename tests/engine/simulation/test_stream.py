"""A history is cut where the replay starts, and everything about the replay is decided by the history itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pizzeria.errors import DataError
from pizzeria.simulation.replaying import Pace
from pizzeria.simulation.stream import cut_rows, is_labelled, prediction_id
from pizzeria.spec.problem import Criterion, Problem
from pizzeria.tables import Tables

PROBLEM = Problem(
    need="Test.",
    owner="tests",
    task="tabular_classification",
    classes=("a", "b"),
    target="kind",
    success=(Criterion(metric="accuracy", at_least=0.5),),
)


def _table(days: list[int], **more: object) -> Tables:
    times = [datetime(1997, 1, 1) + timedelta(days=day) for day in days]
    rows = {"row_id": [f"r{i}" for i in range(len(days))], "at": times, "size": [float(day) for day in days]}
    return Tables(rows=pd.DataFrame({**rows, "kind": ["a", "b"] * (len(days) // 2), **more}))


def test_the_past_is_a_table_that_a_source_reads_and_the_rest_is_in_order_of_time(tmp_path: Path) -> None:
    cut = cut_rows(_table([5, 0, 1, 4, 3, 2]), PROBLEM, "at", "0.5", tmp_path)
    past = pd.read_parquet(cut.data["path"])
    assert cut.learnt == 3
    assert list(past["row_id"]) == ["r1", "r2", "r5"]
    assert list(past.columns) == ["row_id", "at", "size", "kind"]
    assert (cut.data["use"], cut.data["row_id"]) == ("table", "row_id")
    stream = cut.stream
    assert stream.keys == ["r4", "r3", "r0"]
    assert stream.row(0, 2, ["size"]) == [{"size": 3.0}, {"size": 4.0}]
    assert [json.loads(truth)["class"] for truth in stream.truths] == ["a", "b", "a"]
    assert stream.moment(0) == datetime(1997, 1, 4, tzinfo=UTC)


def test_rows_of_one_moment_are_not_torn_apart(tmp_path: Path) -> None:
    cut = cut_rows(_table([0, 1, 2, 2, 2, 3]), PROBLEM, "at", "0.5", tmp_path)
    assert cut.learnt == 2


def test_the_start_may_be_a_date(tmp_path: Path) -> None:
    assert cut_rows(_table([0, 1, 2, 3]), PROBLEM, "at", "1997-01-03", tmp_path).learnt == 2


def test_rows_without_a_truth_are_traffic_all_the_same(tmp_path: Path) -> None:
    cut = cut_rows(_table([0, 1, 2, 3], kind=["a", "b", None, "a"]), PROBLEM, "at", "0.5", tmp_path)
    assert [bool(truth) for truth in cut.stream.truths] == [False, True]


@pytest.mark.parametrize(
    ("column", "start", "message"),
    [
        ("when", "0.5", "no column 'when'"),
        ("size", "0.5", "size is double"),
        ("at", "soon", "--start is 'soon'"),
        ("at", "1.5", "--start is 1.5"),
        ("at", "1990-01-01", "0 rows lie before"),
        ("at", "2030-01-01", "and 0 after it"),
    ],
)
def test_what_cannot_be_cut_is_said(tmp_path: Path, column: str, start: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cut_rows(_table([0, 1, 2, 3]), PROBLEM, column, start, tmp_path)


def test_a_missing_time_and_a_class_that_is_none_are_refused(tmp_path: Path) -> None:
    missing = [datetime(1997, 1, 1), None, datetime(1997, 1, 2), datetime(1997, 1, 3)]
    with pytest.raises(DataError, match="1 rows have no at"):
        cut_rows(_table([0, 1, 2, 3], at=missing), PROBLEM, "at", "0.5", tmp_path)
    with pytest.raises(DataError, match="kind"):
        cut_rows(_table([0, 1, 2, 3], kind=["a", "b", "a", "c"]), PROBLEM, "at", "0.5", tmp_path)
    with pytest.raises(DataError, match="no row after the start has a kind"):
        cut_rows(_table([0, 1, 2, 3], kind=["a", "b", None, None]), PROBLEM, "at", "0.5", tmp_path)


def test_names_and_labels_are_the_same_whenever_it_is_replayed() -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    assert prediction_id(moment, "r1") == prediction_id(moment, "r1") != prediction_id(moment, "r2")
    assert prediction_id(moment, "r9") < prediction_id(moment + timedelta(days=1), "r1")
    share = np.mean([is_labelled(f"r{i}", 0.2) for i in range(4000)])
    assert 0.17 < share < 0.23
    kept = {f"r{i}" for i in range(500) if is_labelled(f"r{i}", 0.2)}
    assert kept < {f"r{i}" for i in range(500) if is_labelled(f"r{i}", 0.5)}


def test_the_last_step_is_the_one_in_which_the_last_label_comes(tmp_path: Path) -> None:
    stream = cut_rows(_table([0, 1, 2, 3, 4, 5]), PROBLEM, "at", "0.5", tmp_path).stream
    assert Pace(timedelta(days=1), timedelta(0), 1.0).steps(stream) == 3
    assert Pace(timedelta(days=1), timedelta(days=7), 1.0).steps(stream) == 10
    assert Pace(timedelta(days=30), timedelta(days=7), 1.0).steps(stream) == 1
