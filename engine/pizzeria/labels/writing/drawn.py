"""A photo with what is said to be in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pizzeria.labels.photos import Written


@dataclass(frozen=True)
class Drawn:
    """One photo of a file for a labelling tool.

    Attributes:
        photo: The file, and
        path: where it lies, relative to the file that names it.
        boxes: {"class", "x_min", "y_min", "x_max", "y_max"} and maybe "score".
        classes: Classes of the whole photo, with their probability, or None where that is not known.
        about: Further keys, such as `prediction_id`, where a format carries some.
    """

    photo: Written
    path: str
    boxes: tuple[Mapping[str, Any], ...] = ()
    classes: Mapping[str, float | None] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
