"""Brings the data in, as tables with the hash of every file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.errors import DataError, PizzeriaError
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import write_tables
from pizzeria.tasks import task

NAME = "collect"
INPUTS: tuple[str, ...] = ()
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None


def reads(spec: Spec) -> dict[str, Any]:
    return framing(spec) | {"data": {"use": spec.data.use} | spec.data.options.model_dump(mode="json")}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("sources", spec.data.use)]


def data(spec: Spec) -> Sequence[Path]:
    inputs: Sequence[Path] = registry.load("sources", spec.data.use).inputs(spec.data.options)
    return inputs


def run(job: Job) -> Outcome:
    source = registry.load("sources", job.spec.data.use)
    tables = source.collect(job.spec.data.options, job.spec.problem, job.folder, job.progress)
    found = {name: len(frame) for name, frame in tables.present()}
    for name in task(job.spec.problem.task).TABLES:
        if not found.get(name):
            raise DataError(
                f"the source {job.spec.data.use!r} brought no {name}, which {job.spec.problem.task} needs",
                hint="check the options under `data` and the class names under `problem.classes`",
            )
    write_tables(tables, job.folder)
    return Outcome(found)
