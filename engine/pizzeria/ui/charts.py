"""Curves, bands, bars and heat maps as SVG, made here: they need no script, and are there with the page.

The drawing is as wide as its place, so it is stretched: its units are columns along and per mille down. Words stand
beside it, in HTML, where they keep their size on a phone; ticks are at even distances, so that they need no positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

HEIGHT = 1000
"""Per mille of the height."""


@dataclass(frozen=True)
class Column:
    """One place along the chart, as wide as all others.

    Attributes:
        title: What it is, in words, for whoever points at it.
        href: Where it leads.
    """

    title: str
    href: str


@dataclass
class Chart:
    """A drawing and what stands around it.

    Attributes:
        ticks: Along the height, from the top, at even distances.
        labels: Along the width, at even distances.
        shapes: (class, path) from the back to the front.
        words: What it shows, for whoever cannot see it.
    """

    width: int
    ticks: list[str]
    labels: list[str]
    columns: Sequence[Column]
    words: str
    shapes: list[tuple[str, str]] = field(default_factory=list)
    grid: list[float] = field(default_factory=list)
    key: list[tuple[str, str]] = field(default_factory=list)

    height: int = HEIGHT


@dataclass(frozen=True)
class Scale:
    """Values from the bottom to the top, with even ticks.

    Example:
        >>> scale = Scale.around([0.71, 0.88])
        >>> scale.low, scale.high, scale.step
        (0.7, 0.9, 0.05)
    """

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, values: Sequence[float | None], least: float | None = None) -> Scale:
        """Round limits that hold all values.

        Args:
            least: The scale begins there.
        """
        known = [value for value in values if value is not None and math.isfinite(value)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        low = low if least is None else least
        if high - low < 1e-9 * max(1.0, abs(high)):
            high = low + (abs(low) or 1.0) * 0.1
        rough = (high - low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(one for one in (1, 2, 2.5, 5, 10) if one * power >= rough * 0.999)
        bottom, top = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return cls(round(bottom * step, 12), round(max(top, bottom + 1) * step, 12), round(step, 12))

    def y(self, value: float) -> float:
        """Per mille from the top; what lies outside is cut off at the edge."""
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT * (1 - min(max(share, 0.0), 1.0)), 1)

    def ticks(self) -> list[float]:
        """From the top."""
        count = round((self.high - self.low) / self.step)
        return [round(self.low + i * self.step, 12) for i in range(count, -1, -1)]

    def grid(self) -> list[float]:
        return [self.y(tick) for tick in self.ticks()]


def line(values: Sequence[float | None], scale: Scale) -> str:
    """A path through the middles of the columns, broken where there is no value.

    Example:
        >>> line([0.0, 1.0, None, 0.5], Scale(0.0, 1.0, 0.5))
        'M0.5 1000.0L1.5 0.0M3.5 500.0h0'
    """
    parts, pen, run = [], False, 0
    for i, value in enumerate(values):
        if value is None or not math.isfinite(value):
            pen = False
            continue
        alone = not pen and (i + 1 >= len(values) or values[i + 1] is None)
        parts.append(f"{'L' if pen else 'M'}{i + 0.5:g} {scale.y(value)}{'h0' if alone else ''}")
        pen, run = True, run + 1
    return "".join(parts)


def steps(values: Sequence[float | None], scale: Scale) -> str:
    """A level line across each column.

    Example:
        >>> steps([0.5, 0.5, None], Scale(0.0, 1.0, 0.5))
        'M0 500.0H2'
    """
    parts: list[str] = []
    before: float | None = None
    for i, value in enumerate(values):
        if value is not None:
            if value == before:
                parts[-1] = f"H{i + 1}"
            else:
                parts += [f"M{i} {scale.y(value)}", f"H{i + 1}"]
        before = value
    return "".join(parts)


def band(lows: Sequence[float | None], highs: Sequence[float | None], scale: Scale) -> str:
    """The areas between two curves, one for each stretch where both are known."""
    parts: list[str] = []
    stretch: list[tuple[float, float, float]] = []
    for i, (low, high) in enumerate(zip([*lows, None], [*highs, None], strict=True)):
        if low is not None and high is not None:
            stretch.append((i + 0.5, scale.y(low), scale.y(high)))
            continue
        if stretch:
            x, low_y, high_y = stretch[0]
            stretch = [(x - 0.4, low_y, high_y), (x + 0.4, low_y, high_y)] if len(stretch) == 1 else stretch
            there = "L".join(f"{x:g} {high}" for x, _, high in stretch)
            back = "L".join(f"{x:g} {low}" for x, low, _ in reversed(stretch))
            parts.append(f"M{there}L{back}Z")
        stretch = []
    return "".join(parts)


def uprights(places: Sequence[int]) -> str:
    """Lines from top to bottom before some columns.

    Example:
        >>> uprights([3])
        'M3 0V1000'
    """
    return "".join(f"M{place} 0V{HEIGHT}" for place in places)


def dots(places: Sequence[tuple[int, float]], scale: Scale) -> str:
    """Dots, which stay round however the drawing is stretched: lines of no length with round ends.

    Example:
        >>> dots([(2, 0.5)], Scale(0.0, 1.0, 0.5))
        'M2.5 500.0h0'
    """
    return "".join(f"M{i + 0.5:g} {scale.y(value)}h0" for i, value in places)


def bars(values: Sequence[float], scale: Scale) -> str:
    """One bar in each column."""
    gap = 0.12
    return "".join(
        f"M{i + gap:g} {HEIGHT}V{scale.y(value)}h{1 - 2 * gap:g}V{HEIGHT}Z" for i, value in enumerate(values) if value
    )


def cells(places: Sequence[tuple[int, int]]) -> str:
    """Cells of a heat map, by (row, column), each one unit wide and high; neighbours in a row become one.

    Example:
        >>> cells([(0, 1), (0, 2), (1, 0)])
        'M1 0h2v1h-2zM0 1h1v1h-1z'
    """
    parts: list[list[int]] = []
    for row, column in sorted(places):
        if parts and parts[-1][0] == row and parts[-1][1] + parts[-1][2] == column:
            parts[-1][2] += 1
        else:
            parts.append([row, column, 1])
    return "".join(f"M{column} {row}h{width}v1h-{width}z" for row, column, width in parts)


def spread(texts: Sequence[str], most: int = 5) -> list[str]:
    """Some texts at even distances, the first and the last among them.

    Example:
        >>> spread([str(i) for i in range(9)], 3)
        ['0', '4', '8']
    """
    if len(texts) <= most:
        return list(texts)
    return [texts[round(i * (len(texts) - 1) / (most - 1))] for i in range(most)]
