from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest


class Quiet:
    """Progress that is counted and not shown."""

    def __init__(self) -> None:
        self.tracked = 0

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        for item in items:
            self.tracked += 1
            yield item

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        pass

    def say(self, text: str) -> None:
        pass


@pytest.fixture
def progress() -> Quiet:
    return Quiet()
