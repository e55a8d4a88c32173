"""A progress that remembers what was said, and problems to hand to sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pizzeria.spec.problem import Problem


class HeardProgress:
    """A `pizzeria.contracts.Progress` that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def progress() -> HeardProgress:
    return HeardProgress()


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
