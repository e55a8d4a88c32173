"""The expectations that hold for any task's tables: what must be true (critical) and what calls for a look (warning).

`docs/data/validation.md` lists them with the columns that they are on, which `derived` and `derived_rows` make.
A check on a column that a table lacks, because its source does not measure it, is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pizzeria.inference.rows import text
from pizzeria.spec.problem import Problem
from pizzeria_plugins.validators.derived import CORNERS

Severity = Literal["critical", "warning", "info"]

KEYS = {"images": "image_id", "boxes": "box_id", "listings": "listing_id", "rows": "row_id"}
_SAME_PHOTO = 0.98  # a few photos uploaded twice are daily life and named in the report; more stops the run
_FEW = 20  # examples of a class, below which little can be learnt, and nothing can be measured
_RARE = 0.02  # of the commonest class
_FAR = 5  # robust standard deviations
_QUALITY = 0.98  # share of photos that must be as they should be
_FINITE = {"min_value": -sys.float_info.max, "max_value": sys.float_info.max}

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"


@dataclass(frozen=True)
class Check:
    """One expectation to run.

    Attributes:
        name: Great Expectations' name.
        arguments: Its arguments, without `severity`.
        show: Columns to print of an offending row, beside its key.
        optional: Whether it is left out where its column is not there.
    """

    name: str
    arguments: Mapping[str, Any]
    show: tuple[str, ...] = ()
    severity: Severity = "critical"
    optional: bool = False

    @property
    def subject(self) -> tuple[Any, ...]:
        """What a check is on: two with the same name and columns say the same thing, maybe with other bounds."""
        columns = [self.arguments.get(key) for key in ("column", "column_A", "column_B")]
        return (self.name, *columns, *sorted(self.arguments.get("column_list") or ()))


@dataclass(frozen=True)
class Facts:
    """What the built-in checks need to know of a table.

    Attributes:
        columns: All of them, derived ones too.
        own: The data's own, with what kind each is: `number`, `time`, `text` or `other`.
        targets: Values of the target that the table holds, as it writes them; empty for other tables.
    """

    columns: Sequence[str]
    own: Mapping[str, str]
    targets: Sequence[Any] = ()


def builtin(table: str, facts: Facts, problem: Problem) -> list[Check]:
    """The built-in checks of one table."""
    key = KEYS[table]
    checks = [
        Check("expect_table_row_count_to_be_between", {"min_value": 1}),
        Check("expect_column_values_to_not_be_null", {"column": key}),
        Check("expect_column_values_to_be_unique", {"column": key}),
    ]
    if table == "images":
        checks += _images(problem)
    if table == "boxes":
        checks += _boxes(problem)
    if table == "rows":
        checks += _rows(problem, facts)
    return [check for check in checks if not check.optional or check.arguments.get("column") in facts.columns]


def _images(problem: Problem) -> list[Check]:
    checks = [
        _true("readable", "path", "problem"),
        Check(BETWEEN, {"column": "width", "min_value": 1}),
        Check(BETWEEN, {"column": "height", "min_value": 1}),
        Check("expect_column_values_to_be_unique", {"column": "sha256", "mostly": _SAME_PHOTO}, ("path", "sha256")),
        _never("unlabelled", "path", mostly=0.5),
        _quality("sharpness", min_value=4),
        _quality("brightness", min_value=0.1, max_value=0.95),
        _quality("contrast", min_value=0.05),
        _quality("dark_share", max_value=0.6),
        _quality("bright_share", max_value=0.6),
        _quality("entropy", min_value=2),
        _quality("aspect", min_value=0.25, max_value=4),
        _quality("near_duplicates", max_value=0, show="near_duplicate_of"),
        _never("near_duplicate_disagrees", "path", "near_duplicate_of", "label", "labels"),
    ]
    if problem.task == "image_classification":
        checks += [*_classes("label", problem.classes), *_balance()]
    if problem.task == "multilabel_classification":
        checks += [
            Check("expect_column_values_to_not_be_null", {"column": "labels"}),
            Check(IN_SET, {"column": "unknown_labels", "value_set": [""]}),
            *_balance(),
        ]
    return checks


def _boxes(problem: Problem) -> list[Check]:
    box = ("image_id", "class_name", *CORNERS)
    return [
        _true("image_exists", "image_id"),
        _true("inside_image", *box, "image_width", "image_height"),
        Check(BETWEEN, {"column": "width", "min_value": 1}, box),
        Check(BETWEEN, {"column": "height", "min_value": 1}, box),
        *_classes("class_name", problem.classes, "image_id"),
        Check("expect_compound_columns_to_be_unique", {"column_list": list(box)}, box),
        _never("duplicate", *box),
        _never("contradictory", *box, "contradicts"),
        _within("size_deviation", -_FAR, _FAR, *box, "relative_area"),
        _within("aspect_deviation", -_FAR, _FAR, *box, "aspect"),
        *_balance(),
    ]


def _rows(problem: Problem, facts: Facts) -> list[Check]:
    checks = []
    if problem.target:
        checks.append(Check("expect_column_to_exist", {"column": problem.target}))
    if problem.target and problem.classes:
        checks += _classes(problem.target, _as_found(problem, facts.targets))
        checks += _balance()
    elif problem.target:
        checks += [
            Check("expect_column_values_to_not_be_null", {"column": problem.target}),
            Check(BETWEEN, {"column": problem.target, **_FINITE}),
        ]
    for column, kind in facts.own.items():
        if column in (problem.target, KEYS["rows"]):
            continue
        name = "expect_column_proportion_of_non_null_values_to_be_between"
        checks.append(Check(name, {"column": column, "min_value": 0.5}, severity="warning"))
        name = "expect_column_unique_value_count_to_be_between"
        checks.append(Check(name, {"column": column, "min_value": 2}, severity="warning"))
        if kind == "number":
            checks.append(Check(BETWEEN, {"column": column, **_FINITE}, severity="warning"))
        if kind == "time":  # none is from the future: its age is 0 days or more
            checks.append(_within(f"age_days_of_{column}", 0, None, column, mostly=1.0))
    doubtful: Severity = "warning" if problem.classes else "info"
    return [
        *checks,
        _within("copies", 1, 1, mostly=0.99),
        Check(IN_SET, _mostly("conflicting_target", 0.99), (problem.target or "",), doubtful, optional=True),
        _within("neighbours_disagree", 0, 0.9, problem.target or "", mostly=0.95),
    ]


def _true(column: str, *show: str) -> Check:
    return Check(IN_SET, {"column": column, "value_set": [True]}, (*show, column))


def _never(column: str, *show: str, mostly: float = 1.0) -> Check:
    return Check(IN_SET, _mostly(column, mostly), show, "warning", optional=True)


def _mostly(column: str, mostly: float) -> dict[str, Any]:
    return {"column": column, "value_set": [False]} | ({"mostly": mostly} if mostly < 1 else {})


def _within(column: str, low: float | None, high: float | None, *show: str, mostly: float = 0.99) -> Check:
    bounds = {key: value for key, value in (("min_value", low), ("max_value", high)) if value is not None}
    share = {"mostly": mostly} if mostly < 1 else {}
    return Check(BETWEEN, {"column": column, **bounds, **share}, (*show, column), "warning", optional=True)


def _quality(column: str, *, show: str = "", **bounds: float) -> Check:
    arguments = {"column": column, **bounds, "mostly": _QUALITY}
    shown = ("path", column, *([show] if show else []))
    return Check(BETWEEN, arguments, shown, "warning", optional=True)


def _balance() -> list[Check]:
    name = "expect_column_min_to_be_between"
    return [
        Check(name, {"column": "class_count", "min_value": _FEW}, severity="warning", optional=True),
        Check(name, {"column": "class_balance", "min_value": _RARE}, severity="warning", optional=True),
    ]


def _classes(column: str, classes: Sequence[Any], *show: str) -> list[Check]:
    named = {"column": column, "value_set": list(classes)}
    return [
        Check("expect_column_values_to_not_be_null", {"column": column}, (*show, column)),
        Check(IN_SET, named, (*show, column)),
        Check("expect_column_distinct_values_to_contain_set", named, severity="warning"),
    ]


def _as_found(problem: Problem, found: Sequence[Any]) -> Sequence[Any]:
    """The classes as the table writes them: a column of 0 and 1 holds the classes "0" and "1"."""
    known = tuple(v for v in found if {str(v), text(v)} & set(problem.classes))
    missing = set(problem.classes) - {name for value in known for name in (str(value), text(value))}
    return (*known, *(name for name in problem.classes if name in missing)) if known else problem.classes
