"""What `pizzeria validate` says of a spec's expectations, without the library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pizzeria_plugins.validators.list_names import PATH, listing, text
from pizzeria_plugins.validators.names import check_names

BETWEEN = "expect_column_values_to_be_between"


def test_right_names_have_no_fault() -> None:
    assert check_names({"boxes": [{BETWEEN: {"column": "relative_area", "min_value": 0.0005, "max_value": 1}}]}) == []
    assert check_names({"images": [{BETWEEN: {"column": "width", "min_value": None, "mostly": 0.9}}], "rows": []}) == []


@pytest.mark.parametrize(
    ("expectations", "path", "message", "hint"),
    [
        ({"box": []}, "box", "unknown table box", "did you mean boxes?"),
        (
            {"boxes": [{"expect_column_values_to_be_betwen": {}}]},
            "boxes[0].expect_column_values_to_be_betwen",
            "unknown expectation expect_column_values_to_be_betwen",
            "did you mean expect_column_",
        ),
        (
            {"boxes": [{BETWEEN: {"column": "width", "min_valu": 1}}]},
            f"boxes[0].{BETWEEN}.min_valu",
            "unknown argument min_valu",
            "did you mean min_value",
        ),
        ({"boxes": [{BETWEEN: {"min_value": 1}}]}, f"boxes[0].{BETWEEN}", "argument column is missing", "add column"),
        (
            {"boxes": [{BETWEEN: {"column": "width", "min_value": 1, "mostly": 0}}]},
            f"boxes[0].{BETWEEN}.mostly",
            "it asks this of no row",
            "write more than 0",
        ),
        (
            {"boxes": [{BETWEEN: {"column": "width", "mostly": 90}}]},
            f"boxes[0].{BETWEEN}.mostly",
            "90 is not allowed",
            "write a number from 0 to 1",
        ),
        (
            {"boxes": [{BETWEEN: {"column": 3}}]},
            f"boxes[0].{BETWEEN}.column",
            "3 is not allowed",
            "write a value of type string",
        ),
        (
            {"boxes": [{BETWEEN: {"column": "w", "max_value": {"$PARAMETER": "x"}}}]},
            f"boxes[0].{BETWEEN}.max_value",
            "{'$PARAMETER': 'x'} is not allowed",
            "write a value of type number or string",
        ),
        (
            {"rows": [{"expect_column_values_to_not_be_outliers": {"column": "a", "method": "mad"}}]},
            "rows[0].expect_column_values_to_not_be_outliers.method",
            "'mad' is not allowed",
            "write one of iqr, std",
        ),
        (
            {"rows": [{}]},
            "rows[0]",
            "one expectation expected, found nothing",
            "start each expectation with its own dash",
        ),
        (
            {"rows": [{BETWEEN: "width"}]},
            f"rows[0].{BETWEEN}",
            "arguments must be a mapping, found 'width'",
            f"write {BETWEEN}: {{column: ...}}",
        ),
    ],
)
def test_a_fault_says_where_what_and_what_instead(expectations: dict, path: str, message: str, hint: str) -> None:
    ((found_path, found_message, found_hint),) = check_names(expectations)
    assert (found_path, found_message) == (path, message)
    assert found_hint.startswith(hint)


def test_a_condition_that_pandas_would_run_as_code_is_refused() -> None:
    arguments = {"column": "a", "row_condition": "@__import__('os').system('true')", "condition_parser": "pandas"}
    faults = check_names({"rows": [{BETWEEN: arguments}]})
    assert [message for _, message, _ in faults] == ["row_condition is not allowed", "condition_parser is not allowed"]
    assert "code" in faults[0][2]


def test_the_listing_is_that_of_the_installed_library() -> None:
    assert PATH.read_text() == text(listing()), "run: python -m pizzeria_plugins.validators.list_names"


def test_checking_names_imports_no_heavy_library() -> None:
    script = (
        "import sys; from pizzeria_plugins.validators.great_expectations import check_names; check_names({'rows': []});"
        "print(sorted({'great_expectations', 'pandas', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_severity_is_every_expectations() -> None:
    assert check_names({"rows": [{BETWEEN: {"column": "a", "min_value": 1, "severity": "warning"}}]}) == []
    ((path, message, hint),) = check_names({"rows": [{BETWEEN: {"column": "a", "severity": "bad"}}]})
    assert (path, message) == (f"rows[0].{BETWEEN}.severity", "'bad' is not allowed")
    assert hint == "write one of critical, warning, info"


COMPARISON = {"type": "comparison", "column": {"name": "a"}, "operator": "==", "parameter": 1}
BOTH = {"type": "and", "conditions": [COMPARISON, {"type": "nullity", "column": {"name": "a"}, "is_null": True}]}


@pytest.mark.parametrize("condition", [COMPARISON, BOTH, {"type": "or", "conditions": [COMPARISON, BOTH]}])
def test_a_condition_of_plain_values_is_let_through(condition: dict) -> None:
    assert check_names({"rows": [{BETWEEN: {"column": "a", "min_value": 1, "row_condition": condition}}]}) == []


@pytest.mark.parametrize(
    "condition",
    [
        "a > 1",
        {"type": "pass_through", "pass_through_filter": "@__import__('os').system('true')"},
        {},
        COMPARISON | {"column": "a"},
        COMPARISON | {"column": {"name": "a` or @x.y() or `b"}},
        COMPARISON | {"operator": "== @f() or a =="},
        COMPARISON | {"parameter": None},
        COMPARISON | {"parameter": {"$PARAMETER": "x"}},
        COMPARISON | {"parameter": "a\\"},
        COMPARISON | {"operator": "IN", "parameter": [[1]]},
        COMPARISON | {"more": 1},
        {"type": "and", "conditions": []},
        {"type": "and", "conditions": [{"type": "pass_through", "pass_through_filter": "x"}]},
        {"type": "or", "conditions": [{"type": "or", "conditions": [{"type": "or", "conditions": [BOTH]}]}]},
    ],
)
def test_any_other_condition_is_refused(condition: object) -> None:
    faults = check_names({"rows": [{BETWEEN: {"column": "a", "min_value": 1, "row_condition": condition}}]})
    assert len(faults) >= 1
    assert all(".row_condition" in path for path, _, _ in faults)
