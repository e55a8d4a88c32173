"""One class for each photo."""

from __future__ import annotations

from typing import Literal

from pizzeria.tasks.metric import Metric

METRICS = {
    "accuracy": Metric("Share of right answers, 0 to 1"),
    "f1": Metric("F1, mean over classes, 0 to 1", by_class=True),
    "precision": Metric("Precision, mean over classes, 0 to 1", by_class=True),
    "recall": Metric("Recall, mean over classes (balanced accuracy), 0 to 1", by_class=True),
    "auroc": Metric("Area under the ROC curve, one class against the rest, mean over classes, 0 to 1", by_class=True),
    "log_loss": Metric("Mean negative log-likelihood of the true class, 0 or more", "lower"),
    "calibration_error": Metric("Expected calibration error of the top class, 15 bins, 0 to 1", "lower", trivial=True),
}
MAIN_METRIC = "accuracy"
TABLES: tuple[str, ...] = ("images",)
JUDGED: Literal["class"] = "class"
