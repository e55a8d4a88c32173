"""Checks tables with Great Expectations: the built-in expectations of the task, and a spec's own by GX's names.

A spec's expectation with the name and columns of a built-in one takes its place, so bounds can be
made wider or tighter: `images: [{expect_column_values_to_be_unique: {column: sha256, mostly: 1}}]` lets no
photo in twice. `severity` says what it means when one is not met: `critical`, the default, stops the run.

Tables of more than 200,000 rows are checked on GX's SQL engine, which is DuckDB here, in flat memory; smaller ones on
pandas. `docs/data/validation.md` lists the built-in expectations and the columns that are derived for the checks, such
as a box's `relative_area`. Nothing is sent anywhere: an ephemeral context, without progress bars or analytics.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import Expectation
from pizzeria.errors import DataError, nearest
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as _Options
from pizzeria.tables import Tables
from pizzeria.tasks import task
from pizzeria_plugins.validators.builtin import KEYS, Check, builtin
from pizzeria_plugins.validators.names import check_names as check_names
from pizzeria_plugins.validators.names import in_memory_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pizzeria_plugins.validators.batches import Batch

EXAMPLES = 10


class Options(_Options):
    """The validator has no options of its own: expectations carry everything."""


def validate(
    tables: Tables,
    problem: Problem,
    expectations: Mapping[str, Sequence[Mapping[str, Any]]],
    folder: Path | None = None,
) -> tuple[Expectation, ...]:
    """Run the built-in expectations of the task and the spec's own.

    Args:
        folder: Where `data_docs/index.html` is left; None: no such page.

    Returns:
        One outcome for each, in a fixed order. `success` is None where no row could be evaluated.

    Raises:
        DataError: an expectation is not one of Great Expectations, or its arguments are not right.
    """
    if faults := check_names(expectations):
        raise DataError("\n".join(f"data.expectations.{path}: {message}" for path, message, _ in faults))
    from pizzeria_plugins.validators import docs_site

    context = _context()
    outcomes: list[Expectation] = []
    pages: dict[str, Any] = {}
    with _batches(tables, problem, folder) as batches:
        for table in KEYS:
            own = [_own_check(entry) for entry in expectations.get(table, ())]
            if table in batches:
                replaced = {check.subject for check in own}
                facts = batches[table].facts(problem)
                checks = [check for check in builtin(table, facts, problem) if check.subject not in replaced] + own
                found, pages[table] = _run(context, table, batches[table], checks)
                outcomes += found
            elif own or table in task(problem.task).TABLES:
                checks = own or [Check("expect_table_row_count_to_be_between", {"min_value": 1})]
                outcomes += [_undecided(table, check, f"the data have no table {table}") for check in checks]
    if folder is not None and pages:
        docs_site.build(context, pages, folder)
    return tuple(outcomes)


def profile(
    tables: Tables, problem: Problem | None, *, drift: bool = False
) -> dict[str, list[dict[str, dict[str, Any]]]]:
    """Learn expectations from data that were good; see `pizzeria_plugins.validators.profiling`."""
    from pizzeria_plugins.validators.profiling import learn

    with tempfile.TemporaryDirectory(prefix="pizzeria-profile-") as folder:
        return learn(tables, problem, Path(folder), drift=drift)


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


@contextmanager
def _batches(tables: Tables, problem: Problem, folder: Path | None) -> Iterator[dict[str, Batch]]:
    """The tables that there are, by name; a large one stays in its file."""
    from pizzeria_plugins.validators.batches import FileBatch, FrameBatch, is_large
    from pizzeria_plugins.validators.derived import photo_tables
    from pizzeria_plugins.validators.derived_rows import derive_view, with_derived

    found: dict[str, Batch] = {
        name: FrameBatch(name, frame, list(getattr(tables, name).columns))
        for name, frame in photo_tables(tables, problem).items()
    }
    with tempfile.TemporaryDirectory(prefix=".duckdb-", dir=folder) as scratch:
        try:
            if is_large(tables.rows_file):
                assert tables.rows_file is not None
                derive = partial(derive_view, problem=problem)
                found["rows"] = FileBatch("rows", tables.rows_file, Path(scratch), KEYS["rows"], derive)
            elif tables.rows is not None:
                found["rows"] = FrameBatch("rows", with_derived(tables.rows, problem), list(tables.rows.columns))
            yield found
        finally:
            for batch in found.values():
                with suppress(Exception):
                    batch.close()


def _own_check(entry: Mapping[str, Any]) -> Check:
    ((name, arguments),) = entry.items()
    rest = {key: value for key, value in arguments.items() if key != "severity"}
    return Check(name, rest, _columns(rest), arguments.get("severity") or "critical")


def _columns(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    single = [arguments[key] for key in ("column", "column_A", "column_B") if arguments.get(key)]
    return (*single, *(arguments.get("column_list") or ()))


def _run(context: Any, table: str, batch: Batch, checks: Sequence[Check]) -> tuple[list[Expectation], Any]:
    """All checks of one table as one suite: the outcomes, and the suite with GX's own result."""
    gx = import_quietly()
    outcomes: dict[int, Expectation] = {}
    suite = gx.ExpectationSuite(name=table)
    for position, check in enumerate(checks):
        if problem := _cannot_run(check, batch):
            outcomes[position] = _undecided(table, check, problem)
        else:
            suite.expectations.append(_build(table, check, position, batch))
    results = batch.run(context, suite) if suite.expectations else []
    for result in results:
        position = result.expectation_config.meta["position"]
        outcomes[position] = _outcome(table, batch, checks[position], result)
    return [outcomes[position] for position in range(len(checks))], (suite, _whole(suite, results))


