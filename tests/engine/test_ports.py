"""A free port is nobody else's until the process that was given it has ended."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pizzeria import ports

HOLDER = "import sys; from pizzeria.ports import free_port; print(free_port(), flush=True); sys.stdin.read()"


class Draws:
    """Chance that draws these ports first."""

    def __init__(self, *drawn: int) -> None:
        self._drawn: Iterator[int] = iter(drawn)

    def __call__(self) -> Draws:
        return self

    def randrange(self, low: int, high: int) -> int:
        return next(self._drawn, None) or random.Random().randrange(low, high)


def test_a_port_is_one_processs_until_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ports.free_port()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        theirs = int(process.stdout.readline())
        monkeypatch.setattr("pizzeria.ports.random.SystemRandom", Draws(theirs, other))
        assert ports.free_port() not in (theirs, other)
        process.communicate()
    monkeypatch.setattr("pizzeria.ports.random.SystemRandom", Draws(theirs))
    assert ports.free_port() == theirs
