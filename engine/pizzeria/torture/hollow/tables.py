"""Expectations on data, asked about nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pizzeria.torture.hollow import Question
from pizzeria.torture.hollow.answers import problem_of

_BETWEEN = "expect_column_values_to_be_between"
_NOBODY = {"type": "comparison", "column": {"name": "kind"}, "operator": "==", "parameter": "nobody"}
_KINDS = {"type": "and", "conditions": [_NOBODY, _NOBODY]}


def questions() -> Iterator[Question]:
    """All of them."""
    yield Question("expectations", "no expectation at all", lambda: _let_through([]))
    yield Question("expectations", "a table without a row", lambda: _checked(_rows(0), {}))
    yield Question("expectations", "no table at all", lambda: _checked(None, {}))
    for what, value in (("empty", None), ("NaN", float("nan"))):
        bounds = {"column": "size", "min_value": 0, "max_value": 1}
        yield Question("expectations", f"a column that is {what}", lambda v=value, b=bounds: _own(_rows(50, size=v), b))  # type: ignore[misc]
    for condition in (_NOBODY, _KINDS):
        arguments = {"column": "size", "min_value": 0, "max_value": 1, "row_condition": condition}
        yield Question("expectations", "a condition that no row meets", lambda a=arguments: _own(_rows(50), a))  # type: ignore[misc]
    nothing = {"column": "size", "min_value": 5, "max_value": 6, "mostly": 0}
    yield Question("expectations", "of no row (mostly: 0)", lambda: _own(_rows(50), nothing))
    yield Question(
        "expectations", "a column that is not there", lambda: _own(_rows(50), {"column": "nobody", "min_value": 0})
    )
    boxes = {"boxes": [{_BETWEEN: {"column": "area", "min_value": 0}}]}
    yield Question("expectations", "a table that is not there", lambda: _checked(_rows(50), boxes))


def _rows(count: int, **columns: Any) -> Any:
    import pandas as pd

    data = {
        "row_id": [f"r{i}" for i in range(count)],
        "size": [i / max(count, 1) for i in range(count)],
        "kind": ["a" if i % 2 else "b" for i in range(count)],
        "answer": ["yes" if i % 2 else "no" for i in range(count)],
    }
    return pd.DataFrame(data | {name: [value] * count for name, value in columns.items()})


def _own(rows: Any, arguments: dict[str, Any]) -> bool:
    return _checked(rows, {"rows": [{_BETWEEN: arguments}]})


def _checked(rows: Any, expectations: dict[str, Any]) -> bool:
    from pizzeria import registry
    from pizzeria.tables import Tables

    validator, problem = registry.load("validators", "great_expectations"), problem_of("tabular_classification")
    if validator.check_names(expectations):
        return False  # as the spec that has them is refused
    return _let_through(validator.validate(Tables(rows=rows), problem, expectations, None))


def _let_through(results: Any) -> bool:
    from pizzeria.stages.validate import judge

    return judge(results) is None
