"""One class for each row of a table, binary or multi-class."""

from __future__ import annotations

from typing import Literal

from pizzeria.tasks.image_classification import METRICS as METRICS

MAIN_METRIC = "auroc"
TABLES = ("rows",)
JUDGED: Literal["class"] = "class"
