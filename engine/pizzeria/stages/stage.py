"""What a stage is: a module with a name, the stages whose results it needs, what of the spec it reads, and `run`.

A stage module has

    NAME: str
    INPUTS: tuple[str, ...]                 stages whose results it needs; the order of execution comes from them
    AFTER: tuple[str, ...]                  stages that must have passed before, though it reads nothing of theirs: a
                                            check that is changed is run again, and what lies behind it is not
    RESUMES: bool                           whether a cut-off try is kept and gone on with
    REFUSAL: type[PizzeriaError] | None     what a refusal is raised as
    reads(spec) -> dict                     the part of the spec that decides its result
    plugins(spec) -> list[(kind, name)]     plugins whose code decides its result
    run(job) -> Outcome

and may have `SHARED = False`, when its result is of no use to other machines, `data(spec)`, the files whose content
decides its result, and `expired(spec, result)`, which says why a complete result no longer holds, such as a service
that has died.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pizzeria.contracts import Progress
from pizzeria.errors import PizzeriaError
from pizzeria.runs.store import Result, Run, Store
from pizzeria.spec.spec import Spec


@dataclass(frozen=True)
class Job:
    """What a stage works with.

    Attributes:
        folder: Where it writes.
        inputs: Results of the stages that it declares.
    """

    spec: Spec
    folder: Path
    inputs: Mapping[str, Result]
    progress: Progress
    run: Run
    store: Store


@dataclass(frozen=True)
class Outcome:
    """What a stage found: facts for the report and, when the run must stop here, a refusal."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    refusal: PizzeriaError | None = None


class Stage(Protocol):
    """A stage module."""

    NAME: str
    INPUTS: tuple[str, ...]
    AFTER: tuple[str, ...]
    RESUMES: bool
    REFUSAL: type[PizzeriaError] | None

    def reads(self, spec: Spec) -> dict[str, Any]: ...

    def plugins(self, spec: Spec) -> Sequence[tuple[str, str]]: ...

    def run(self, job: Job) -> Outcome: ...


def framing(spec: Spec) -> dict[str, Any]:
    """The part of `problem` that data and training depend on; need, owner and criteria are not in it."""
    problem = spec.problem
    return {"problem": {"task": problem.task, "classes": list(problem.classes), "target": problem.target}}
