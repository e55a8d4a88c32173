"""Finds the photos of a YOLO data set, the split and the label file of each, and the names of its classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pizzeria.account import Account
from pizzeria.errors import DataError
from pizzeria_plugins.sources.photo_listing import files_below, is_photo, photos_below, split_of
from pizzeria_plugins.sources.text_file import read_text
from pizzeria_plugins.sources.yolo_yaml import Entry, YoloYaml, read_yolo_yaml

_YAMLS = ("data.yaml", "dataset.yaml", "data.yml")
_NAMES = ("classes.txt", "obj.names", "names.txt")


class Found(NamedTuple):
    """What a folder holds; all names are relative to it, with slashes.

    Attributes:
        photos: Those that are wanted, with their split or None.
        labels: The label file of each photo that has one.
        names: Classes by number; empty where nothing names them.
        keypoints: Whether keypoints follow the boxes.
    """

    photos: dict[str, str | None]
    labels: dict[str, str]
    names: dict[int, str]
    keypoints: bool


def look(root: Path, data: Path | None, account: Account) -> Found:
    """Look through the folder; all its photos are counted, and those that are not wanted are set aside.

    Args:
        data: The YAML, relative to `root`; None looks for it.

    Raises:
        DataError: a file is malformed, or names a place outside or one that is not there.
    """
    names = photos_below(root, account)
    texts = {name for name in files_below(root) if name.lower().endswith(".txt")}
    file = root / data if data is not None else next((root / n for n in _YAMLS if (root / n).is_file()), None)
    if file is not None:
        yaml = read_yolo_yaml(file)
        photos = _of_yaml(root, file, yaml, names, account)
        classes, keypoints = yaml.names or _classes(root), yaml.keypoints
    else:
        photos, classes, keypoints = _of_folders(names, account), _classes(root), False
    account.add("images", len(set(names) | set(photos)))
    labels = {name: label for name in {*names, *photos} if (label := _label_of(name, texts)) is not None}
    _count_orphans(root, texts - set(labels.values()), account)
    return Found(photos, labels, classes, keypoints)


def _of_folders(names: list[str], account: Account) -> dict[str, str | None]:
    """Photos of a data set without a YAML: those in folders called images, where there is one; splits by folder."""
    inside = [name for name in names if "images" in _folders(name)]
    splits = {name: split_of(name) for name in inside or names}
    some = any(splits.values())
    for name in names:
        if name not in splits:
            account.set_aside("images", "in no folder called images, where others are", name)
        elif some and splits[name] is None:
            account.set_aside("images", "in no folder of a split, where others are", name)
            del splits[name]
    return splits


def _of_yaml(root: Path, file: Path, yaml: YoloYaml, names: list[str], account: Account) -> dict[str, str | None]:
    if not yaml.splits:
        raise DataError(f"{file} names no photos", hint="add train: and val:, folders or lists of photos")
    top = Path(os.path.normpath(root.absolute()))
    home = Path(os.path.normpath(file.parent.absolute()))
    bases = [home]
    if yaml.base is not None:
        named = _within(top, [home], yaml.base.text)
        # What other machines call the folder is not there; then it is the YAML's own.
        if named is not None and named.is_dir():
            bases.insert(0, named)
    found: dict[str, dict[str, None]] = {}
    for split, entries in yaml.splits.items():
        of_split: dict[str, None] = {}
        for entry in entries:
            for name in _photos_of(top, file, bases, entry, names):
                if name in of_split:
                    account.add("images", 1)
                    account.set_aside("images", f"listed twice for {split}", name)
                of_split[name] = None
        found[split] = of_split
    if found.get("validation") and found["validation"].keys() == found.get("train", {}).keys():
        account.handle(
            "images", "of train and validation alike: taken for train", next(iter(found["train"])), len(found["train"])
        )
        del found["validation"]
    photos: dict[str, str | None] = {}
    for split, of_split in found.items():
        for name in of_split:
            if name in photos:
                raise DataError(
                    f"{file}: {name} belongs to {photos[name]} and to {split}",
                    hint="a photo has one split; correct the folders or lists that the file names",
                )
            photos[name] = split
    for name in names:
        if name not in photos:
            account.set_aside("images", f"in no split of {file.name}", name)
    return photos


def _photos_of(top: Path, file: Path, bases: Sequence[Path], entry: Entry, names: list[str]) -> Iterator[str]:
    place = _within(top, bases, entry.text)
    if place is None:
        outside = any((base / entry.text).exists() for base in bases)
        raise DataError(
            f"{file}:{entry.line}: {entry.text} {'leads out of data.root' if outside else 'is not there'}",
            hint=f"it must lie in {top}; `path` and the splits are relative to it",
        )
    if place.is_dir():
        below = place.relative_to(top).as_posix()
        yield from (name for name in names if below == "." or name.startswith(f"{below}/"))
    elif place.suffix.lower() == ".txt":
        for line, text in enumerate(read_text(place)[0].splitlines(), 1):
            plain = text.strip().replace("\\", "/")
            if not plain:
                continue
            where = [place.parent, *bases] if plain.startswith("./") else [*bases, place.parent]
            photo = _within(top, where, plain) or _within(top, where[:1], plain, there=False)
            if photo is None:
                raise DataError(f"{place}:{line}: {plain} leads out of data.root", hint=f"it must lie in {top}")
            if not is_photo(photo.name):
                raise DataError(f"{place}:{line}: {plain} is no photo", hint="one photo stands on each line")
            yield photo.relative_to(top).as_posix()
    else:
        raise DataError(f"{file}:{entry.line}: {entry.text} is neither a folder nor a .txt list of photos")


def _within(top: Path, bases: Sequence[Path], text: str, *, there: bool = True) -> Path | None:
    """Where a path leads inside of `top`, if anywhere; exporters write `../` too many, which then is left out."""
    plain = text.replace("\\", "/")
    if "\0" in plain:
        return None
    shorter = plain
    while shorter.startswith("../"):
        shorter = shorter[3:]
    tries = [base / one for one in ([plain, shorter] if there else [plain]) for base in bases]
    for path in (Path(os.path.normpath(one)) for one in tries):
        if path.is_relative_to(top) and (not there or path.exists()):
            return path
    return None


def _folders(name: str) -> list[str]:
    return [part.lower() for part in PurePosixPath(name).parts[:-1]]


def _label_of(name: str, texts: set[str]) -> str | None:
    """The label file: where the innermost folder `images` is called `labels`, or beside the photo.

    Example:
        >>> _label_of("images/train/1.jpg", {"labels/train/1.txt"}), _label_of("a/1.jpg", {"a/1.txt"})
        ('labels/train/1.txt', 'a/1.txt')
    """
    beside = PurePosixPath(name).with_suffix(".txt")
    folders = _folders(name)
    if "images" in folders:
        at = len(folders) - 1 - folders[::-1].index("images")
        swapped = "/".join([*beside.parts[:at], "labels", *beside.parts[at + 1 :]])
        if swapped in texts:
            return swapped
    return str(beside) if str(beside) in texts else None


def _classes(root: Path) -> dict[int, str]:
    """Classes by number of the first list of names that is there."""
    files = [name for name in files_below(root) if PurePosixPath(name).name in _NAMES]
    if not files:
        return {}
    file = root / min(files, key=lambda name: (name.count("/"), name))
    names = [line.strip() for line in read_text(file)[0].splitlines()]
    while names and not names[-1]:
        names.pop()
    for at, name in enumerate(names, 1):
        if not name or name in names[: at - 1]:
            raise DataError(f"{file}:{at}: {f'{name} stands twice' if name else 'the line is empty'}")
    return dict(enumerate(names))


def _count_orphans(root: Path, texts: set[str], account: Account) -> None:
    """Lines of label files without a photo."""
    for name in sorted(texts):
        if "labels" in _folders(name) and PurePosixPath(name).name not in _NAMES:
            count = sum(bool(line.strip()) for line in read_text(root / name)[0].splitlines())
            if count:
                account.add("boxes", count)
                account.set_aside("boxes", "of photos that are not there", name, count)