def _whole(suite: Any, results: Sequence[Any]) -> Any:
    """One validation result of all, as Data Docs show it."""
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

    met = sum(bool(result.success) for result in results)
    count = len(results)
    statistics = {
        "evaluated_expectations": count,
        "successful_expectations": met,
        "unsuccessful_expectations": count - met,
        "success_percent": 100 * met / count if count else None,
    }
    return ExpectationSuiteValidationResult(
        success=met == count, results=list(results), suite_name=suite.name, statistics=statistics, meta={}
    )


def _build(table: str, check: Check, position: int, batch: Batch) -> Any:
    from great_expectations.expectations.registry import get_expectation_impl
    from great_expectations.expectations.row_conditions import deserialize_row_condition

    arguments = batch.arguments(check.arguments)
    if arguments.get("row_condition"):
        arguments["row_condition"] = deserialize_row_condition(arguments["row_condition"])
    try:
        return get_expectation_impl(check.name)(**arguments, severity=check.severity, meta={"position": position})
    except ValueError as error:  # pydantic's own
        raise DataError(f"data.expectations.{table}: {check.name}: {_one_line(error)}") from error


def _one_line(error: ValueError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())  # type: ignore[attr-defined]


def _outcome(table: str, batch: Batch, check: Check, result: Any) -> Expectation:
    info = result.exception_info or {}
    if "raised_exception" not in info or info["raised_exception"]:
        errors = [info] if "exception_message" in info else list(info.values())
        why = str(errors[0]["exception_message"]) if errors else "it could not be evaluated"
        return _undecided(table, check, why.splitlines()[0] if why.strip() else why)
    figures = result.result
    unexpected = int(figures.get("unexpected_count") or 0)
    about_rows = "element_count" in figures
    if about_rows:
        evaluated = int(figures["element_count"]) - int(figures.get("missing_count") or 0)
        shown = [column for column in check.show or _columns(check.arguments) if column in batch.columns]
        rows = batch.rows(figures, list(dict.fromkeys((KEYS[table], *shown))))[:EXAMPLES] if unexpected else []
        examples = [_example(table, row, shown) for row in rows]
    else:
        evaluated = batch.complete([column for column in _columns(check.arguments) if column in batch.columns])
        examples = [] if result.success else [_observed(figures)]
        if check.arguments.get("row_condition") and figures.get("observed_value", 0) is None:
            evaluated = 0
    about_table = check.name.startswith("expect_table_") or check.name == "expect_column_to_exist"
    success = bool(result.success) if evaluated or about_table else None
    if success is None:
        examples = ["no row to evaluate"]
    return Expectation(
        table, check.name, check.arguments, success, evaluated, unexpected, tuple(examples), check.severity
    )


def _undecided(table: str, check: Check, why: str) -> Expectation:
    return Expectation(table, check.name, check.arguments, None, 0, 0, (why,), check.severity)


def _cannot_run(check: Check, batch: Batch) -> str:
    """Why a check cannot be run on a table; empty when it can."""
    from pizzeria_plugins.validators.batches import LARGE, named

    if batch.is_large and check.name in in_memory_only():
        return (
            f"Great Expectations checks this in memory only, and the table has more than {LARGE:,} rows; "
            "say it with another one, such as expect_column_values_to_match_regex"
        )
    if check.name == "expect_column_to_exist" or check.name.startswith("expect_table_"):
        return ""
    for column in named(check.arguments):
        if column not in batch.columns:
            return f"the table has no column {column}; {nearest(column, batch.columns)}"
    return ""


def _example(table: str, row: Mapping[str, Any], shown: Sequence[str]) -> str:
    key = KEYS[table]
    name = row.get(key)
    known = name == name and name is not None
    named = str(name) if known else f"row {row['row number']}" if "row number" in row else "a row"
    shown = [column for column in shown if column in row and column != key]
    return f"{named}: {', '.join(f'{c} {_short(row[c])}' for c in shown)}" if shown else named


def _observed(figures: Mapping[str, Any]) -> str:
    if figures.get("partial_missing_list"):
        return f"missing {', '.join(map(_short, figures['partial_missing_list'][:EXAMPLES]))}"
    return f"observed {_short(figures['observed_value'])}" if "observed_value" in figures else "it is not so"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
