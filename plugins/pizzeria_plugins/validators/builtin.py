"""The expectations that hold for any task's tables, and the columns derived so that they and a spec's own can say it.

Derived columns, for the checks alone (no later stage sees them):

| table | column | meaning |
|---|---|---|
| images | aspect | width / height |
| images | megapixels | width * height / 1e6 |
| images | box_count | true boxes in the photo (object detection) |
| images | label_count | labels of the photo (multi-label) |
| images | unknown_labels | its labels that are no class of the problem, joined by ", "; empty when all are known |
| boxes | image_exists | whether `images` has the box's image_id |
| boxes | image_width, image_height | size of its photo, pixels |
| boxes | width, height | of the box, pixels; negative when its corners are swapped |
| boxes | relative_width, relative_height, relative_area | share of the photo's width, height and area, 0 to 1 |
| boxes | aspect | width / height |
| boxes | inside_image | whether it lies inside its photo, to within one pixel; null where the photo's size is unknown |

`listings` and `rows` get none, so that expectations on their columns as a whole mean what they say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pizzeria.inference.rows import text
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

KEYS = {"images": "image_id", "boxes": "box_id", "listings": "listing_id", "rows": "row_id"}
CORNERS = ["x_min", "y_min", "x_max", "y_max"]
_SLACK = 1.0  # pixels: COCO files round x + width up past the border
_SAME_PHOTO = 0.98  # a few photos uploaded twice are daily life and named in the report; more stops the run


@dataclass(frozen=True)
class Check:
    """One expectation to run.

    Attributes:
        name: Great Expectations' name.
        arguments: Its arguments.
        show: Columns to print of an offending row, beside its key.
    """

    name: str
    arguments: Mapping[str, Any]
    show: tuple[str, ...] = ()

    @property
    def subject(self) -> tuple[Any, ...]:
        """What a check is on: two with the same name and columns say the same thing, maybe with other bounds."""
        columns = [self.arguments.get(key) for key in ("column", "column_A", "column_B")]
        return (self.name, *columns, *sorted(self.arguments.get("column_list") or ()))


def derive(tables: Tables, problem: Problem) -> dict[str, pd.DataFrame]:
    """The tables by name, with the derived columns, rows numbered from 0."""
    frames = {name: frame.reset_index(drop=True) for name, frame in tables.present()}
    if "images" in frames:
        images = frames["images"] = frames["images"].copy()
        images["sha256"] = images["sha256"].replace("", None)  # a file that is not there has no content to repeat
        images["aspect"] = images["width"] / images["height"].where(images["height"] > 0)
        images["megapixels"] = images["width"] * images["height"] / 1e6
        if "boxes" in frames:
            images["box_count"] = images["image_id"].map(frames["boxes"]["image_id"].value_counts()).fillna(0)
            frames["boxes"] = _derive_boxes(frames["boxes"], images)
        if problem.task == "multilabel_classification" and "labels" in images:
            lists = [[] if _is_null(labels) else list(labels) for labels in images["labels"]]
            images["label_count"] = [len(labels) for labels in lists]
            images["unknown_labels"] = [", ".join(map(str, _unknown(labels, problem))) for labels in lists]
            # Great Expectations cannot hash lists; joined, a label list can be compared and printed.
            images["labels"] = [None if _is_null(value) else ", ".join(map(str, value)) for value in images["labels"]]
    return frames


def builtin(table: str, frame: pd.DataFrame, problem: Problem) -> list[Check]:
    """The built-in checks of one table."""
    key = KEYS[table]
    checks = [
        Check("expect_table_row_count_to_be_between", {"min_value": 1}),
        Check("expect_column_values_to_not_be_null", {"column": key}),
        Check("expect_column_values_to_be_unique", {"column": key}),
    ]
    if table == "images":
        checks += [
            _true("readable", "path", "problem"),
            Check("expect_column_values_to_be_between", {"column": "width", "min_value": 1}),
            Check("expect_column_values_to_be_between", {"column": "height", "min_value": 1}),
            Check("expect_column_values_to_be_unique", {"column": "sha256", "mostly": _SAME_PHOTO}, ("path", "sha256")),
        ]
        if problem.task == "image_classification":
            checks += _classes("label", problem.classes)
        if problem.task == "multilabel_classification":
            checks += [
                Check("expect_column_values_to_not_be_null", {"column": "labels"}),
                Check("expect_column_values_to_be_in_set", {"column": "unknown_labels", "value_set": [""]}),
            ]
    if table == "boxes":
        box = ("image_id", "class_name", *CORNERS)
        checks += [
            _true("image_exists", "image_id"),
            _true("inside_image", *box, "image_width", "image_height"),
            Check("expect_column_values_to_be_between", {"column": "width", "min_value": 1}, box),
            Check("expect_column_values_to_be_between", {"column": "height", "min_value": 1}, box),
            *_classes("class_name", problem.classes, "image_id"),
            Check("expect_compound_columns_to_be_unique", {"column_list": list(box)}, box),
        ]
    if table == "rows" and problem.target:
        checks.append(Check("expect_column_to_exist", {"column": problem.target}))
        if problem.classes:
            checks += _classes(problem.target, _as_found(problem, frame))
        else:
            finite = {"min_value": -sys.float_info.max, "max_value": sys.float_info.max}
            checks += [
                Check("expect_column_values_to_not_be_null", {"column": problem.target}),
                Check("expect_column_values_to_be_between", {"column": problem.target, **finite}),
            ]
    return checks


def _derive_boxes(boxes: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    boxes = boxes.copy()
    photo = images.drop_duplicates("image_id").set_index("image_id")
    size = photo[["width", "height"]].astype(float)
    size = size.where(size >= 1).reindex(boxes["image_id"])
    boxes["image_exists"] = boxes["image_id"].isin(photo.index)
    boxes["image_width"], boxes["image_height"] = size["width"].to_numpy(), size["height"].to_numpy()
    boxes["width"], boxes["height"] = boxes["x_max"] - boxes["x_min"], boxes["y_max"] - boxes["y_min"]
    boxes["relative_width"] = boxes["width"] / boxes["image_width"]
    boxes["relative_height"] = boxes["height"] / boxes["image_height"]
    boxes["relative_area"] = boxes["relative_width"] * boxes["relative_height"]
    boxes["aspect"] = boxes["width"] / boxes["height"].where(boxes["height"] > 0)
    inside = (boxes[["x_min", "y_min"]] >= -_SLACK).all(axis=1)
    inside &= (boxes["x_max"] <= boxes["image_width"] + _SLACK) & (boxes["y_max"] <= boxes["image_height"] + _SLACK)
    boxes["inside_image"] = inside.astype(object).where(boxes["image_width"].notna(), None)
    return boxes


def _true(column: str, *show: str) -> Check:
    return Check("expect_column_values_to_be_in_set", {"column": column, "value_set": [True]}, (*show, column))


def _classes(column: str, classes: tuple[Any, ...], *show: str) -> list[Check]:
    return [
        Check("expect_column_values_to_not_be_null", {"column": column}, (*show, column)),
        Check("expect_column_values_to_be_in_set", {"column": column, "value_set": list(classes)}, (*show, column)),
    ]


def _as_found(problem: Problem, frame: pd.DataFrame) -> tuple[Any, ...]:
    """The classes as the table writes them: a column of 0 and 1 holds the classes "0" and "1"."""
    found = frame[problem.target].dropna().unique() if problem.target in frame else ()
    return tuple(v for v in found if {str(v), text(v)} & set(problem.classes)) or problem.classes


def _unknown(labels: list[Any], problem: Problem) -> list[Any]:
    return [label for label in labels if label not in problem.classes]


def _is_null(value: Any) -> bool:
    return value is None or isinstance(value, float)
