"""Source `open_images`: photos called by their ImageID, with a CSV of boxes or of labels of whole photos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError
from pizzeria.fetching import Address, local, state
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Fraction
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.folder_glance import glance
from pizzeria_plugins.sources.open_images_csv import array_of, columns_of, flag, read_names, rows_of, share
from pizzeria_plugins.sources.photo_listing import SPLITS, files_below, photos_below, split_of
from pizzeria_plugins.sources.photo_tables import BEYOND_LIMIT, enlarge, photo_tables
from pizzeria_plugins.sources.turned_boxes import CORNERS

TASKS = frozenset({"object_detection", "multilabel_classification"})

_EDGES = ("XMin", "YMin", "XMax", "YMax")
_FLAGS = {"IsGroupOf": "group_of", "IsDepiction": "depiction", "IsOccluded": "occluded", "IsTruncated": "truncated"}
_FARTHEST = 1.5
Marked = Literal["keep", "set_aside"]


class Options(PluginOptions):
    """Options of the source `open_images`."""

    root: Address = Field(description="Folder of the photos and the CSV files.")
    boxes: tuple[Path, ...] | None = Field(
        default=None,
        description="CSV files of boxes in it (ImageID, LabelName, XMin, XMax, YMin, YMax); without it all that have "
        "these columns. [] reads none.",
    )
    labels: tuple[Path, ...] | None = Field(
        default=None,
        description="CSV files of labels of whole photos in it (ImageID, LabelName, Confidence), which multi-label "
        "takes before boxes; without it all that have these columns. [] reads none.",
    )
    class_names: Path | None = Field(
        default=None,
        description="CSV in it that says what each LabelName is called; without it the one with class-descriptions in "
        "its name.",
    )
    photos: Path = Field(default=Path(), description="Folder in it of the photos, <ImageID>.jpg, or of their folders.")
    group_of: Marked = Field(default="set_aside", description="Boxes around a group of more than five (IsGroupOf).")
    depictions: Marked = Field(default="keep", description="Boxes around a drawing or picture of one (IsDepiction).")
    min_confidence: Fraction = Field(
        default=0.5, description="Labels of whole photos count from here on; people say 1 (there) or 0 (not there)."
    )
    limit: int | None = Field(default=None, ge=1, description="Only the first so many photos, by ImageID.")


class _Photos(NamedTuple):
    """Photos that are wanted, by ImageID: their names below `folder`."""

    folder: Path
    names: dict[str, str]


def inputs(options: Options) -> Sequence[Path | str]:
    """The folder."""
    return (state(options.root),)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the rows of the photos that are there; photos stay where they are, and only their size is read.

    Raises:
        DataError: a file is missing or malformed; names the file and the line.
    """
    root = local(options.root, progress)
    if not root.is_dir():
        raise DataError(f"{options.root} is not a folder", hint="set data.root to the folder with photos and CSV files")
    account = Account()
    photos = _photos(root / options.photos, options.limit, account)
    box_files, label_files, names_file = _files(root, options)
    names = read_names(root / names_file) if names_file is not None else {}
    by_label = problem.task == "multilabel_classification" and bool(label_files)
    files = label_files if by_label else box_files
    if not files:
        raise DataError(
            f"{options.root} has no CSV of boxes", hint="its columns are ImageID, LabelName, XMin, XMax, YMin, YMax"
        )
    reading = _Reading(root, photos, names, options, account)
    shown = reading.labels(files) if by_label else {}
    boxes = None if by_label else reading.boxes(files)
    splits = _splits(photos, reading.seen, files)
    images: list[dict[str, Any]] = []
    for image_id, name in photos.names.items():
        row: dict[str, Any] = {
            "image_id": image_id,
            "path": str((photos.folder / name).resolve()),
            "split": splits.get(image_id),
        }
        if by_label:
            row["labels"] = shown.get(image_id, [])
        if image_id not in reading.seen:
            account.handle("images", "without a row in the CSV files: taken to show nothing", name)
        images.append(row)
    if boxes is not None:
        enlarge(boxes, {image_id: photos.folder / name for image_id, name in photos.names.items()}, progress)
    return photo_tables(images, boxes, account, list(dict.fromkeys(names.values())) or None, tuple(_FLAGS.values()))


def _photos(folder: Path, limit: int | None, account: Account) -> _Photos:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint="see data.photos")
    found: dict[str, str] = {}
    for name in sorted(photos_below(folder, account), key=lambda name: (PurePosixPath(name).stem, name)):
        image_id = PurePosixPath(name).stem
        account.add("images", 1)
        if image_id in found:
            raise DataError(f"{folder / name} and {folder / found[image_id]} have one ImageID", hint="remove one")
        if limit is not None and len(found) == limit:
            account.set_aside("images", BEYOND_LIMIT, name)
        else:
            found[image_id] = name
    if not found:
        raise DataError(f"{folder} has no photo", hint="photos are called <ImageID>.jpg; see data.photos")
    return _Photos(folder, found)


