"""Any number of classes for each photo."""

from __future__ import annotations

from typing import Literal

from pizzeria.tasks.metric import Metric

METRICS = {
    "f1": Metric("F1, mean over classes, 0 to 1", by_class=True),
    "f1_micro": Metric("F1 over all decisions, 0 to 1"),
    "precision": Metric("Precision, mean over classes, 0 to 1", by_class=True),
    "recall": Metric("Recall, mean over classes, 0 to 1", by_class=True, trivial=True),
    "auroc": Metric("Area under the ROC curve, mean over classes, 0 to 1", by_class=True),
    "average_precision": Metric("Average precision, mean over classes, 0 to 1", by_class=True),
    "calibration_error": Metric(
        "Expected calibration error, 15 bins, mean over classes, 0 to 1", "lower", by_class=True, trivial=True
    ),
}
MAIN_METRIC = "average_precision"
TABLES = ("images",)
JUDGED: Literal["presence"] = "presence"
