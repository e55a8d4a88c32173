"""A number for each row of a table."""

from __future__ import annotations

from typing import Literal

from pizzeria.tasks.metric import Metric

METRICS = {
    "mae": Metric("Mean absolute error, in the target's unit", "lower"),
    "rmse": Metric("Root of the mean squared error, in the target's unit", "lower"),
    "r2": Metric("Coefficient of determination, 1 is perfect, 0 is the mean"),
}
MAIN_METRIC = "mae"
TABLES = ("rows",)
JUDGED: Literal["value"] = "value"
