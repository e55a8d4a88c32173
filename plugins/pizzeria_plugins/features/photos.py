"""Photos resized for the network and measured, once for all epochs and all runs, and the truth in network pixels.

The pixels lie in the user's cache (`pizzeria_plugins.features.photo_cache`); the packs that hold them are linked here.

Decoding and resizing are those of serving (`pizzeria.inference.photos` and `pizzeria.inference.resize`), so that the
network sees in production what it saw in training. Nothing is fitted, so no split can leak into another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pizzeria.contracts import Progress
from pizzeria.datasets import PACKS
from pizzeria.errors import DataError, nearest
from pizzeria.packs import link_pack
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as _Options
from pizzeria.tables import Tables
from pizzeria_plugins.features.naming import listed, splits_of
from pizzeria_plugins.features.photo_cache import content_of, resized

if TYPE_CHECKING:
    import pandas as pd

TASKS = frozenset({"object_detection", "image_classification", "multilabel_classification"})
GIVES = "photos"
MODEL_OPTIONS = ("image_size",)
_CORNERS = ["x_min", "y_min", "x_max", "y_max"]


class Options(_Options):
    """Options of the `photos` features."""

    resize: Literal["auto", "letterbox", "crop"] = Field(
        default="auto",
        description="letterbox keeps the whole photo and fills the rest; crop keeps the centre. "
        "auto is letterbox for object detection, crop otherwise.",
    )
    fill: int = Field(default=114, ge=0, le=255, description="Grey of what a letterbox leaves empty.")
    max_megapixels: float = Field(default=100, gt=0, le=1000, description="A larger photo is refused.")


def build(
    options: Options,
    problem: Problem,
    tables: Tables,
    splits: pd.Series[str],
    model: Mapping[str, Any],
    folder: Path,
    progress: Progress,
) -> None:
    """Write what `pizzeria.datasets.open_dataset` opens as an `ImageSet`.

    Args:
        options: See `Options`.
        problem: Its classes give labels their index.
        tables: `images`, and `boxes` for object detection.
        splits: By image_id: train, validation or test.
        model: `image_size`, the side of the network's square input in pixels.
        folder: Where to write; exists.
        progress: Told of each photo that is decoded.

    Raises:
        DataError: a photo cannot be decoded, a label is none of the classes, an image is in no split, or the model
            tells no image size; names the files or rows.
    """
    images = tables.images
    if images is None or images.empty:
        raise DataError("there are no images to make features of", hint="use a source that brings an images table")
    image_size = model.get("image_size")
    if image_size is None:
        raise DataError("the model says no image size", hint="use a model plugin with the option image_size")
    split = splits_of(images["image_id"], splits)
    boxes = _boxes(tables, problem) if problem.task == "object_detection" else None
    labels = labels_of(images, problem) if boxes is None else None
    preprocessing = preprocessing_of(options, problem, image_size)
    index = _index(images, split, preprocessing, options.max_megapixels, folder, progress)
    if boxes is not None:
        _network_boxes(boxes, index, image_size).to_parquet(folder / "boxes.parquet", index=False)
    if labels is not None:
        np.save(folder / "targets.npy", labels)
    index.to_parquet(folder / "index.parquet", index=False)
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=2))


def preprocessing_of(options: Options, problem: Problem, image_size: int) -> dict[str, Any]:
    """How photos are resized, as `pizzeria.inference.resize` takes it."""
    how = options.resize
    if how == "auto":
        how = "letterbox" if problem.task == "object_detection" else "crop"
    return {"kind": "photos", "size": [image_size, image_size], "resize": how, "fill": options.fill}


def _index(
    images: pd.DataFrame,
    split: Sequence[str],
    preprocessing: Mapping[str, Any],
    max_megapixels: float,
    folder: Path,
    progress: Progress,
) -> pd.DataFrame:
    """The index, with the packs that it names linked into `folder`."""
    import pandas as pd

    paths, content = images["path"].astype(str).tolist(), content_of(images, progress)
    places = resized(paths, content, preprocessing, max_megapixels, progress)
    (folder / PACKS).mkdir()
    for pack in {place.pack.path: place.pack for place in places}.values():
        link_pack(pack, folder / PACKS)
    own = {"image_id": images["image_id"].astype(str).tolist(), "split": split, "path": paths, "sha256": content}
    own |= {"pack": [place.pack.path.name for place in places], "slot": [place.slot for place in places]}
    return pd.DataFrame(own).join(pd.DataFrame([dict(place.facts) for place in places]))


def _boxes(tables: Tables, problem: Problem) -> pd.DataFrame:
    """Boxes with `class_index`, still in original pixels."""
    images, boxes = tables.images, tables.boxes
    if boxes is None:
        raise DataError("object detection needs a boxes table", hint="use a source that brings boxes")
    assert images is not None
    lost = boxes[~boxes["image_id"].isin(set(images["image_id"]))]
    if len(lost):
        raise DataError(f"boxes of photos that are not there: {_rows(lost, 'box_id', 'image_id')}")
    codes = {name: i for i, name in enumerate(problem.classes)}
    odd = boxes[~boxes["class_name"].isin(codes)]
    if len(odd):
        raise DataError(
            f"boxes of unknown classes: {_rows(odd, 'box_id', 'class_name')}",
            hint=f"problem.classes: {nearest(str(odd['class_name'].iloc[0]), codes)}",
        )
    return boxes.assign(class_index=boxes["class_name"].map(codes).astype(np.int64))


def _network_boxes(boxes: pd.DataFrame, index: pd.DataFrame, size: int) -> pd.DataFrame:
    """Boxes by image row, in network pixels, clipped to the network's image; those that a crop cut off are left out."""
    import pandas as pd

    row_of = pd.Series(np.arange(len(index)), index=index["image_id"])
    rows = row_of.reindex(boxes["image_id"].astype(str)).to_numpy(np.int64)
    scale = index[["scale_x", "scale_y"] * 2].to_numpy(np.float64)[rows]
    offset = index[["offset_x", "offset_y"] * 2].to_numpy(np.float64)[rows]
    inside = index[["width", "height"] * 2].to_numpy(np.float64)[rows]
    xyxy = np.clip(boxes[_CORNERS].to_numpy(np.float64), 0, inside) * scale + offset
    xyxy = np.clip(xyxy, 0, size).astype(np.float32)
    kept = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    out = {"row": rows, "class_index": boxes["class_index"].to_numpy()}
    out |= {corner: xyxy[:, i] for i, corner in enumerate(_CORNERS)}
    return pd.DataFrame({name: values[kept] for name, values in out.items()}).sort_values("row", kind="stable")


