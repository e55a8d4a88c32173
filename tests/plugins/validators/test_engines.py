"""The same expectations on pandas and in DuckDB: the same outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.contracts import Expectation
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators import batches
from pizzeria_plugins.validators.great_expectations import validate
from pizzeria_plugins.validators.names import in_memory_only, known
from pizzeria_plugins.validators.profiling import learn

SUCCESS = ({"metric": "x", "at_least": 0},)
PROBLEM = Problem(
    need="n", owner="o", task="tabular_classification", classes=("yes", "no"), target="late", success=SUCCESS
)


def both(
    frame: pd.DataFrame, own: dict[str, list[Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[Expectation, ...], tuple[Expectation, ...]]:
    path = folder / "rows.parquet"
    frame.to_parquet(path, index=False)
    out = []
    for limit in (10**9, -1):
        monkeypatch.setattr(batches, "LARGE", limit)
        outcomes = validate(Tables(rows=path), PROBLEM, own)
        # Neighbours are sought in small tables alone.
        out.append(tuple(o for o in outcomes if o.arguments.get("column") != "neighbours_disagree"))
    return out[0], out[1]


def differences(left: tuple[Expectation, ...], right: tuple[Expectation, ...]) -> list[Any]:
    assert len(left) == len(right)
    seen = [(o.name, o.arguments, o.success, o.evaluated, o.unexpected) for o in left]
    there = [(o.name, o.arguments, o.success, o.evaluated, o.unexpected) for o in right]
    return [pair for pair in zip(seen, there, strict=True) if pair[0] != pair[1]]


def table(count: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"row_id": [f"r{n}" for n in range(count)]})
    frame["price"] = np.where(rng.random(count) < 0.1, np.nan, rng.normal(100, 20, count).round(3))
    frame["more"] = frame["price"] + rng.integers(0, 2, count)
    frame["rooms"] = rng.integers(1, 6, count)
    frame["floors"] = rng.integers(1, 4, count)
    frame["town"] = rng.choice(["Bath", "Bristol", "York"], count)
    frame.loc[::17, "town"] = None
    frame["code"] = [f"A-{n % 50:03d}" for n in range(count)]
    frame["seen"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(count), unit="h")
    frame["late"] = rng.choice(["yes", "no"], count, p=[0.3, 0.7])
    return frame


ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "expect_column_distinct_values_to_be_in_set": [{"column": "town", "value_set": ["Bath", "York"]}],
    "expect_column_distinct_values_to_contain_set": [{"column": "town", "value_set": ["Bath", "Rome"]}],
    "expect_column_distinct_values_to_equal_set": [{"column": "town", "value_set": ["Bath", "York", "Bristol"]}],
    "expect_column_kl_divergence_to_be_less_than": [
        {
            "column": "town",
            "partition_object": {"values": ["Bath", "York", "Bristol"], "weights": [0.3, 0.3, 0.4]},
            "threshold": 0.1,
        },
        {
            "column": "price",
            "partition_object": {"bins": [0, 90, 110, 200], "weights": [0.3, 0.4, 0.3]},
            "threshold": 0.1,
        },
    ],
    "expect_column_max_to_be_between": [
        {"column": "price", "max_value": 120},
        {"column": "seen", "min_value": "2024-01-10 00:00:00"},
        {"column": "seen", "min_value": "2025-01-10 00:00:00"},
    ],
    "expect_column_mean_to_be_between": [{"column": "price", "min_value": 95, "max_value": 105, "strict_min": True}],
    "expect_column_median_to_be_between": [{"column": "price", "min_value": 95, "max_value": 105}],
    "expect_column_min_to_be_between": [{"column": "rooms", "min_value": 1, "strict_min": True}],
    "expect_column_most_common_value_to_be_in_set": [{"column": "late", "value_set": ["no"]}],
    "expect_column_pair_values_a_to_be_greater_than_b": [
        {"column_A": "more", "column_B": "price", "or_equal": True},
        {"column_A": "more", "column_B": "price"},
    ],
    "expect_column_pair_values_to_be_equal": [{"column_A": "more", "column_B": "price"}],
    "expect_column_pair_values_to_be_in_set": [
        {"column_A": "code", "column_B": "late", "value_pairs_set": [["A-001", "yes"], ["A-001", "no"]]}
    ],
    "expect_column_proportion_of_non_null_values_to_be_between": [{"column": "price", "min_value": 0.95}],
    "expect_column_proportion_of_unique_values_to_be_between": [{"column": "code", "max_value": 0.2}],
    "expect_column_quantile_values_to_be_between": [
        {
            "column": "price",
            "quantile_ranges": {"quantiles": [0.1, 0.5, 0.9], "value_ranges": [[70, 80], [95, 105], [120, 130]]},
        }
    ],
    "expect_column_stdev_to_be_between": [{"column": "price", "min_value": 15, "max_value": 25}],
    "expect_column_sum_to_be_between": [{"column": "rooms", "min_value": 1, "max_value": 100}],
    "expect_column_to_exist": [{"column": "rooms"}, {"column": "roms"}],
    "expect_column_type_to_be": [{"column": "rooms", "type_": "int64"}, {"column": "rooms", "type_": "VARCHAR"}],
    "expect_column_unique_value_count_to_be_between": [{"column": "code", "min_value": 50, "max_value": 50}],
    "expect_column_value_lengths_to_be_between": [{"column": "town", "min_value": 5}],
    "expect_column_value_lengths_to_equal": [{"column": "code", "value": 5}],
    "expect_column_value_z_scores_to_be_less_than": [{"column": "price", "threshold": 2, "double_sided": True}],
    "expect_column_values_to_be_between": [
        {"column": "price", "min_value": 60, "max_value": 140, "mostly": 0.9},
        {"column": "price", "min_value": 90},
        {"column": "seen", "min_value": "2024-01-02 00:00:00"},
        {
            "column": "price",
            "min_value": 90,
            "row_condition": {
                "type": "and",
                "conditions": [
                    {"type": "comparison", "column": {"name": "town"}, "operator": "==", "parameter": "York"},
                    {"type": "comparison", "column": {"name": "rooms"}, "operator": "IN", "parameter": [1, 2]},
                    {"type": "nullity", "column": {"name": "price"}, "is_null": False},
                ],
            },
        },
        {
            "column": "price",
            "min_value": 90,
            "row_condition": {"type": "comparison", "column": {"name": "rooms"}, "operator": ">", "parameter": 99},
        },
    ],
    "expect_column_values_to_be_in_set": [{"column": "town", "value_set": ["Bath"]}],
    "expect_column_values_to_be_null": [{"column": "price"}],
    "expect_column_values_to_be_of_type": [
        {"column": "price", "type_": "float64"},
        {"column": "town", "type_": "VARCHAR"},
        {"column": "seen", "type_": "datetime64"},
        {"column": "town", "type_": "int64"},
    ],
    "expect_column_values_to_be_unique": [{"column": "code"}, {"column": "seen"}],
    "expect_column_values_to_match_regex": [
        {"column": "code", "regex": "^A-0[0-3]"},
        {"column": "town", "regex": "th"},
    ],
    "expect_column_values_to_match_regex_list": [{"column": "town", "regex_list": ["^B", "k$"], "match_on": "any"}],
    "expect_column_values_to_not_be_in_set": [{"column": "town", "value_set": ["York"]}],
    "expect_column_values_to_not_be_null": [{"column": "price", "mostly": 0.5}, {"column": "town"}],
    "expect_column_values_to_not_be_outliers": [
        {"column": "price", "method": "iqr", "multiplier": 1.5},
        {"column": "price", "method": "std", "multiplier": 2},
    ],
    "expect_column_values_to_not_match_regex": [{"column": "town", "regex": "^Y"}],
    "expect_column_values_to_not_match_regex_list": [{"column": "town", "regex_list": ["^Y", "z"]}],
    "expect_compound_columns_to_be_unique": [{"column_list": ["code", "rooms"]}],
    "expect_multicolumn_sum_to_equal": [{"column_list": ["rooms", "floors"], "sum_total": 4}],
    "expect_multicolumn_values_to_be_equal": [{"column_list": ["price", "more"]}],
    "expect_select_column_values_to_be_unique_within_record": [{"column_list": ["price", "more"]}],
    "expect_table_column_count_to_be_between": [{"min_value": 9, "max_value": 9}],
    "expect_table_column_count_to_equal": [{"value": 8}, {"value": 9}],
    "expect_table_columns_to_match_ordered_list": [{"column_list": list(table(1).columns)}],
    "expect_table_columns_to_match_set": [{"column_set": ["row_id", "town"], "exact_match": False}],
    "expect_table_row_count_to_be_between": [{"min_value": 300}],
    "expect_table_row_count_to_equal": [{"value": 399}],
}


def test_every_expectation_that_both_engines_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set(known()) - in_memory_only()
    assert names == set(ARGUMENTS)
    own = {"rows": [{name: arguments} for name, many in ARGUMENTS.items() for arguments in many]}
    left, right = both(table(), own, tmp_path, monkeypatch)
    assert differences(left, right) == []
    of_spec = [o for o in right if o.arguments in [a for many in ARGUMENTS.values() for a in many]]
    undecided = [(o.name, o.arguments, o.examples) for o in of_spec if o.success is None]
    assert [arguments["row_condition"]["parameter"] for _, arguments, _ in undecided] == [99]
    assert {o.success for o in of_spec} == {True, False, None}
    for here, there in zip(left, right, strict=True):
        if here.success is False:
            assert bool(here.examples) == bool(there.examples), here.name


def test_columns_may_be_named_as_words_of_sql(tmp_path: Path) -> None:
    frame = table(60).rename(columns={"seen": "at", "code": "order", "floors": "Select"})
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    with pytest.MonkeyPatch.context() as patch:
        left, right = both(frame, {}, tmp_path, patch)
    assert differences(left, right) == []
    assert not [outcome for outcome in right if outcome.success is None]


def test_offending_rows_are_named_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"rows": [{"expect_column_values_to_be_between": {"column": "price", "max_value": 140}}]}
    left, right = (outcomes[-1] for outcomes in both(table(), own, tmp_path, monkeypatch))
    assert left.examples == right.examples
    assert left.examples[0].startswith("r")
    assert ": price 1" in left.examples[0]


def test_what_runs_in_memory_alone_is_undecided_on_a_large_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"rows": [{"expect_column_values_to_be_increasing": {"column": "rooms"}}]}
    left, right = (outcomes[-1] for outcomes in both(table(), own, tmp_path, monkeypatch))
    assert left.success is False
    assert right.success is None
    assert "in memory only" in right.examples[0]
    assert in_memory_only() >= {"expect_column_values_to_be_increasing", "expect_column_values_to_be_json_parseable"}


@settings(max_examples=4)
@given(data=st.data())
def test_any_small_table_is_judged_alike(data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = data.draw(st.integers(1, 12))
    numbers = st.one_of(st.none(), st.integers(-3, 3).map(float))
    words = st.one_of(st.none(), st.sampled_from(["", "a", "A", "é", "a'b", 'c"d', "100%", "_"]))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(values, min_size=count, max_size=count))

    frame = pd.DataFrame({"row_id": [f"r{n}" for n in range(count)]})
    frame["x"] = pd.array(column(numbers), dtype="float64")
    frame["a b"] = pd.array(column(words), dtype="str")
    frame["late"] = column(st.sampled_from(["yes", "no"]))
    low = data.draw(st.integers(-3, 3))
    mostly = data.draw(st.sampled_from([0.25, 0.5, 1.0]))
    on = {"column": "a b"}
    own = {
        "rows": [
            {"expect_column_values_to_be_between": {"column": "x", "min_value": low, "mostly": mostly}},
            {"expect_column_values_to_be_in_set": on | {"value_set": ["a", "a'b", 'c"d'], "mostly": mostly}},
            {"expect_column_values_to_not_be_null": on | {"mostly": mostly}},
            {"expect_column_values_to_be_unique": on},
            {"expect_column_values_to_match_regex": on | {"regex": "a|%"}},
            {"expect_column_value_lengths_to_be_between": on | {"min_value": 1, "max_value": 2}},
            {"expect_column_unique_value_count_to_be_between": on | {"min_value": 2}},
            {"expect_column_mean_to_be_between": {"column": "x", "min_value": low}},
        ]
    }
    left, right = both(frame, own, tmp_path, monkeypatch)
    assert differences(left, right) == []


def test_what_is_learnt_holds_on_what_it_was_learnt_from_on_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = table()
    own = json.loads(json.dumps(learn(Tables(rows=frame), PROBLEM, tmp_path, drift=False)))
    left, right = both(frame, own, tmp_path, monkeypatch)
    assert differences(left, right) == []
    assert [(o.name, o.arguments, o.examples) for o in right[-len(own["rows"]) :] if not o.success] == []


def test_the_flights_stay_in_their_file(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real data: 327,346 flights, of which some depart an hour early or ten late, and none lacks its delay."""
    path = tmp_path / "rows.parquet"
    frame = pd.read_parquet(shared_data / "tabular" / "flights.parquet")
    frame.insert(0, "row_id", [f"f{n}" for n in range(len(frame))])
    frame.loc[[3, 5], "dep_delay"] = None
    frame.to_parquet(path, index=False)
    monkeypatch.setattr(pd, "read_parquet", None)  # all of it is never read
    own = {
        "rows": [
            {"expect_column_values_to_not_be_null": {"column": "arr_delay"}},
            {"expect_column_values_to_not_be_null": {"column": "dep_delay"}},
            {"expect_column_values_to_be_between": {"column": "dep_delay", "min_value": -60, "max_value": 600}},
            {"expect_column_max_to_be_between": {"column": "scheduled", "min_value": "2013-12-31 00:00:00"}},
        ]
    }
    regression = Problem(need="n", owner="o", task="tabular_regression", target="arr_delay", success=SUCCESS)
    outcomes = validate(Tables(rows=path), regression, own)[-4:]
    assert [(o.success, o.evaluated, o.unexpected) for o in outcomes] == [
        *((True, 327_346, 0), (False, 327_346, 2), (False, 327_344, 39), (True, 327_346, 0))
    ]
    assert outcomes[1].examples == ("f3: dep_delay None", "f5: dep_delay None")
