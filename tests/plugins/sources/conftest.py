"""A progress that remembers what was said, and problems to hand to sources."""

from __future__ import annotations

import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.spec.problem import Problem


@pytest.fixture
def progress() -> Quiet:
    return Quiet()


@pytest.fixture
def problem_of():
    """A function that makes a problem of a task with classes or a target."""

    def make(task: str, *classes: str, target: str | None = None) -> Problem:
        criterion = {"metric": "any", "at_least": 0.5}
        return Problem.model_validate(
            {
                "need": "n",
                "owner": "o",
                "task": task,
                "classes": classes,
                "target": target,
                "success": [criterion],
            }
        )

    return make