def labels_of(images: pd.DataFrame, problem: Problem) -> NDArray[Any]:
    """int64 [N] class index, or float32 [N, C] for multi-label."""
    multilabel = problem.task == "multilabel_classification"
    column = "labels" if multilabel else "label"
    if column not in images.columns:
        raise DataError(f"{problem.task} needs the column {column!r} in the images table", hint="see pizzeria.tables")
    codes = {name: i for i, name in enumerate(problem.classes)}
    values = [_as_list(value) if multilabel else [value] for value in images[column]]
    odd = [(i, name) for i, names in enumerate(values) for name in names if name not in codes]
    if odd:
        rows = listed([f"{images['image_id'].iloc[i]} has {name!r}" for i, name in odd])
        raise DataError(
            f"images with unknown labels: {rows}", hint=f"problem.classes: {nearest(str(odd[0][1]), codes)}"
        )
    if not multilabel:
        return np.array([codes[names[0]] for names in values], np.int64)
    targets = np.zeros((len(values), len(codes)), np.float32)
    for row, names in zip(targets, values, strict=True):
        row[[codes[name] for name in names]] = 1
    return targets


def _as_list(value: Any) -> Sequence[Any]:
    """A cell with a list; parquet gives arrays back, and an empty list may come as None."""
    if isinstance(value, str):
        return [value]
    return [] if value is None or isinstance(value, float) else list(value)


def _rows(frame: pd.DataFrame, key: str, column: str) -> str:
    return listed([f"{k} has {v!r}" for k, v in zip(frame[key], frame[column], strict=True)])
