"""Source `pascal_voc`: photos, each with an XML of its objects, and lists that say which split it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError
from pizzeria.fetching import Address, local, state
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.folder_glance import glance
from pizzeria_plugins.sources.photo_listing import files_below, is_photo, leads_out, photos_below, split_of
from pizzeria_plugins.sources.photo_tables import BEYOND_LIMIT, headers_of, photo_tables
from pizzeria_plugins.sources.text_file import read_text
from pizzeria_plugins.sources.turned_boxes import CORNERS, turned
from pizzeria_plugins.sources.voc_file import VocFile, read_voc

TASKS = frozenset({"object_detection", "multilabel_classification"})

_FLAGS = ("difficult", "truncated", "occluded")
_PARTS = frozenset({"annotations", "jpegimages", "images", "labels", "xml"})
_LISTS = {"train": "train", "val": "validation", "test": "test", "trainval": "train or validation"}


class Options(PluginOptions):
    """Options of the source `pascal_voc`."""

    root: Address = Field(description="Folder of the data set: the one with Annotations and JPEGImages, or another.")
    annotations: Path | None = Field(
        default=None, description="Folder of the XML files in it; without it Annotations, or else all of root."
    )
    photos: Path | None = Field(
        default=None, description="Folder of the photos in it; without it JPEGImages, or else all of root."
    )
    lists: Path | None = Field(
        default=Path("ImageSets/Main"),
        description="Folder in it with train.txt, val.txt, trainval.txt, test.txt, which become the column split; "
        "photos on no list are set aside. null uses all photos.",
    )
    first_pixel: Literal[0, 1] = Field(
        default=1, description="The number of the first pixel: 1 as in Pascal VOC, 0 as some labelling tools write."
    )
    difficult: Literal["keep", "set_aside"] = Field(default="keep", description="Objects that are marked difficult.")
    wrong_size: Literal["refuse", "set_aside"] = Field(
        default="refuse", description="Photos of another shape than their XML says, whose boxes cannot be placed."
    )
    limit: int | None = Field(default=None, ge=1, description="Only the first so many photos, by name.")


class _Entry(NamedTuple):
    """A photo, and its XML; `name` is relative to the photos' folder, which lacks the photo where `there` is False."""

    name: str
    there: bool
    xml: Path | None
    split: str | None


