"""Boxes of known classes in photos."""

from __future__ import annotations

from typing import Literal

from pizzeria.tasks.metric import Metric

METRICS = {
    "map": Metric("Mean average precision over IoU 0.50 to 0.95 (COCO), 0 to 1", by_class=True),
    "map_50": Metric("Average precision at IoU 0.50 (Pascal VOC style), 0 to 1", by_class=True),
    "map_75": Metric("Average precision at IoU 0.75, 0 to 1", by_class=True),
    "box_precision": Metric("Share of the boxes told that are right, mean over classes, 0 to 1", by_class=True),
    "box_recall": Metric("Share of the true boxes that are told rightly, mean over classes, 0 to 1", by_class=True),
    "box_f1": Metric("F1 of the boxes told, at the service's thresholds, mean over classes, 0 to 1", by_class=True),
    "presence_f1": Metric("F1 of 'this amenity is somewhere in the photo', mean over classes, 0 to 1", by_class=True),
    "presence_precision": Metric("Precision of the same, mean over classes, 0 to 1", by_class=True),
    "presence_recall": Metric("Recall of the same, mean over classes, 0 to 1", by_class=True, trivial=True),
    "presence_auroc": Metric("Area under the ROC curve of the same, mean over classes, 0 to 1", by_class=True),
    "calibration_error": Metric(
        "Expected calibration error of the presence probabilities, mean over classes, 0 to 1", "lower", True, True
    ),
    "map_small": Metric("Mean average precision of boxes up to 32 x 32 pixels of the photo, 0 to 1", by_class=True),
    "map_medium": Metric("The same of larger boxes up to 96 x 96 pixels, 0 to 1", by_class=True),
    "map_large": Metric("The same of boxes that are larger still, 0 to 1", by_class=True),
    "mar_1": Metric("Mean average recall with one box of a photo and class, 0 to 1", by_class=True),
    "mar_10": Metric("Mean average recall with 10 boxes of a photo and class, 0 to 1", by_class=True),
    "mar_100": Metric("Mean average recall with 100 boxes of a photo and class, 0 to 1", by_class=True),
    "mar_small": Metric("Mean average recall of boxes up to 32 x 32 pixels of the photo, 0 to 1", by_class=True),
    "mar_medium": Metric("The same of larger boxes up to 96 x 96 pixels, 0 to 1", by_class=True),
    "mar_large": Metric("The same of boxes that are larger still, 0 to 1", by_class=True),
}
MAIN_METRIC = "map_50"
TABLES = ("images", "boxes")
JUDGED: Literal["presence"] = "presence"
