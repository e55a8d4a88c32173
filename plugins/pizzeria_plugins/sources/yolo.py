"""Source `yolo`: photos, each with a text file of boxes as shares of its size, and a `data.yaml` or list of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError
from pizzeria.fetching import Address, local, state
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.folder_glance import Glance, glance, head
from pizzeria_plugins.sources.photo_listing import split_of
from pizzeria_plugins.sources.photo_tables import BEYOND_LIMIT, enlarge, photo_tables
from pizzeria_plugins.sources.text_file import read_text
from pizzeria_plugins.sources.turned_boxes import CORNERS
from pizzeria_plugins.sources.yolo_folder import Found, look
from pizzeria_plugins.sources.yolo_labels import read_lines

TASKS = frozenset({"object_detection", "multilabel_classification"})


class Options(PluginOptions):
    """Options of the source `yolo`."""

    root: Address = Field(description="Folder of the data set; everything that data.yaml names must lie in it.")
    data: Path | None = Field(
        default=None,
        description="The YAML with names, train, val and test, in root; without it data.yaml or dataset.yaml, or none: "
        "then all photos, with the classes of classes.txt or obj.names.",
    )
    names: tuple[str, ...] | None = Field(
        default=None, description="Class names by number, where the data set names none, or others."
    )
    faulty_lines: Literal["refuse", "set_aside"] = Field(
        default="refuse", description="Lines that are no box: a class without a name, too few values, NaN, pixels."
    )
    limit: int | None = Field(default=None, ge=1, description="Only the first so many photos, by name.")


def inputs(options: Options) -> Sequence[Path | str]:
    """The folder."""
    return (state(options.root),)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the list of classes and every label file; photos stay where they are, and only their size is read.

    Raises:
        DataError: a file is missing or malformed; names the file and the line.
    """
    root = local(options.root, progress)
    if not root.is_dir():
        hint = "root is the folder of data.yaml; data: its name" if root.is_file() else "set data.root"
        raise DataError(f"{options.root} is not a folder", hint=hint)
    account = Account()
    found = look(root, options.data, account)
    names = dict(enumerate(options.names)) if options.names is not None else found.names
    if not names:
        raise DataError(
            f"{options.root} does not say what its classes are called",
            hint="add a data.yaml with names, or a classes.txt, or set data.names: [bed, sofa, ...] in order of their "
            "numbers",
        )
    chosen = sorted(found.photos)
    if options.limit is not None:
        for name in chosen[options.limit :]:
            account.set_aside("images", BEYOND_LIMIT, name)
        chosen = chosen[: options.limit]
    if not chosen:
        raise DataError(f"{options.root} has no photo that can be used", hint="see `train` and `val` in data.yaml")
    boxes = _boxes(root, chosen, found, names, options, account, progress)
    images = [{"image_id": name, "path": str((root / name).resolve()), "split": found.photos[name]} for name in chosen]
    return photo_tables(images, boxes, account, list(dict.fromkeys(names.values())))


def _boxes(
    root: Path,
    chosen: list[str],
    found: Found,
    names: dict[int, str],
    options: Options,
    account: Account,
    progress: Progress,
) -> list[dict[str, Any]]:
    boxes: list[dict[str, Any]] = []
    for name in progress.track(chosen, "reading labels"):
        label = found.labels.get(name)
        if label is None:
            account.handle("images", "without a label file: taken to show nothing", name)
            continue
        text = read_text(root / label)[0]
        for line in read_lines(text, names, keypoints=found.keypoints):
            where = f"{label}:{line.number}"
            account.add("boxes", 1)
            if line.fault and options.faulty_lines == "refuse":
                raise DataError(
                    f"{root / label}:{line.number}: {line.fault}", hint="data.faulty_lines: set_aside leaves it out"
                )
            if line.fault:
                account.set_aside("boxes", "on lines that are no box", f"{where}: {line.fault}")
                continue
            if line.did:
                account.handle("boxes", line.did, where)
            row = {"box_id": f"{name}#{line.number}", "image_id": name, "class_name": names[line.class_number]}
            boxes.append(row | dict(zip(CORNERS, line.box, strict=True)))
    enlarge(boxes, {name: root / name for name in chosen}, progress)
    return boxes


_LINE = re.compile(rb"\s*\d+(\.0*)?([ \t]+[-+.\deE]+){4,}\s*")


def recognise(path: Path) -> Recognised | None:
    """A `data.yaml`, or a folder with one, or with label files beside photos or in `labels`."""
    if path.is_file():
        if path.suffix.lower() in (".yaml", ".yml") and _is_yaml(head(path, 100_000)):
            options = {"root": str(path.parent), "data": path.name}
            return Recognised("YOLO boxes", options, "object_detection", 0.95, {"column": "split"})
        return None
    seen = glance(path)
    if not seen.photos:
        return None
    for name in seen.ending(".yaml", ".yml"):
        if name.count("/") <= 1 and _is_yaml(seen.head(name, 100_000)):
            inside, _, file = name.rpartition("/")
            options = {"root": str(path / inside) if inside else str(path)}
            if file not in ("data.yaml", "dataset.yaml"):
                options["data"] = file
            return Recognised("YOLO boxes", options, "object_detection", 0.95, {"column": "split"})
    return _without_yaml(seen)


def _is_yaml(start: bytes) -> bool:
    keys = set(re.findall(rb"^([a-z_]+)[ \t]*:", start, re.MULTILINE))
    return b"names" in keys and bool(keys & {b"train", b"val", b"path"})


def _without_yaml(seen: Glance) -> Recognised | None:
    texts = seen.ending(".txt")
    stems = {photo.rpartition(".")[0].rpartition("/")[2] for photo in seen.photos}
    labels = [name for name in texts if name[:-4].rpartition("/")[2] in stems]
    starts = [start for start in (seen.head(name) for name in labels[:10]) if start.strip()]
    if not starts or not all(_LINE.fullmatch(start.splitlines()[0]) for start in starts):
        return None
    named = any(name.rpartition("/")[2] in ("classes.txt", "obj.names") for name in seen.names)
    split = {"column": "split"} if all(split_of(name) for name in seen.photos) else {}
    return Recognised("YOLO boxes", {"root": str(seen.root)}, "object_detection", 0.9 if named else 0.7, split)
