"""The life cycle of a model as a wheel of ten phases, each with its state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["done", "running", "attention", "never"]

TITLES = (
    "Need",
    "Framing",
    "Data",
    "Features",
    "Train",
    "Evaluate",
    "Package",
    "Deploy",
    "Monitor",
    "Maintain",
)
WORDS: Mapping[State, str] = {
    "done": "done",
    "running": "at work",
    "attention": "needs attention",
    "never": "not yet",
}
_OUTER, _INNER, _GAP = 100.0, 58.0, 2.2
_LABEL = 112.0


@dataclass(frozen=True)
class Phase:
    """One of the ten.

    Attributes:
        place: From 1 on.
        detail: A few words.
        href: Where there is more.
    """

    place: int
    title: str
    state: State
    detail: str
    href: str

    @property
    def word(self) -> str:
        return WORDS[self.state]

    @property
    def mark(self) -> str:
        """What stands in its slice: the state does not depend on colours."""
        return {"done": "\N{CHECK MARK}", "attention": "!"}.get(self.state, str(self.place))


@dataclass(frozen=True)
class Slice:
    """A phase as it is drawn, in a square of 200 around the middle.

    Attributes:
        path: Its outline.
        x, y: Of its mark.
        label_x, label_y, anchor: Of its title, outside.
    """

    phase: Phase
    path: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str


def slices(phases: Sequence[Phase]) -> list[Slice]:
    """The phases round the wheel, clockwise from the top.

    Example:
        >>> phases = [Phase(i + 1, title, "done", "", "/") for i, title in enumerate(TITLES)]
        >>> len(slices(phases)), slices(phases)[0].anchor, slices(phases)[9].anchor
        (10, 'start', 'end')
    """
    whole = 360 / len(phases)
    out = []
    for i, phase in enumerate(phases):
        begin, end = i * whole + _GAP / 2, (i + 1) * whole - _GAP / 2
        middle = (begin + end) / 2
        # The gap is as wide inside as outside: the inner arc is shortened by as much.
        inner_gap = _GAP * (_OUTER / _INNER - 1) / 2
        path = (
            f"M{_at(_OUTER, begin)}A{_OUTER:g} {_OUTER:g} 0 0 1 {_at(_OUTER, end)}"
            f"L{_at(_INNER, end - inner_gap)}A{_INNER:g} {_INNER:g} 0 0 0 {_at(_INNER, begin + inner_gap)}Z"
        )
        x, y = _xy((_OUTER + _INNER) / 2, middle)
        label_x, label_y = _xy(_LABEL, middle)
        anchor = "middle" if abs(label_x) < 20 else "start" if label_x > 0 else "end"
        out.append(Slice(phase, path, x, y, label_x, label_y, anchor))
    return out


def summary(phases: Sequence[Phase]) -> str:
    """The wheel in one sentence.

    Example:
        >>> summary([Phase(1, "Need", "done", "", ""), Phase(2, "Framing", "never", "", "")])
        'Need: done. Framing: not yet.'
    """
    return " ".join(f"{phase.title}: {phase.word}." for phase in phases)


def _xy(radius: float, degrees: float) -> tuple[float, float]:
    turn = math.radians(degrees)
    return round(radius * math.sin(turn), 2), round(-radius * math.cos(turn), 2)


def _at(radius: float, degrees: float) -> str:
    x, y = _xy(radius, degrees)
    return f"{x} {y}"
