"""Source `coco`: photos with a COCO JSON of boxes, and what their listings declare."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.fetching import Address, local, state
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.coco_file import read_coco
from pizzeria_plugins.sources.coco_recognition import recognise as recognise
from pizzeria_plugins.sources.text_file import read_text
from pizzeria_plugins.sources.turned_boxes import CORNERS, fit_boxes

if TYPE_CHECKING:
    import pandas as pd

TASKS = frozenset({"object_detection", "multilabel_classification"})


class Options(PluginOptions):
    """Options of the source `coco`."""

    root: Address = Field(description="Folder or address that the other paths are relative to.")
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


def inputs(options: Options) -> Sequence[Path | str]:
    """The photos' folder, the JSON and the CSV; a file inside the folder is not named again."""
    root = state(options.root)
    if isinstance(root, str) or root.is_file():  # an address, or an archive
        return (root,)
    photos = root / options.photos
    files = [root / path for path in (options.annotations, options.listings) if path is not None]
    return (photos, *(file for file in files if not file.is_relative_to(photos)))


_BOX_COLUMNS = ["box_id", "image_id", "class_name", *CORNERS, "score"]
_OWN = frozenset({"id", "file_name", "width", "height", "license", "coco_url", "flickr_url", "date_captured"})
"""What COCO itself says of an image; other keys with plain values come along as columns."""


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the annotations. Photos stay where they are. Crowd regions are set aside.

    Raises:
        DataError: a file is missing or malformed; names the file and the entry.
    """
    import pandas as pd

    root = local(options.root, progress)
    file = root / options.annotations
    coco = read_coco(file)
    account = Account()
    account.add("images", len(coco.images))
    account.add("boxes", len(coco.boxes))
    kept = _limited(coco.images, options.limit, account)
    boxes = _boxes(coco.boxes, {image["id"] for image in kept}, options.min_score, account)
    of_image: dict[str, list[dict[str, Any]]] = {}
    for box in boxes:
        of_image.setdefault(box["image_id"], []).append(box)
    photos = (root / options.photos).resolve()  # and no further: links to one content are for intake to count
    rows: list[dict[str, Any]] = []
    for image in progress.track(kept, "images"):
        path = photos / image["file_name"]
        fit_boxes(of_image.get(image["id"], ()), path, (image.get("width"), image.get("height")), account)
        rows.append({"image_id": image["id"], "path": str(path), **_columns(image)})
    images = pd.DataFrame(rows)
    listings = None
    if options.listings is not None:
        if "listing_id" not in images:
            raise DataError(f"{file}: no image has a listing_id", hint="remove data.listings, or add listing_id")
        listings = _listings(root / options.listings, images, account)
    return Tables(
        images=images,
        boxes=pd.DataFrame(boxes, columns=_BOX_COLUMNS),
        listings=listings,
        account=account,
        classes=list(coco.categories.values()),
    )


def _columns(image: dict[str, Any]) -> dict[str, Any]:
    """A listing's id and the like are text; numbers stay numbers."""
    own = {name: value for name, value in image.items() if name not in _OWN and isinstance(value, str | int | float)}
    return {name: str(value) if name in ("listing_id", "room", "split") else value for name, value in own.items()}


def _limited(images: list[dict[str, Any]], limit: int | None, account: Account) -> list[dict[str, Any]]:
    if limit is None or len(images) <= limit:
        return images
    kept = images[:limit]
    groups = {image["listing_id"] for image in kept if "listing_id" in image}
    for image in images[limit:]:
        if "listing_id" in image and image["listing_id"] in groups:
            kept.append(image)
        else:
            account.set_aside("images", "beyond data.limit", image["file_name"])
    return kept


def _boxes(
    boxes: list[dict[str, Any]], images: set[str], min_score: float | None, account: Account
) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for box in boxes:
        example = f"annotation {box['box_id']}"
        if box["image_id"] not in images:
            account.set_aside("boxes", "of a photo beyond data.limit", example)
        elif box["crowd"]:
            account.set_aside("boxes", "of a crowd, not of one thing (iscrowd)", example)
        elif min_score is not None and box["score"] is not None and box["score"] < min_score:
            account.set_aside("boxes", f"with a score below data.min_score, {min_score:g}", example)
        else:
            out.append(box)
    return out


def _listings(path: Path, images: pd.DataFrame, account: Account) -> pd.DataFrame:
    import pandas as pd

    text, encoding = read_text(path)
    try:
        table = pd.read_csv(StringIO(text), dtype={"listing_id": str, "declared": str, "in_photos": str})
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lacking = [name for name in ("listing_id", "declared") if name not in table]
    if lacking:
        raise DataError(f"{path} has no column {', '.join(lacking)}", hint="its columns are: listing_id, declared, ...")
    if table["listing_id"].duplicated().any():
        twice = sorted(set(table["listing_id"][table["listing_id"].duplicated()]))[:5]
        raise DataError(f"{path}: listings that stand twice: {', '.join(twice)}")
    account.add("listings", len(table))
    if encoding != "utf-8":
        account.handle("listings", f"read from {path.name} as {encoding}", str(path), len(table))
    wanted = table["listing_id"].isin(set(images["listing_id"]))
    for name in table["listing_id"][~wanted]:
        account.set_aside("listings", "without a photo", name)
    for name in images["listing_id"][~images["listing_id"].isin(set(table["listing_id"]))]:
        account.handle("images", f"of a listing that {path.name} lacks", name)
    table = table[wanted].reset_index(drop=True)
    for column in ("declared", "in_photos"):
        if column in table:
            table[column] = [_split_names(cell) for cell in table[column].fillna("")]
    return table


def _split_names(cell: str) -> list[str]:
    """Names in one CSV cell: between semicolons if there are any, else between blanks.

    Example:
        >>> _split_names("bed  sofa"), _split_names("dining table; bed")
        (['bed', 'sofa'], ['dining table', 'bed'])
    """
    parts = cell.split(";") if ";" in cell else cell.split()
    return [part.strip() for part in parts if part.strip()]
