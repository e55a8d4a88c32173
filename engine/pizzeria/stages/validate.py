"""Checks the tables with the built-in expectations and the spec's own; a failed one stops the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pizzeria import atomic, registry
from pizzeria.contracts import Expectation
from pizzeria.errors import ExpectationError, PizzeriaError
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import read_tables

NAME = "validate"
INPUTS = ("collect",)
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = ExpectationError


def reads(spec: Spec) -> dict[str, Any]:
    data = spec.data.model_dump(mode="json")
    return framing(spec) | {"data": {"validator": data["validator"], "expectations": data["expectations"]}}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("validators", spec.data.validator)]


def run(job: Job) -> Outcome:
    validator = registry.load("validators", job.spec.data.validator)
    tables = read_tables(job.inputs["collect"].folder)
    results: Sequence[Expectation] = validator.validate(tables, job.spec.problem, job.spec.data.expectations)
    atomic.write_json(job.folder / "expectations.json", [asdict(result) for result in results])
    bad = [result for result in results if not result.success]
    facts = {"expectations": len(results), "not_met": len(bad)}
    if results and not bad:
        return Outcome(facts)
    lines = [_line(result) for result in bad] or ["no expectation was evaluated"]
    refusal = ExpectationError(
        "the data do not meet what is expected of them:\n" + "\n".join(lines),
        hint="mend the data, or change data.expectations if the data are right",
    )
    return Outcome(facts, refusal)


def _line(result: Expectation) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in result.arguments.items())
    if result.success is None:
        why = "; ".join(result.examples) or "no row was evaluated"
        return f"  {result.table}: {result.name}({arguments}) is undecided: {why}"
    examples = f": {'; '.join(result.examples)}" if result.examples else ""
    return (
        f"  {result.table}: {result.name}({arguments}) failed for {result.unexpected} of {result.evaluated}{examples}"
    )
