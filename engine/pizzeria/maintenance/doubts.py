"""What is seen of labels that are not believed, and what is known apart from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 3


@dataclass(frozen=True)
class Doubt:
    """Why some labels are not believed.

    Attributes:
        source: Who said them; None where it cannot be told who is wrong.
        text: What was seen, in a sentence.
        rows: Of the examples.
    """

    source: str | None
    text: str
    rows: tuple[int, ...]


class Known(NamedTuple):
    """What is known apart from the new labels.

    Attributes:
        task: Of the model.
        reference: Records of the test set with the truth.
        photos: By sha256, the classes that a photo of the data before shows.
    """

    task: str
    reference: pd.DataFrame
    photos: Mapping[str, frozenset[str]] = {}


@dataclass
class Group:
    source: str
    name: str
    rows: list[int] = field(default_factory=list)
    whole: bool = True
    """Whether it is all that the source said."""


def classes_of(truth: str) -> frozenset[str]:
    said = json.loads(truth)
    return frozenset(said["classes"] if "classes" in said else [said["class"]])


def what_of(truth: str) -> str:
    """What a label says, without where."""
    said = json.loads(truth)
    if "classes" in said:
        return ", ".join(said["classes"]) or "nothing is shown"
    return str(said["class"] if "class" in said else said["value"])


def named(examples: pd.DataFrame, rows: Sequence[int]) -> str:
    ids = [str(examples["prediction_id"].iloc[i]) for i in rows[:_SHOWN]]
    return ", ".join(ids) + (" ..." if len(rows) > _SHOWN else "")


def shown_before(folder: Path) -> dict[str, frozenset[str]]:
    """By sha256, the classes that each photo of the data before shows.

    Args:
        folder: Of the champion's `collect` stage.
    """
    import pandas as pd

    if not (folder / "images.parquet").exists():
        return {}
    images = pd.read_parquet(folder / "images.parquet")
    if (folder / "boxes.parquet").exists():
        boxes = pd.read_parquet(folder / "boxes.parquet", columns=["image_id", "class_name"])
        by_image = boxes.groupby("image_id")["class_name"].agg(frozenset)
        shown = [by_image.get(key, frozenset()) for key in images["image_id"]]
    elif "labels" in images:
        shown = [frozenset(() if labels is None else labels) for labels in images["labels"]]
    elif "label" in images:
        shown = [frozenset([label]) for label in images["label"]]
    else:
        return {}
    return {sha: found for sha, found in zip(images["sha256"], shown, strict=True) if sha}
