"""Checks the tables with the built-in expectations and the spec's own. One that is critical and was not met, or could
not be decided, stops the run; the others are told.

A slice that the data do not have is refused here, too, before anything is trained that could not be judged by it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pizzeria import atomic, registry
from pizzeria.contracts import Expectation
from pizzeria.errors import ExpectationError, PizzeriaError
from pizzeria.intake.collection import collect
from pizzeria.measuring import slice_columns
from pizzeria.reference import reference_files, reference_tables
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import Tables, read_tables

NAME = "validate"
INPUTS = ("collect",)
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = ExpectationError
_TOLD = 10
_SHOWN = 3
_LONG = 160


def reads(spec: Spec) -> dict[str, Any]:
    data = spec.data.model_dump(mode="json")
    read = {name: data[name] for name in ("validator", "expectations", "reference")}
    slices = spec.evaluation.model_dump(mode="json", include={"slices"})
    parts = [list(one.part) for one in spec.problem.success if one.part]
    return framing(spec) | {"data": read, "evaluation": slices | {"asked": parts}}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("validators", spec.data.validator)]


def data(spec: Spec) -> Sequence[Path]:
    return reference_files(spec.data.reference) if spec.data.reference is not None else ()


def run(job: Job) -> Outcome:
    validator = registry.load("validators", job.spec.data.validator)
    tables = read_tables(job.inputs["collect"].folder)
    slice_columns.require(job.spec, tables)
    expectations = _with_reference(job, validator)
    results: Sequence[Expectation] = validator.validate(tables, job.spec.problem, expectations, job.folder)
    atomic.write_json(job.folder / "expectations.json", [asdict(result) for result in results])
    warned = _not_met(results, "warning")
    for result in warned[:_TOLD]:
        job.progress.say(f"{NAME}: warning: {_line(result).strip()}")
    if len(warned) > _TOLD:
        job.progress.say(f"{NAME}: {len(warned) - _TOLD} more warnings: see the report")
    not_met = len(_not_met(results, "critical"))
    facts = {"expectations": len(results), "not_met": not_met, "warnings": len(warned)}
    return Outcome(facts, judge(results))


def judge(results: Sequence[Expectation]) -> ExpectationError | None:
    """Why the data may go no further: a critical expectation was not met or is undecided, or nothing was evaluated."""
    critical = _not_met(results, "critical")
    if critical:
        lines = "\n".join(_line(result) for result in critical)
        message = f"the data do not meet what is expected of them:\n{lines}"
        return ExpectationError(message, hint="mend the data, or change data.expectations if the data are right")
    if not any(result.evaluated for result in results):
        what = "no expectation" if not results else f"none of {len(results)} expectations"
        message = f"whether the data are right is undecided: {what} was evaluated on any row"
        return ExpectationError(message, hint="bring data, and expectations of them")
    return None


def _not_met(results: Sequence[Expectation], severity: str) -> list[Expectation]:
    return [result for result in results if not result.success and result.severity == severity]


def _with_reference(job: Job, validator: Any) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The spec's own expectations, and, where it says nothing, what the previous version of the data lets expect."""
    own = job.spec.data.expectations
    if job.spec.data.reference is None:
        return own
    if not hasattr(validator, "profile"):
        raise ExpectationError(
            f"the validator {job.spec.data.validator!r} learns nothing from data.reference",
            hint="leave data.reference out, or use the validator great_expectations",
        )
    with tempfile.TemporaryDirectory(prefix=".reference-", dir=job.folder) as folder:
        tables = _reference(job, job.spec.data.reference, Path(folder))
        learnt = validator.profile(tables, job.spec.problem, drift=True)
    joined: dict[str, Sequence[Mapping[str, Any]]] = {}
    for table in {**learnt, **own}:
        said = {_subject(entry) for entry in own.get(table, ())}
        joined[table] = [*own.get(table, ()), *(e for e in learnt.get(table, ()) if _subject(e) not in said)]
    return joined


def _reference(job: Job, name: str, folder: Path) -> Tables:
    """The previous version; a file is read as the spec's own source reads its file, so that the two can be compared."""
    data = job.spec.data
    if not (Path(name).is_file() and "path" in getattr(type(data.options), "model_fields", {})):
        return reference_tables(name)
    options = type(data.options).model_validate(data.options.model_dump() | {"path": name})
    before = data.model_copy(update={"options": options, "also": ()})
    return collect(before, job.spec.problem, folder, 100.0, job.progress)


def _subject(entry: Mapping[str, Mapping[str, Any]]) -> tuple[str, Any]:
    ((name, arguments),) = entry.items()
    return name, arguments.get("column")


def _line(result: Expectation) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in result.arguments.items())
    arguments = arguments if len(arguments) <= _LONG else f"{arguments[: _LONG - 3]}..."
    if result.success is None:
        why = "; ".join(result.examples) or "no row was evaluated"
        return f"  {result.table}: {result.name}({arguments}) is undecided: {why}"
    shown = [*result.examples[:_SHOWN], *(["..."] if len(result.examples) > _SHOWN else [])]
    examples = f": {'; '.join(shown)}" if shown else ""
    how_often = f" for {result.unexpected} of {result.evaluated}" if result.unexpected else ""
    return f"  {result.table}: {result.name}({arguments}) failed{how_often}{examples}"