def inputs(options: Options) -> Sequence[Path | str]:
    """The folder."""
    return (state(options.root),)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the lists and every XML; photos stay where they are, and of their files only the size is read.

    Raises:
        DataError: a file is missing or malformed; names the file and the line.
    """
    root = local(options.root, progress)
    if not root.is_dir():
        raise DataError(f"{options.root} is not a folder", hint="set data.root to the folder with Annotations in it")
    account = Account()
    photos = _below(root, options.photos, "JPEGImages")
    read: dict[Path, VocFile] = {}
    entries = _entries(root, photos, options, account, read)
    for entry in progress.track(entries, "reading annotations"):
        if entry.xml is not None and entry.xml not in read:
            read[entry.xml] = read_voc(entry.xml)
    headers = headers_of([photos / entry.name for entry in entries], progress)
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for entry, (*size, orientation) in zip(entries, headers, strict=True):
        path = photos / entry.name
        row = {"image_id": entry.name, "path": str(path.resolve()), "split": entry.split}
        if entry.xml is None:
            account.handle("images", "without an XML: taken to show nothing", entry.name)
            images.append(row)
            continue
        voc = read[entry.xml]
        if voc.guessed:
            account.handle("images", f"their XML is not UTF-8 and was read as {voc.guessed}", entry.xml.name)
        account.add("boxes", len(voc.objects))
        place = _Place.of(voc.size, (size[0], size[1]), orientation)
        if place is None:
            what = f"of {voc.size[0]} x {voc.size[1]} pixels in the XML, but {size[0]} x {size[1]} in the file"
            if options.wrong_size == "refuse":
                raise DataError(
                    f"{entry.xml}: {entry.name} is {what}",
                    hint="another photo may have taken its name; data.wrong_size: set_aside leaves such photos out",
                )
            account.set_aside("images", "of another shape than their XML says", entry.name)
            account.set_aside("boxes", "of photos that were set aside", entry.name, len(voc.objects))
            continue
        if place.did and voc.objects:
            account.handle("boxes", place.did, entry.name, len(voc.objects))
        images.append(row)
        boxes.extend(_boxes(entry, voc, place, options, account))
    if not images:
        raise DataError(f"{options.root} has no photo that can be used", hint="see data.photos and data.lists")
    return photo_tables(images, boxes, account, box_columns=_FLAGS)


def _below(root: Path, named: Path | None, usual: str) -> Path:
    if named is None:
        return root / usual if (root / usual).is_dir() else root
    if not (root / named).is_dir():
        raise DataError(f"{root / named} is not a folder", hint="see data.annotations and data.photos")
    return root / named


def _entries(root: Path, photos: Path, options: Options, account: Account, read: dict[Path, VocFile]) -> list[_Entry]:
    """Photos that are wanted; an XML that is read on the way, to learn its photo's name, goes into `read`."""
    names = photos_below(photos, account)
    annotations = _below(root, options.annotations, "Annotations")
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(_key(name), []).append(name)
    xml_of: dict[str, Path] = {}
    for file in files_below(annotations):
        if PurePosixPath(file).suffix.lower() == ".xml":
            xml = annotations / file
            name = _photo_of(xml, _key(file), by_key, photos, read)
            if name in xml_of:
                raise DataError(f"{xml} and {xml_of[name]} are both of the photo {name}", hint="remove one of them")
            xml_of[name] = xml
    if not xml_of:
        raise DataError(f"{annotations} has no XML file", hint="set data.root, or data.annotations")
    there = set(names)
    missing = sorted(set(xml_of) - there)
    known = {_key(name) for name in (*names, *missing)}
    lists = _lists(root / options.lists, known) if options.lists else None
    if lists is not None:
        missing += sorted(f"{key}.jpg" for key in lists if key not in known)
    account.add("images", len(names) + len(missing))
    entries: list[_Entry] = []
    for name in sorted((*names, *missing)):
        split = split_of(name) if lists is None else lists.get(_key(name), "")
        if split == "":
            account.set_aside("images", f"on no list of {options.lists}", name)
        elif options.limit is not None and len(entries) == options.limit:
            account.set_aside("images", BEYOND_LIMIT, name)
        else:
            entries.append(_Entry(name, name in there, xml_of.get(name), split))
    return entries


def _key(name: str) -> str:
    """What a photo and its XML share: folders that only say which of both they hold do not count.

    Example:
        >>> _key("train/images/1.jpg") == _key("train/annotations/1.xml") == "train/1"
        True
    """
    path = PurePosixPath(name)
    return "/".join([*(part for part in path.parts[:-1] if part.lower() not in _PARTS), path.stem])


def _photo_of(xml: Path, key: str, by_key: Mapping[str, list[str]], photos: Path, read: dict[Path, VocFile]) -> str:
    """The photo of an XML: of the same name, or as its `filename` says; it need not be there."""
    same = by_key.get(key, [])
    if len(same) == 1:
        return same[0]
    voc = read[xml] = read_voc(xml)
    name, line = voc.filename
    if name and leads_out(name):
        raise DataError(f"{xml}:{line}: filename {name!r} leads out of the photos' folder")
    if same:
        named = [one for one in same if PurePosixPath(one).name == name]
        if len(named) != 1:
            raise DataError(f"{xml}: may be of {' or '.join(same)}", hint="its <filename> must name one of them")
        return named[0]
    if name and is_photo(name) and (photos / name).is_file():
        return name
    return f"{key}{PurePosixPath(name).suffix if is_photo(name) else '.jpg'}"


def _lists(folder: Path, known: set[str]) -> dict[str, str] | None:
    """The split of each photo by its key; None without lists. What only trainval.txt names is for training."""
    found: dict[str, tuple[str, str]] = {}
    any_list = False
    for name, split in _LISTS.items():
        path = folder / f"{name}.txt"
        if not path.is_file():
            continue
        any_list = True
        for line, text in enumerate(read_text(path)[0].splitlines(), 1):
            if not text.strip():
                continue
            at = f"{path}:{line}"
            if leads_out(text.strip()):
                raise DataError(f"{at}: {text.strip()!r} leads out of the photos' folder")
            key = _listed(text.strip(), known)
            before, where = found.get(key, (split, ""))
            if (before == "test" and split == "train or validation") or (name != "trainval" and before != split):
                raise DataError(
                    f"{at}: {key} is on the list of another split too: {where}", hint="a photo has one split"
                )
            found.setdefault(key, ("train" if name == "trainval" else split, at))
    return {key: split for key, (split, _) in found.items()} if any_list else None


