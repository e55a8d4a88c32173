"""Checks tables with Great Expectations: the built-in expectations of the task, and a spec's own by GX's names.

A spec's expectation with the name and columns of a built-in one takes its place, so bounds can be
made wider or tighter: `images: [{expect_column_values_to_be_unique: {column: sha256, mostly: 1}}]` lets no
photo in twice.

`pizzeria_plugins.validators.builtin` lists the columns that are derived for the checks, such as a box's
`relative_area`. Nothing is sent anywhere: an ephemeral context, without progress bars or analytics.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import Expectation
from pizzeria.errors import DataError, nearest
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as _Options
from pizzeria.tables import Tables
from pizzeria.tasks import task
from pizzeria_plugins.validators.builtin import KEYS, Check, builtin, derive
from pizzeria_plugins.validators.names import check_names as check_names

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 10


class Options(_Options):
    """The validator has no options of its own: expectations carry everything."""


def validate(
    tables: Tables, problem: Problem, expectations: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[Expectation, ...]:
    """Run the built-in expectations of the task and the spec's own.

    Returns:
        One outcome for each, in a fixed order. `success` is None where no row could be evaluated.

    Raises:
        DataError: an expectation is not one of Great Expectations, or its arguments are not right.
    """
    if faults := check_names(expectations):
        raise DataError("\n".join(f"data.expectations.{path}: {message}" for path, message, _ in faults))
    frames = derive(tables, problem)
    context = _context()
    outcomes: list[Expectation] = []
    for table in KEYS:
        own = [_own_check(entry) for entry in expectations.get(table, ())]
        if table in frames:
            replaced = {check.subject for check in own}
            checks = [c for c in builtin(table, frames[table], problem) if c.subject not in replaced] + own
            outcomes += _run(context, table, frames[table], checks)
        elif own or table in task(problem.task).TABLES:
            checks = own or [Check("expect_table_row_count_to_be_between", {"min_value": 1})]
            outcomes += [_undecided(table, check, f"the data have no table {table}") for check in checks]
    return tuple(outcomes)


def import_quietly() -> Any:
    """Great Expectations, imported (2 to 4 s) without its deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports sre_constants, deprecated since Python 3.11
        import great_expectations
    return great_expectations


def _context() -> Any:
    context = import_quietly().get_context(mode="ephemeral")
    context.enable_analytics(False)
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _own_check(entry: Mapping[str, Any]) -> Check:
    ((name, arguments),) = entry.items()
    return Check(name, dict(arguments), _columns(arguments))


def _columns(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    single = [arguments[key] for key in ("column", "column_A", "column_B") if arguments.get(key)]
    return (*single, *(arguments.get("column_list") or ()))


def _run(context: Any, table: str, frame: pd.DataFrame, checks: Sequence[Check]) -> list[Expectation]:
    """All checks of one table as one suite."""
    gx = import_quietly()
    outcomes: dict[int, Expectation] = {}
    suite = gx.ExpectationSuite(name=table)
    for position, check in enumerate(checks):
        if problem := _missing_column(check, frame):
            outcomes[position] = _undecided(table, check, problem)
        else:
            suite.expectations.append(_build(table, check, position))
    asset = context.data_sources.add_pandas(table).add_dataframe_asset(table)
    batch = asset.add_batch_definition_whole_dataframe(table).get_batch({"dataframe": frame})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' and scipy's remarks on odd columns; the outcome itself says it
        results = (
            batch.validate(suite, result_format={"result_format": "COMPLETE"}).results if suite.expectations else ()
        )
    for result in results:
        position = result.expectation_config.meta["position"]
        outcomes[position] = _outcome(table, frame, checks[position], result)
    return [outcomes[position] for position in range(len(checks))]


def _build(table: str, check: Check, position: int) -> Any:
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        return get_expectation_impl(check.name)(**check.arguments, meta={"position": position})
    except ValueError as error:  # pydantic's own
        raise DataError(f"data.expectations.{table}: {check.name}: {_one_line(error)}") from error


def _one_line(error: ValueError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())  # type: ignore[attr-defined]


def _outcome(table: str, frame: pd.DataFrame, check: Check, result: Any) -> Expectation:
    info = result.exception_info or {}
    if "raised_exception" not in info or info["raised_exception"]:
        errors = [info] if "exception_message" in info else list(info.values())
        return _undecided(table, check, str(errors[0]["exception_message"]) if errors else "it could not be evaluated")
    figures = result.result
    unexpected = int(figures.get("unexpected_count") or 0)
    about_rows = "element_count" in figures
    if about_rows:
        evaluated = int(figures["element_count"]) - int(figures.get("missing_count") or 0)
        rows = figures.get("unexpected_index_list") or []
        examples = [_example(table, frame.iloc[row], int(row), check) for row in rows[:EXAMPLES]]
    else:
        columns = [column for column in _columns(check.arguments) if column in frame]
        evaluated = len(frame[columns].dropna()) if columns else len(frame)
        examples = [] if result.success else [_observed(figures)]
    about_table = check.name.startswith("expect_table_") or check.name == "expect_column_to_exist"
    success = bool(result.success) if evaluated or about_table else None
    if success is None:
        examples = ["no row to evaluate"]
    return Expectation(table, check.name, check.arguments, success, evaluated, unexpected, tuple(examples))


def _undecided(table: str, check: Check, why: str) -> Expectation:
    return Expectation(table, check.name, check.arguments, None, 0, 0, (why,))


def _missing_column(check: Check, frame: pd.DataFrame) -> str:
    if check.name == "expect_column_to_exist" or check.name.startswith("expect_table_"):
        return ""
    for column in _columns(check.arguments):
        if column not in frame:
            return f"the table has no column {column}; {nearest(column, frame.columns)}"
    return ""


def _example(table: str, row: pd.Series[Any], number: int, check: Check) -> str:
    key = KEYS[table]
    name = row[key] if key in row.index and row[key] == row[key] and row[key] is not None else f"row {number}"
    shown = [column for column in check.show or _columns(check.arguments) if column in row.index and column != key]
    return f"{name}: {', '.join(f'{c} {_short(row[c])}' for c in shown)}" if shown else str(name)


def _observed(figures: Mapping[str, Any]) -> str:
    if figures.get("partial_missing_list"):
        return f"missing {', '.join(map(_short, figures['partial_missing_list'][:EXAMPLES]))}"
    return f"observed {_short(figures['observed_value'])}" if "observed_value" in figures else "it is not so"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
