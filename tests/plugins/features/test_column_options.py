"""What the options of `columns` make of a column, figure by figure."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from tests.plugins.features.test_columns import problem

from pizzeria.datasets import RowSet, open_dataset
from pizzeria.errors import DataError
from pizzeria.inference.rows import encode
from pizzeria.tables import Tables
from pizzeria_plugins.features import columns
from pizzeria_plugins.features.value_counts import ValueCounts


def build(folder: Path, progress: Any, options: dict[str, Any], **values: list[Any]) -> RowSet:
    """The last two rows are for validation and test."""
    count = len(next(iter(values.values())))
    keys = [f"r{i}" for i in range(count)]
    table = pd.DataFrame({"row_id": keys, **values, "move": ["up"] * count})
    splits = pd.Series(["train"] * (count - 2) + ["validation", "test"], index=keys)
    made = columns.Options.model_validate(options)
    columns.build(made, problem(), Tables(rows=table), splits, {}, folder, progress)
    dataset = open_dataset(folder)
    assert isinstance(dataset, RowSet)
    return dataset


SKEWED = [0.0, 1.0, 2.0, 3.0, 1000.0]


@pytest.mark.parametrize(
    ("scaling", "first", "second"),
    [
        ("standard", (0 - 201.2) / np.std(SKEWED), (1 - 201.2) / np.std(SKEWED)),
        ("robust", -2 / (2 / 1.3489795003921634), -1 / (2 / 1.3489795003921634)),
        ("min_max", 0.0, 0.001),
        ("quantile", -0.5 * math.sqrt(12), -0.25 * math.sqrt(12)),
    ],
)
def test_numbers_are_scaled(tmp_path: Path, progress: Any, scaling: str, first: float, second: float) -> None:
    dataset = build(tmp_path, progress, {"scaling": scaling}, x=[*SKEWED, 1e9, -5.0])
    assert dataset.numeric[:2, 0] == pytest.approx([first, second], rel=1e-6, abs=1e-6)
    if scaling == "quantile":
        assert dataset.numeric[:, 0].max() == pytest.approx(0.5 * math.sqrt(12))  # nothing is past the ends


def test_quartiles_that_are_tiny_beside_the_cut_numbers_are_not_divided_by(tmp_path: Path, progress: Any) -> None:
    column = [1e30, -1e30, *[0.0] * 7, 1.9e-28, 1e-28, 1e-28, 0.0, 0.0]
    dataset = build(tmp_path, progress, {"scaling": "robust", "clip": [0, 1]}, x=column)
    assert np.isfinite(dataset.numeric).all()
    assert 1 < np.abs(dataset.numeric).max() < 4


def test_numbers_are_cut_at_quantiles_of_the_training_split(tmp_path: Path, progress: Any) -> None:
    dataset = build(tmp_path, progress, {"clip": [0.25, 0.75]}, x=[*SKEWED, 1e300, -math.nan])
    [how] = dataset.preprocessing["numeric"]
    assert how["clip"] == [1.0, 3.0]
    cut = np.array([1, 1, 2, 3, 3])
    assert (how["mean"], how["std"]) == (cut.mean(), pytest.approx(cut.std()))
    assert dataset.numeric[:, 0].tolist() == pytest.approx([*((cut - 2) / cut.std()), 1 / cut.std(), 0.0])


def test_the_logarithm_is_taken_where_it_helps(tmp_path: Path, progress: Any) -> None:
    rng = np.random.default_rng(0)
    dataset = build(
        tmp_path,
        progress,
        {"log": "auto"},
        pay=np.exp(rng.normal(8, 1, 500)).tolist(),
        age=rng.normal(50, 3, 500).tolist(),
        balance=[*np.exp(rng.normal(8, 1, 500)).tolist()[:-1], -1.0],
    )
    pay, age, balance = dataset.preprocessing["numeric"]
    assert (pay.get("log"), age.get("log")) == (True, None)
    assert balance.get("log")  # what is below 0 in the test split alone decides nothing, and is mirrored
    assert np.isfinite(dataset.numeric).all()
    assert pay["mean"] == pytest.approx(8, abs=0.2)
    below = build(tmp_path, progress, {"log": "auto"}, x=[-1.0, *np.exp(rng.normal(8, 1, 99)).tolist()])
    assert "log" not in below.preprocessing["numeric"][0]


def test_numbers_too_large_to_be_scaled_are_told(tmp_path: Path, progress: Any) -> None:
    values = [1e300, -1e300, *map(float, range(9))]
    with pytest.raises(DataError, match="column 'x' holds numbers up to 1e\\+300, too large to be scaled") as caught:
        build(tmp_path, progress, {}, x=values)
    assert "features.clip" in str(caught.value.hint)
    build(tmp_path, progress, {"log": "auto", "scaling": "quantile", "clip": [0.2, 0.8]}, x=values)


def test_missing_numbers_have_an_input_of_their_own(tmp_path: Path, progress: Any) -> None:
    dataset = build(tmp_path, progress, {}, x=[1.0, None, 3.0, None, 2.0], y=[1.0, 2.0, 3.0, None, 5.0])
    assert dataset.numeric.shape == (5, 3)  # y misses none in the training split
    assert dataset.numeric[:, 1].tolist() == [0, 1, 0, 1, 0]
    assert build(tmp_path, progress, {"missing_indicator": False}, x=[1.0, None, 3.0, None, 2.0]).numeric.shape == (
        5,
        1,
    )


def test_rare_values_share_a_code(tmp_path: Path, progress: Any) -> None:
    values = ["a"] * 4 + ["b"] * 3 + ["c", "d", None] + ["c", "new"]
    dataset = build(tmp_path, progress, {"min_count": 2}, day=values)
    assert dataset.preprocessing["categorical"] == [
        {"name": "day", "values": ["a", "b"], "mode": "a", "rare": ["c", "d"], "missing": True}
    ]
    assert dataset.categorical[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 3, 0]
    [how] = build(tmp_path, progress, {"min_share": 0.31}, day=values).preprocessing["categorical"]
    assert (how["values"], how["rare"]) == (["a"], ["b", "c", "d"])
    [how] = build(tmp_path, progress, {"min_count": 2, "max_values": 3}, day=values).preprocessing["categorical"]
    assert (how["values"], how["rare"]) == (["a", "b"], ["c"])  # d is beyond max_values, and counts as unseen


def test_dates_become_parts(tmp_path: Path, progress: Any) -> None:
    days = [datetime(2024, 1, 1), datetime(2024, 7, 1), datetime(2024, 12, 30), datetime(2030, 1, 1), None]
    dataset = build(tmp_path, progress, {"dates": ["at"], "date_parts": ["trend", "month", "hour"]}, at=days)
    [how] = dataset.preprocessing["dates"]
    assert how["parts"] == ["trend", "month"]  # all are at midnight
    trend, sine, cosine = dataset.numeric.T
    assert sine[:3] == pytest.approx(np.sin(2 * np.pi * np.array([0, 182, 364]) / 366))
    assert cosine[0] == 1
    assert trend[3] == trend[2]  # no trend goes on past the training split
    assert dataset.numeric[4].tolist() == [0, 0, 0]
    codes = build(tmp_path, progress, {"dates": ["at"], "date_parts": ["month_category"]}, at=days)
    assert codes.categorical[:, 0].tolist() == [1, 7, 12, 1, 0]
    assert codes.numeric.shape == (5, 0)


def test_texts_become_statistics(tmp_path: Path, progress: Any) -> None:
    notes = ["Top floor, 2 rooms!", "", None, "nice", "ÄRGER 42"]
    dataset = build(tmp_path, progress, {"text": ["note"]}, note=notes)
    [how] = dataset.preprocessing["texts"]
    parts = {one["part"]: one for one in how["inputs"]}
    expected = {
        "characters": np.log1p([19, 0, 8]),
        "words": np.log1p([4, 0, 2]),
        "digits": [1 / 19, 0, 2 / 8],
        "upper_case": [1 / 19, 0, 5 / 8],
        "punctuation": [2 / 19, 0, 0],
    }
    for i, (part, values) in enumerate(expected.items()):
        scaled = (np.array(values) - parts[part]["mean"]) / parts[part]["std"]
        assert dataset.numeric[[0, 1, 4], i] == pytest.approx(scaled, rel=1e-6)
    assert dataset.numeric[:, 5].tolist() == [0, 0, 1, 0, 0]
    assert dataset.categorical.shape == (5, 0)
    again = encode([{"note": note} for note in notes], dataset.preprocessing)[0]
    assert again.tobytes() == dataset.numeric.tobytes()


def test_what_is_left_out_is_said(tmp_path: Path, progress: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(progress, "say", said.append, raising=False)
    build(tmp_path, progress, {}, x=[1.0, 2, 3, 4], at=[datetime(2024, 1, i) for i in (1, 2, 3, 4)])
    assert said == ["left out: at; features.dates takes times"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dates": ["x"]}, "features.dates: 'x' holds no times but double"),
        ({"text": ["at"]}, "features.text: 'at' holds times"),
        ({"dates": ["at"], "date_parts": ["weekday", "hour"]}, "none of weekday, hour changes in column 'at'"),
        ({"dates": ["at"], "drop": ["at"]}, "at named twice"),
        ({"dates": ["et"]}, "features.dates: 'et' is no column of the data"),
        ({"categorical": ["many"]}, "features.categorical: 'many' holds list"),
    ],
)
def test_options_that_do_not_fit_are_told(tmp_path: Path, progress: Any, options: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        build(tmp_path, progress, options, x=[1.0, 2, 3, 4], at=[datetime(2024, 1, 1)] * 4, many=[[1]] * 4)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "options", [{"clip": [0.9, 0.1]}, {"clip": [0, 2]}, {"date_parts": ["hour", "hour"]}, {"date_parts": []}]
)
def test_options_that_mean_nothing_are_refused(options: Any) -> None:
    with pytest.raises(ValidationError):
        columns.Options.model_validate(options)


def test_more_values_than_memory_shall_hold_are_counted_on_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.choice(["ä", "b", "Z", "", "😀", *map(str, range(40))], 30).tolist() for _ in range(20)]
    with ValueCounts(tmp_path, 1000) as held, ValueCounts(tmp_path, 7) as spilt:
        for part in parts:
            counts = {value: part.count(value) for value in part}
            held.add(counts)
            spilt.add(counts)
        assert (tmp_path / "counts.duckdb").exists()
        assert held.top(10) == spilt.top(10)
        assert held.top(99) == spilt.top(99)
        assert sum(count for _, count in spilt.top(99)) == 600
    assert not [*tmp_path.iterdir()]