def _listed(text: str, known: set[str]) -> str:
    """The key of a photo on a list, where a flag may follow the name, which may itself have blanks.

    Example:
        >>> _listed("2008_000002  1", {"2008_000002"}), _listed("my bed 1", {"my bed 1"}), _listed("a/1.jpg", set())
        ('2008_000002', 'my bed 1', 'a/1')
    """
    key = _key(text) if is_photo(text) else text
    parts = text.rsplit(maxsplit=1)
    return parts[0] if key not in known and len(parts) == 2 and parts[1] in ("1", "0", "-1") else key


class _Place(NamedTuple):
    """How corners come from the size that the XML says into the upright photo, and what is said of it if they move."""

    said: tuple[int, int]
    scale: tuple[float, float]
    orientation: int
    did: str

    @classmethod
    def of(cls, said: tuple[int, int], size: tuple[int, int], orientation: int) -> _Place | None:
        """None where the photo is not the one that the XML speaks of."""
        if said == size or 0 in said or 0 in size:
            return cls(said, (1.0, 1.0), 1, "")
        (w, h), (width, height) = said, size
        if (w, h) == (height, width) and orientation >= 5:
            return cls(said, (1.0, 1.0), orientation, "turned with their photo, as EXIF says")
        if abs(w * height - h * width) <= max(w, h, width, height):  # the same shape, but for rounding to pixels
            return cls(said, (width / w, height / h), 1, "scaled as their photo was after they were drawn")
        return None

    def __call__(self, corners: Sequence[float]) -> list[float]:
        if self.orientation != 1:
            return list(turned(corners, self.orientation, *self.said))
        return [value * scale for value, scale in zip(corners, self.scale * 2, strict=True)]


def _boxes(entry: _Entry, voc: VocFile, place: _Place, options: Options, account: Account) -> list[dict[str, Any]]:
    assert entry.xml is not None
    out = []
    for number, found in enumerate(voc.objects):
        where = f"{entry.xml.name}:{found.line}"
        if found.difficult and options.difficult == "set_aside":
            account.set_aside("boxes", "marked difficult", where)
            continue
        corners = [found.xmin, found.ymin, found.xmax, found.ymax]
        if options.first_pixel == 1:
            # Pixels count from 1 and the last one is inside, so that its far edge is its own number.
            near = [corners[0] - 1, corners[1] - 1]
            if any(-1 <= value < 0 for value in near):
                account.handle("boxes", "begin at pixel 0, though the first one is 1: taken for the border", where)
            corners[:2] = [0.0 if -1 <= value < 0 else value for value in near]
        row = {"box_id": f"{entry.name}#{number}", "image_id": entry.name, "class_name": found.name}
        flags = {flag: getattr(found, flag) for flag in _FLAGS}
        out.append(row | dict(zip(CORNERS, place(corners), strict=True)) | flags)
    return out


def recognise(path: Path) -> Recognised | None:
    """A folder with XML annotations in it, beside photos."""
    seen = glance(path)
    xmls = seen.ending(".xml")
    if not xmls or not seen.photos or not any(b"<annotation" in seen.head(name, 600) for name in xmls[:3]):
        return None
    inside = sorted({str(PurePosixPath(name).parts[0]) for name in xmls})
    root = path
    if len(inside) == 1 and (path / inside[0] / "Annotations").is_dir():
        root = path / inside[0]
    options: dict[str, Any] = {"root": str(root)}
    if (root / "ImageSets/Main").is_dir() or all(split_of(name) for name in seen.photos):
        split = {"column": "split"}
    else:
        split = {}
    usual = (root / "Annotations").is_dir() and (root / "JPEGImages").is_dir()
    return Recognised("Pascal VOC boxes", options, "object_detection", 0.95 if usual else 0.85, split)
