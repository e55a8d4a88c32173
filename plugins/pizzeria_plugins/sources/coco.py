"""Source `coco`: photos with a COCO JSON of boxes, and what their listings declare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.class_names import require_known, split_names
from pizzeria_plugins.sources.coco_file import CocoFile, read_coco
from pizzeria_plugins.sources.photo_files import inspect_photos

if TYPE_CHECKING:
    import pandas as pd

TASKS = frozenset({"object_detection", "multilabel_classification"})


class Options(PluginOptions):
    """Options of the source `coco`."""

    root: Path = Field(description="Folder that the other paths are relative to.")
    annotations: Path = Field(
        default=Path("annotations.json"), description="COCO JSON: images, annotations, categories."
    )
    photos: Path = Field(default=Path(), description="Folder that each image's file_name is relative to.")
    listings: Path | None = Field(
        default=None, description="CSV with listing_id and declared (classes between blanks or semicolons)."
    )
    min_score: float | None = Field(
        default=None, ge=0, le=1, description="Leave out boxes whose `score` is lower, where a labeller gave scores."
    )
    limit: int | None = Field(
        default=None, ge=1, description="Only the first so many photos, and the rest of the last one's listing."
    )


def inputs(options: Options) -> Sequence[Path]:
    """The photos' folder, the JSON and the CSV; a file inside the folder is not named again."""
    photos = options.root / options.photos
    files = [options.root / path for path in (options.annotations, options.listings) if path is not None]
    return (photos, *(file for file in files if not file.is_relative_to(photos)))


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the annotations, and every photo once. Photos stay where they are.

    Boxes of categories that are not among `problem.classes` are left out and counted; so are crowd regions.

    Raises:
        DataError: a file is missing or malformed, or lacks a class of the problem; names the file.
    """
    import pandas as pd

    file = options.root / options.annotations
    coco = read_coco(file)
    require_known(problem.classes, list(coco.categories.values()), kind="category", where=str(file))
    kept = _limited(coco.images, options.limit)
    boxes = _boxes(coco, {image["id"] for image in kept}, options, problem, progress)
    images = _images(kept, boxes, options, problem, progress)
    listings = None
    if options.listings is not None:
        if "listing_id" not in images:
            raise DataError(f"{file}: no image has a listing_id", hint="remove data.listings, or add listing_id")
        listings = _listings(options.root / options.listings, set(images["listing_id"]), problem, progress)
    detection = problem.task == "object_detection"
    return Tables(
        images=images, boxes=pd.DataFrame(boxes, columns=_BOX_COLUMNS) if detection else None, listings=listings
    )


_BOX_COLUMNS = ["box_id", "image_id", "class_name", "x_min", "y_min", "x_max", "y_max", "score"]


def _limited(images: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    if limit is None or len(images) <= limit:
        return images
    last = images[:limit]
    groups = {image["listing_id"] for image in last if "listing_id" in image}
    return last + [image for image in images[limit:] if image.get("listing_id") in groups and "listing_id" in image]


def _boxes(
    coco: CocoFile, images: set[str], options: Options, problem: Problem, progress: Progress
) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    for box in coco.boxes:
        if box["image_id"] not in images:
            continue
        if box["class_name"] not in problem.classes:
            dropped[f"of category {box['class_name']}"] += 1
        elif box["crowd"]:
            dropped["of crowds"] += 1
        elif options.min_score is not None and box["score"] is not None and box["score"] < options.min_score:
            dropped[f"with a score below {options.min_score:g}"] += 1
        else:
            out.append(box)
    if dropped:
        parts = ", ".join(f"{count} {what}" for what, count in dropped.most_common())
        progress.say(f"left out {dropped.total()} boxes: {parts}")
    return out


def _images(
    kept: list[dict[str, Any]], boxes: list[dict[str, Any]], options: Options, problem: Problem, progress: Progress
) -> pd.DataFrame:
    import pandas as pd

    photos = options.root / options.photos
    paths = [photos / image["file_name"] for image in kept]
    files = inspect_photos(paths, progress)
    shown: dict[str, set[str]] = {}
    for box in boxes:
        shown.setdefault(box["image_id"], set()).add(box["class_name"])
    rows: list[dict[str, Any]] = []
    resized = 0
    for image, path, found in zip(kept, paths, files, strict=True):
        said = (image.get("width"), image.get("height"))
        resized += found.readable and None not in said and said != (found.width, found.height)
        labels = [name for name in problem.classes if name in shown.get(image["id"], ())]
        row = {"image_id": image["id"], "path": str(path.resolve()), **found._asdict()}
        own = {name: str(image[name]) for name in ("listing_id", "room") if image.get(name) is not None}
        rows.append({**row, **own, "labels": labels})
    if resized:
        progress.say(f"{resized} photos are not of the size that the annotations say; their boxes may not fit")
    return pd.DataFrame(rows)


def _listings(path: Path, wanted: set[str], problem: Problem, progress: Progress) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={"listing_id": str, "declared": str, "in_photos": str})
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lacking = [name for name in ("listing_id", "declared") if name not in table]
    if lacking:
        raise DataError(f"{path} has no column {', '.join(lacking)}", hint="its columns are: listing_id, declared, ...")
    if table["listing_id"].duplicated().any():
        twice = sorted(set(table["listing_id"][table["listing_id"].duplicated()]))[:5]
        raise DataError(f"{path}: listings that stand twice: {', '.join(twice)}")
    table = table[table["listing_id"].isin(wanted)].reset_index(drop=True)
    if len(table) < len(wanted):
        progress.say(f"{len(wanted) - len(table)} listings with photos are not in {path.name}")
    for column in ("declared", "in_photos"):
        if column in table:
            names = [split_names(cell) for cell in table[column].fillna("")]
            table[column] = [[name for name in problem.classes if name in cell] for cell in names]
    return table