def _files(root: Path, options: Options) -> tuple[list[Path], list[Path], Path | None]:
    """CSV files of boxes, of labels, and of names, relative to `root`: as named, or found by their columns."""
    boxes, labels = options.boxes, options.labels
    tables = [Path(name) for name in files_below(root) if name.lower().endswith(".csv")]
    if boxes is None:
        boxes = tuple(file for file in tables if _has_boxes(columns_of(root / file)))
    if labels is None:
        labels = tuple(file for file in tables if _has_labels(columns_of(root / file)))
    named = options.class_names or next((file for file in tables if "class-descriptions" in file.name), None)
    return list(boxes), list(labels), named


def _has_boxes(columns: Sequence[str]) -> bool:
    return {"ImageID", "LabelName", *_EDGES} <= set(columns)


def _has_labels(columns: Sequence[str]) -> bool:
    return {"ImageID", "LabelName", "Confidence"} <= set(columns) and not set(_EDGES) & set(columns)


class _Reading:
    """Reads rows of the photos; `seen` has the file in which each photo was first met."""

    def __init__(self, root: Path, photos: _Photos, names: dict[str, str], options: Options, account: Account) -> None:
        self.root, self.names, self.options, self.account = root, names, options, account
        self.image_ids = array_of(list(photos.names))
        self.seen: dict[str, Path] = {}

    def boxes(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """Boxes in shares of their photo."""
        out = []
        account = self.account
        for file in files:
            path = self.root / file
            for row in rows_of(path, ("LabelName", *_EDGES), tuple(_FLAGS), self.image_ids, self._skipped("boxes")):
                account.add("boxes", 1)
                image_id = row.cells["ImageID"]
                self.seen.setdefault(image_id, file)
                where = f"{file}:{row.line}"
                marks = {name: flag(row, column) for column, name in _FLAGS.items()}
                if marks["group_of"] and self.options.group_of == "set_aside":
                    account.set_aside("boxes", "around a group (IsGroupOf)", where)
                elif marks["depiction"] and self.options.depictions == "set_aside":
                    account.set_aside("boxes", "around a depiction (IsDepiction)", where)
                else:
                    corners = [share(row, edge, path, 1 - _FARTHEST, _FARTHEST) for edge in _EDGES]
                    found = {"box_id": where, "image_id": image_id, "class_name": self._name(row, "boxes", where, path)}
                    out.append(found | dict(zip(CORNERS, corners, strict=True)) | marks)
        return out

    def labels(self, files: Sequence[Path]) -> dict[str, list[str]]:
        """Labels by ImageID, each once."""
        out: dict[str, list[str]] = {}
        account = self.account
        for file in files:
            path = self.root / file
            for row in rows_of(path, ("LabelName", "Confidence"), (), self.image_ids, self._skipped("labels")):
                account.add("labels", 1)
                self.seen.setdefault(row.cells["ImageID"], file)
                where = f"{file}:{row.line}"
                confidence = share(row, "Confidence", path)
                if confidence < self.options.min_confidence:
                    reason = "verified not to be there (Confidence 0)" if confidence == 0 else "below min_confidence"
                    account.set_aside("labels", reason, where)
                    continue
                name = self._name(row, "labels", where, path)
                shown = out.setdefault(row.cells["ImageID"], [])
                if name in shown:
                    account.set_aside("labels", "given twice to one photo", where)
                else:
                    shown.append(name)
        return out

    def _skipped(self, unit: str) -> Any:
        def count(rows: int, example: str) -> None:
            self.account.add(unit, rows)
            self.account.set_aside(unit, "of photos that are not there, or beyond data.limit", example, rows)

        return count

    def _name(self, row: Any, unit: str, where: str, path: Path) -> str:
        label = row.cells["LabelName"].strip()
        if not label:
            raise DataError(f"{path}:{row.line}: LabelName is empty")
        name = self.names.get(label)
        if name is None and self.names:
            self.account.handle(unit, "of a LabelName that no class description names: it is its name", where)
        return name or label


def _splits(photos: _Photos, seen: dict[str, Path], files: Sequence[Path]) -> dict[str, str]:
    """The split of each photo, by the CSV file that has it or else by its folder; none where neither tells all."""
    by_file = {file: _split_in(file.name) for file in files}
    by_photo = {
        image_id: split_of(name) or (by_file.get(seen[image_id]) if image_id in seen else None)
        for image_id, name in photos.names.items()
    }
    told = {image_id: split for image_id, split in by_photo.items() if split is not None}
    return told if len(set(told.values())) > 1 else {}


def _split_in(name: str) -> str | None:
    """
    Example:
        >>> _split_in("oidv6-train-annotations-bbox.csv"), _split_in("boxes.csv")
        ('train', None)
    """
    return next((SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS), None)


def recognise(path: Path) -> Recognised | None:
    """A folder with photos and a CSV of Open Images' columns."""
    seen = glance(path)
    if not seen.photos:
        return None
    tables = {name: columns_of(path / name) for name in seen.ending(".csv") if name.count("/") <= 2}
    boxes = [name for name, columns in tables.items() if _has_boxes(columns)]
    labels = [name for name, columns in tables.items() if _has_labels(columns)]
    if not boxes and not labels:
        return None
    splits = {_split_in(PurePosixPath(name).name) for name in boxes or labels} | set(map(split_of, seen.photos))
    split = {"column": "split"} if {"train", "test"} <= splits else {}
    what, task = ("boxes", "object_detection") if boxes else ("labels", "multilabel_classification")
    return Recognised(f"Open Images {what}", {"root": str(path)}, task, 0.95 if boxes else 0.9, split)
