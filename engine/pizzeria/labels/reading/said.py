"""What a file of labels says, before anybody knows of which prediction it speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pizzeria.inference.truth import Key

_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio writes before the name of a file that was uploaded."""


@dataclass(frozen=True)
class Said:
    """One labelled thing.

    Attributes:
        where: File and line, or place in the file, for messages.
        keys: By what the prediction may be known; the first one that is there counts.
        truth: The label's keys, as `pizzeria.inference.truth.check_truth` takes them.
        at: When it was said, as `moment` of it; empty where the file does not tell.
        source: Who said it.
    """

    where: str
    keys: tuple[Key, ...]
    truth: Mapping[str, Any]
    at: str = ""
    source: str = ""


@dataclass
class Read:
    """What a file has.

    Attributes:
        said: One for each labelled thing.
        empty: Things in it that nobody labelled, or that show nothing: the file does not tell which.
        notes: What was done about something odd, for the user.
    """

    said: list[Said] = field(default_factory=list)
    empty: list[Said] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def photo_keys(name: str) -> tuple[Key, ...]:
    """By what the prediction of a photo file may be known: `queue` names files by the prediction.

    Example:
        >>> photo_keys("photos/019ab3a5.jpg")
        (('prediction_id', '019ab3a5'), ('input_id', 'photos/019ab3a5.jpg'), ('input_id', '019ab3a5.jpg'))
    """
    name = name.replace("\\", "/")
    plain = PurePosixPath(name).name
    names = [plain, *([_UPLOADED.sub("", plain)] if _UPLOADED.match(plain) else [])]
    found = [("prediction_id", Path(one).stem) for one in names]
    found += [("input_id", one) for one in dict.fromkeys([name, *names]) if one]
    return tuple(found)


def box_in(
    x_min: float, y_min: float, x_max: float, y_max: float, size: Sequence[float | None] = (None, None)
) -> dict[str, float]:
    """Corners of a box, cut off at the photo's border: tools let a box stick out by a fraction of a pixel.

    Args:
        size: Width and height of the photo, where they are known.
    """
    width, height = (float("inf") if one is None else one for one in size)
    return {
        "x_min": min(max(x_min, 0.0), width),
        "y_min": min(max(y_min, 0.0), height),
        "x_max": min(max(x_max, 0.0), width),
        "y_max": min(max(y_max, 0.0), height),
    }


def turned(
    x: float, y: float, width: float, height: float, degrees: float, *, about: str
) -> tuple[float, float, float, float]:
    """The upright box around one that was turned: x_min, y_min, x_max, y_max.

    Args:
        x, y: Its upper left corner before it was turned, in pixels.
        degrees: Clockwise.
        about: `corner` (Label Studio: about the upper left one) or `centre` (CVAT).

    Example:
        >>> [round(one, 6) + 0.0 for one in turned(10, 10, 4, 2, 90, about="corner")]
        [8.0, 10.0, 10.0, 14.0]
    """
    from math import cos, radians, sin

    c, s = cos(radians(degrees)), sin(radians(degrees))
    about_x, about_y = (x, y) if about == "corner" else (x + width / 2, y + height / 2)
    corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    moved = [
        (about_x + c * (a - about_x) - s * (b - about_y), about_y + s * (a - about_x) + c * (b - about_y))
        for a, b in corners
    ]
    xs, ys = zip(*moved, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
