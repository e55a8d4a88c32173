from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest


class Quiet:
    """Progress that is remembered and not shown."""

    def __init__(self) -> None:
        self.tracked = 0
        self.done: dict[str, int] = {}
        self.lines: list[str] = []

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        for item in items:
            self.tracked += 1
            yield item

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        self.done[label] = done

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def progress() -> Quiet:
    return Quiet()
