"""What the `features` stage leaves on disk, opened for trainers and evaluators without copying it into memory.

Images: uint8 [H, W, 3] RGB for each, as the network sees it (resized by `pizzeria.inference.resize`), all in
`images.npy` or in the packs in `packs/` that the index names (`pack`, `slot`; see `pizzeria.packs`); `index.parquet`
(image_id, split, width, height, scale_x, scale_y, offset_x, offset_y, and the image statistics), and either
`boxes.parquet` (row, class_index, x_min, y_min, x_max, y_max in network pixels) or `targets.npy`.
Embeddings of images: `embeddings.npy` float32 [N, E], `targets.npy`, `index.parquet` (image_id, split).
Rows: `numeric.npy` float32 [N, F], `categorical.npy` int64 [N, G], `targets.npy`, `index.parquet` (row_id, split).
`preprocessing.json` goes into the bundle as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.packs import PackedArrays
from pizzeria.predictions import Boxes, Predictions

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")
PACKS = "packs"
"""Folder of the packs that hold the photos."""


@dataclass(frozen=True)
class ImageSet:
    """All photos of a dataset, ready for the network.

    Attributes:
        images: uint8 [N, H, W, 3], memory-mapped: `images[row]` is one photo.
        index: [N] rows, one per image; column `split` is one of `SPLITS`.
        targets: int64 [N] class index (classification), float32 [N, C] 0 or 1 (multi-label), None for detection.
        boxes: [N] true boxes in *network* pixels, detection only.
        preprocessing: what `bundle.json` will say about decoding and resizing.
    """

    images: NDArray[np.uint8] | PackedArrays
    index: pd.DataFrame
    targets: NDArray[Any] | None
    boxes: tuple[Boxes, ...] | None
    preprocessing: dict[str, Any]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of one split, ascending."""
        return np.flatnonzero(self.index["split"].to_numpy() == split)

    def to_original(self, row: int, boxes: Boxes) -> Boxes:
        """Move boxes from network pixels to pixels of the original image, clipped to it; flat ones are left out."""
        return _rescale(boxes, self.index.iloc[row])

    def truth(self, split: str, classes: int) -> Predictions:
        """The true answers of one split, in the form that predictions have (boxes in original pixels)."""
        rows = self.rows(split)
        keys = tuple(self.index["image_id"].iloc[rows].astype(str))
        if self.boxes is not None:
            return Predictions(keys, boxes=tuple(self.to_original(int(r), self.boxes[r]) for r in rows))
        assert self.targets is not None
        return Predictions(keys, probabilities=_one_hot(self.targets[rows], classes))


@dataclass(frozen=True)
class EmbeddingSet:
    """What a frozen backbone makes of all photos of a dataset, ready for what is trained on top of it.

    Attributes:
        embeddings: float32 [N, E], memory-mapped.
        index: [N] rows, one per image, with `image_id`, `sha256` and `split`.
        targets: int64 [N] class index (classification), float32 [N, C] 0 or 1 (multi-label).
        preprocessing: what `bundle.json` will say about decoding and resizing.
    """

    embeddings: NDArray[np.float32]
    index: pd.DataFrame
    targets: NDArray[Any]
    preprocessing: dict[str, Any]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of one split, ascending."""
        return np.flatnonzero(self.index["split"].to_numpy() == split)

    def truth(self, split: str, classes: int) -> Predictions:
        """The true answers of one split, in the form that predictions have."""
        rows = self.rows(split)
        keys = tuple(self.index["image_id"].iloc[rows].astype(str))
        return Predictions(keys, probabilities=_one_hot(self.targets[rows], classes))


@dataclass(frozen=True)
class RowSet:
    """All rows of a table, ready for the network.

    Attributes:
        numeric, categorical: float32 [N, F] and int64 [N, G]; `pizzeria.inference.column_inputs` says what they are.
        targets: int64 [N] class index, or float32 [N] in the target's own unit.
        index: [N] rows with `row_id` and `split`.
        preprocessing: what `bundle.json` will say about the columns.
    """

    numeric: NDArray[np.float32]
    categorical: NDArray[np.int64]
    targets: NDArray[Any]
    index: pd.DataFrame
    preprocessing: dict[str, Any]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Row numbers of one split, ascending."""
        return np.flatnonzero(np.asarray(self.index["split"] == split))

    def truth(self, split: str, classes: int) -> Predictions:
        """The true answers of one split, in the form that predictions have."""
        rows = self.rows(split)
        keys = tuple(self.index["row_id"].iloc[rows].astype(str))
        targets = self.targets[rows]
        if targets.dtype.kind == "i":
            return Predictions(keys, probabilities=np.eye(classes, dtype=np.float32)[targets])
        return Predictions(keys, values=targets.astype(np.float32))


Dataset = ImageSet | EmbeddingSet | RowSet
"""What trainers and evaluators work on."""


def open_dataset(folder: Path) -> Dataset:
    """Open what a features plugin left in `folder`."""
    import pandas as pd

    preprocessing = json.loads((folder / "preprocessing.json").read_text())
    index = pd.read_parquet(folder / "index.parquet")
    targets = np.load(folder / "targets.npy", allow_pickle=False) if (folder / "targets.npy").exists() else None
    if (folder / "embeddings.npy").exists():
        assert targets is not None
        return EmbeddingSet(np.load(folder / "embeddings.npy", mmap_mode="r"), index, targets, preprocessing)
    if "image_id" not in index:
        assert targets is not None
        numeric, categorical = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("numeric", "categorical"))
        return RowSet(numeric, categorical, targets, index, preprocessing)
    boxes = None
    if (folder / "boxes.parquet").exists():
        boxes = _boxes_by_row(pd.read_parquet(folder / "boxes.parquet"), len(index))
    if (folder / "images.npy").exists():
        return ImageSet(np.load(folder / "images.npy", mmap_mode="r"), index, targets, boxes, preprocessing)
    images = PackedArrays(folder / PACKS, index["pack"].tolist(), index["slot"].tolist())
    return ImageSet(images, index, targets, boxes, preprocessing)


def _one_hot(targets: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """float32 [N, C] of class indices [N], or of what is so already."""
    if targets.ndim == 1:
        targets = np.eye(classes, dtype=np.float32)[targets]
    return targets.astype(np.float32)


def _boxes_by_row(table: pd.DataFrame, count: int) -> tuple[Boxes, ...]:
    table = table.sort_values("row", kind="stable")
    xyxy = table[["x_min", "y_min", "x_max", "y_max"]].to_numpy(np.float32)
    labels = table["class_index"].to_numpy(np.int64)
    cuts = np.searchsorted(table["row"].to_numpy(), np.arange(count + 1))
    return tuple(Boxes(xyxy[a:b], np.ones(b - a, np.float32), labels[a:b]) for a, b in pairwise(cuts))


def _rescale(boxes: Boxes, row: pd.Series) -> Boxes:
    scale = np.array([row["scale_x"], row["scale_y"]] * 2, np.float32)
    offset = np.array([row["offset_x"], row["offset_y"]] * 2, np.float32)
    limit = np.array([row["width"], row["height"]] * 2, np.float32)
    xyxy = np.clip((boxes.xyxy - offset) / scale, 0, limit)
    return Boxes(xyxy.astype(np.float32), boxes.scores, boxes.labels).with_area()
