"""Columns that are derived from the tables of photos, so that expectations, built-in ones and a spec's own, can be on
them. `docs/data/validation.md` lists them; no later stage sees them.

| table | column | meaning |
|---|---|---|
| images | aspect | width / height |
| images | megapixels | width * height / 1e6 |
| images | box_count | true boxes in the photo (object detection) |
| images | label_count | labels of the photo (multi-label) |
| images | unknown_labels | its labels that are no class of the problem, joined by ", "; empty when all are known |
| images | unlabelled | whether it has no box, no label, or an empty list of labels |
| images | near_duplicates | other photos of its group of those that look alike, by both hashes (phash, dhash) |
| images | near_duplicate_of | image_id of the first photo that looks alike; null for none |
| images | near_duplicate_disagrees | whether a photo that looks alike has another label, or other labels |
| boxes | image_exists | whether `images` has the box's image_id |
| boxes | image_width, image_height | size of its photo, pixels |
| boxes | width, height | of the box, pixels; negative when its corners are swapped |
| boxes | relative_width, relative_height, relative_area | share of the photo's width, height and area, 0 to 1 |
| boxes | aspect | width / height |
| boxes | inside_image | whether it lies inside its photo, to within one pixel; null where the photo's size is unknown |
| boxes | duplicate | whether another box of its class is at the same place: IoU of 0.8 or more |
| boxes | contradicts | class of the box of another class at the same place; null for none |
| boxes | contradictory | whether there is such a box |
| boxes | size_deviation | how far its relative area is from its class's median, in robust standard deviations of the |
| | | logarithm; null in a class of fewer than 20 boxes |
| boxes | aspect_deviation | the same of its aspect |
| images, boxes, rows | class_count | things of its class (of the rarest of its labels) in the whole table |
| images, boxes, rows | class_balance | that, divided by the count of the commonest class |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pizzeria.similarity import groups_of, near_pairs
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators.overlaps import overlaps

if TYPE_CHECKING:
    import pandas as pd

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
NEAR_BITS = 4
"""Bits of 64 by which each hash of two photos that look alike may differ."""
_SLACK = 1.0  # pixels: COCO files round x + width up past the border
_ENOUGH = 20


def photo_tables(tables: Tables, problem: Problem | None) -> dict[str, pd.DataFrame]:
    """Images, boxes and listings by name, with their derived columns, rows numbered from 0."""
    found = {name: getattr(tables, name) for name in ("images", "boxes", "listings")}
    frames: dict[str, pd.DataFrame] = {
        name: frame.reset_index(drop=True).copy() for name, frame in found.items() if frame is not None
    }
    if "images" not in frames:
        return frames
    images = frames["images"]
    if "sha256" in images:
        images["sha256"] = images["sha256"].replace("", None)  # a file that is not there has no content to repeat
    if {"width", "height"} <= set(images):
        images["aspect"] = images["width"] / images["height"].where(images["height"] > 0)
        images["megapixels"] = images["width"] * images["height"] / 1e6
    if "boxes" in frames:
        images["box_count"] = images["image_id"].map(frames["boxes"]["image_id"].value_counts()).fillna(0).astype(int)
        images["unlabelled"] = images["box_count"] == 0
        frames["boxes"] = _boxes(frames["boxes"], images)
    elif "labels" in images:
        _many_labels(images, problem)
    elif "label" in images:
        images["unlabelled"] = images["label"].isna()
        _balance(images, images["label"])
    _near_duplicates(images)
    return frames


def counts_by_class(values: pd.Series[Any]) -> pd.Series[int]:
    """How many there are of each class."""
    return values.dropna().value_counts()


def _balance(frame: pd.DataFrame, values: pd.Series[Any]) -> None:
    counts = counts_by_class(values)
    frame["class_count"] = values.map(counts)
    frame["class_balance"] = frame["class_count"] / counts.max() if len(counts) else None


def _many_labels(images: pd.DataFrame, problem: Problem | None) -> None:
    lists = [[] if _is_null(labels) else list(labels) for labels in images["labels"]]
    images["label_count"] = [len(labels) for labels in lists]
    images["unlabelled"] = images["label_count"] == 0
    if problem is not None and problem.classes:
        unknown = [[label for label in labels if label not in problem.classes] for labels in lists]
        images["unknown_labels"] = [", ".join(map(str, labels)) for labels in unknown]
    counts = images["labels"].explode().dropna().value_counts()
    rarest = [min((counts[label] for label in labels), default=None) for labels in lists]
    images["class_count"] = rarest
    images["class_count"] = images["class_count"].astype(float)
    images["class_balance"] = images["class_count"] / counts.max() if len(counts) else None
    # Great Expectations cannot hash lists; joined, a label list can be compared and printed.
    images["labels"] = [None if _is_null(value) else ", ".join(map(str, value)) for value in images["labels"]]


def _near_duplicates(images: pd.DataFrame) -> None:
    import numpy as np

    if not {"phash", "dhash"} <= set(images):
        return
    known = np.flatnonzero(images["phash"].notna() & images["dhash"].notna())
    hashes = np.array(
        [[int(p, 16), int(d, 16)] for p, d in images.loc[known, ["phash", "dhash"]].itertuples(index=False)], np.uint64
    ).reshape(-1, 2)
    pairs = known[near_pairs(hashes, NEAR_BITS)].reshape(-1, 2)
    groups = groups_of(len(images), pairs)
    count = (np.bincount(groups, minlength=len(images))[groups] - 1).astype(float)
    count[np.setdiff1d(np.arange(len(images)), known)] = np.nan
    images["near_duplicates"] = count
    first = np.full(len(images), -1)
    for left, right in pairs[::-1]:
        first[left], first[right] = right, left
    names = images["image_id"].to_numpy(object)
    images["near_duplicate_of"] = [names[row] if row >= 0 else None for row in first]
    label = next((column for column in ("label", "labels") if column in images), None)
    if label is not None:
        values = images[label].astype(object).where(images[label].notna(), None).to_numpy()
        disagrees = np.zeros(len(images), bool)
        for left, right in pairs:
            if values[left] is not None and values[right] is not None and values[left] != values[right]:
                disagrees[[left, right]] = True
        images["near_duplicate_disagrees"] = disagrees


def _boxes(boxes: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

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
    found = overlaps(
        pd.factorize(boxes["image_id"])[0].astype(np.int64),
        pd.factorize(boxes["class_name"])[0].astype(np.int64),
        boxes[CORNERS].to_numpy(float),
    )
    names = boxes["class_name"].to_numpy(object)
    boxes["duplicate"] = found.same
    boxes["contradicts"] = [names[row] if row >= 0 else None for row in found.other]
    boxes["contradictory"] = found.other >= 0
    for column, of in (("size_deviation", "relative_area"), ("aspect_deviation", "aspect")):
        boxes[column] = _deviation(boxes[of], boxes["class_name"])
    _balance(boxes, boxes["class_name"])
    return boxes


def _deviation(values: pd.Series[Any], classes: pd.Series[Any]) -> pd.Series[Any]:
    """(log value - its class's median) / (1.4826 * its class's median absolute deviation)."""
    import numpy as np

    logs = np.log(values.astype(float).where(values > 0))
    far = logs - logs.groupby(classes).transform("median")
    spread = far.abs().groupby(classes).transform("median") * 1.4826
    enough = logs.groupby(classes).transform("count") >= _ENOUGH
    # Of a class whose boxes are nearly all alike a hair's breadth would count as far.
    return (far / spread.clip(lower=0.05)).where(enough)


def _is_null(value: Any) -> bool:
    return value is None or isinstance(value, float)
