"""Reads lines of a YOLO label file: `class cx cy width height`, or `class x y x y x y ...`, as shares of a photo."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from pizzeria_plugins.sources.plain_numbers import number

_FARTHEST = 2.0
"""A box may reach over the border; a value far outside of 0 to 1 is a pixel, and not a share."""


class Line(NamedTuple):
    """One line.

    Attributes:
        number: From 1.
        class_number: -1 where the line is wrong.
        box: x_min, y_min, x_max, y_max as shares of the photo's width and height.
        did: What was made of it, where it is no plain box.
        fault: What is wrong with it; empty where nothing is.
    """

    number: int
    class_number: int
    box: tuple[float, float, float, float]
    did: str = ""
    fault: str = ""


def read_lines(text: str, classes: Collection[int], *, keypoints: bool = False) -> Iterator[Line]:
    """All lines but empty ones.

    Args:
        classes: Class numbers that have a name.
        keypoints: Whether keypoints follow the box.

    Example:
        >>> next(read_lines("1 0.5 0.5 0.2 0.4", {1})).box
        (0.4, 0.3, 0.6, 0.7)
        >>> next(read_lines("7 0.5 0.5 0.2 0.4", {1})).fault
        'class 7 has no name'
    """
    for at, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _read(at, line.split(), classes, keypoints)


def _read(at: int, parts: list[str], classes: Collection[int], keypoints: bool) -> Line:
    def fault(what: str) -> Line:
        return Line(at, -1, (0, 0, 0, 0), fault=what)

    values = [number(part) for part in parts]
    wrong = next((part for part, value in zip(parts, values, strict=True) if value is None), None)
    if wrong is not None:
        return fault(f"{wrong!r} is not a number")
    found = [value for value in values if value is not None]
    if not found[0].is_integer() or found[0] < 0:
        return fault(f"{parts[0]} is no class number")
    shares = found[1:]
    polygon = not keypoints and len(shares) >= 6 and len(shares) % 2 == 0
    if not polygon and len(shares) != 4 and not (keypoints and len(shares) > 4):
        return fault(f"{len(found)} values; a box has 5, a polygon 7 or more")
    if int(found[0]) not in classes:
        return fault(f"class {int(found[0])} has no name")
    if polygon:
        return _within(Line(at, int(found[0]), _around(shares), "polygons became the boxes around them"), shares)
    cx, cy, width, height = shares[:4]
    box = tuple(round(value, 12) for value in (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2))
    did = "keypoints were left out" if len(shares) > 4 else ""
    return _within(Line(at, int(found[0]), (box[0], box[1], box[2], box[3]), did), shares[:4])


def _around(shares: list[float]) -> tuple[float, float, float, float]:
    xs, ys = shares[::2], shares[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _within(line: Line, shares: list[float]) -> Line:
    far = next((value for value in shares if abs(value) > _FARTHEST), None)
    if far is None:
        return line
    return Line(line.number, -1, line.box, fault=f"{far:g} is no share of the photo's size, which are from 0 to 1")
