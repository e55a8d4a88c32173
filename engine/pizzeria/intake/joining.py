"""Several sources become one dataset: ids that name one thing, one account, and a word on what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.account import Account
from pizzeria.errors import DataError
from pizzeria.intake.large import column_types, joined_rows, rows_in_file
from pizzeria.spec.data import Data, Sourced
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

KEYS = {"images": "image_id", "boxes": "box_id", "listings": "listing_id", "rows": "row_id"}
_NUMBERS = frozenset({"integer", "number"})
_SHOWN = 5


@dataclass(frozen=True)
class Part:
    """What one source brought, under its name in the joined data."""

    name: str
    folder: str
    """Relative to the stage's folder; empty where there is one source."""
    tables: Tables
    same_listings: bool = False
    """Whether a listing's id means the same listing as in the parts before it."""


def named(data: Data) -> list[tuple[str, Sourced]]:
    """The sources of a dataset with the names that tell them apart: `coco`, `rooms`, `coco-2`.

    Example:
        >>> from pizzeria.spec.data import Source
        >>> [name for name, _ in named(Data(use="coco", also=(Source(use="rooms"), Source(use="coco"))))]
        ['coco', 'rooms', 'coco-2']
    """
    counts: Counter[str] = Counter()
    out: list[tuple[str, Sourced]] = []
    for source in (data, *data.also):
        counts[source.use] += 1
        number = counts[source.use]
        out.append((source.use if number == 1 else f"{source.use}-{number}", source))
    return out


def join(parts: Sequence[Part], folder: Path) -> Tables:
    """One dataset of what the sources brought; of one source, what it brought.

    Of several, ids become `<source>:<id>`, and the column `source` says where each thing comes from. Where a source
    has `same_listings`, a listing that an earlier one has is called as it is there.

    Raises:
        DataError: an id stands twice in a source, or the sources cannot be joined; says why.
    """
    for part in parts:
        _check_ids(part)
    if len(parts) == 1:
        return parts[0].tables
    account = Account()
    for part in parts:
        account.merge(part.tables.account)
    rows = _rows(parts, folder)
    images, boxes, listings = (_frame(name, parts) for name in ("images", "boxes", "listings"))
    return Tables(images=images, boxes=boxes, listings=listings, rows=rows, account=account)


def count_same_content(images: pd.DataFrame, account: Account) -> None:
    """Say of photos that another source has too, or that the same source has under another id."""
    known = images[images["sha256"] != ""]
    several = known[known.duplicated("sha256", keep=False)]
    for _, same in several.groupby("sha256", sort=False):
        first, *others = same.to_dict("records")
        for other in others:
            apart = other.get("source") != first.get("source")
            what = "of the same content as a photo of another source" if apart else "of the same content as another"
            account.handle("images", what, f"{other['image_id']} and {first['image_id']}")


def check_paths(images: pd.DataFrame, name: str) -> None:
    """Two images of one source that are one file cannot both be right.

    Raises:
        DataError: names the file and the images.
    """
    paths = images["path"].map(lambda path: str(Path(path)))
    twice = paths[paths.duplicated(keep=False)]
    if len(twice):
        path = twice.iloc[0]
        ids = images["image_id"][paths == path]
        raise DataError(
            f"the source {name}: {', '.join(map(repr, ids[:_SHOWN]))} are the same file, {path}",
            hint="put what is known of one photo under one image",
        )


def _check_ids(part: Part) -> None:
    tables = part.tables
    for name in ("images", "listings"):
        frame = getattr(tables, name)
        if frame is None:
            continue
        keys = frame[KEYS[name]].astype(str)
        if keys.duplicated().any():
            twice = sorted(set(keys[keys.duplicated()]))[:_SHOWN]
            raise DataError(f"the source {part.name} has {name} that stand twice: {', '.join(twice)}")
    if tables.boxes is not None:
        tables.boxes["box_id"] = _told_apart(tables.boxes["box_id"].astype(str), tables.account)
    if tables.images is not None:
        check_paths(tables.images, part.name)


def _told_apart(ids: pd.Series[str], account: Account) -> pd.Series[str]:
    """Boxes that share an id are different boxes all the same; the second gets `-2`."""
    if not ids.duplicated().any():
        return ids
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    out: list[str] = []
    for name in ids:
        new = name
        while new in taken:
            numbers[name] += 1
            new = f"{name}-{numbers[name] + 1}"
        if new != name:
            account.handle("boxes", "with the id of another box, which got one of its own", name)
        taken.add(new)
        out.append(new)
    return type(ids)(out, index=ids.index)


def _frame(name: str, parts: Sequence[Part]) -> pd.DataFrame | None:
    import pandas as pd

    found = []
    for i, part in enumerate(parts):
        frame = getattr(part.tables, name)
        if frame is None:
            continue
        frame = frame.copy()
        owners = _owners(parts[:i]) if part.same_listings else {}
        for key in ("image_id", "box_id", "listing_id"):
            if key in frame:
                told = frame[key].notna()
                whose = owners if key == "listing_id" else {}
                frame.loc[told, key] = [f"{whose.get(str(value), part.name)}:{value}" for value in frame.loc[told, key]]
        if name == "images" and part.folder:
            frame["path"] = [
                str(path) if Path(path).is_absolute() else f"{part.folder}/{path}" for path in frame["path"]
            ]
        frame["source"] = part.name
        found.append(frame)
    if not found:
        return None
    for key in sorted({column for frame in found for column in frame}):
        kinds = {_kind(frame[key]) for frame in found if key in frame} - {""}
        if len(kinds) > 1 and not kinds <= _NUMBERS:  # such as a zip code that one source has as text
            for frame in found:
                if key in frame:
                    frame[key] = [None if _is_null(value) else str(value) for value in frame[key]]
    # A column that a source lacks, or has nothing in, must not decide the type of the others.
    joined: pd.DataFrame = pd.concat([frame.dropna(axis=1, how="all") for frame in found], ignore_index=True)
    return joined.reindex(columns=_columns(found))


def _owners(parts: Sequence[Part]) -> dict[str, str]:
    """By listing id, the first part that has it."""
    out: dict[str, str] = {}
    for part in parts:
        for frame in (part.tables.images, part.tables.listings):
            if frame is not None and "listing_id" in frame:
                for value in frame["listing_id"].dropna().astype(str).unique():
                    out.setdefault(value, part.name)
    return out


def _columns(frames: Sequence[pd.DataFrame]) -> list[str]:
    return list(dict.fromkeys(str(column) for frame in frames for column in frame))


def _kind(values: pd.Series[Any]) -> str:
    import pandas as pd

    if values.isna().all():
        return ""
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    return type(values.dropna().iloc[0]).__name__


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _rows(parts: Sequence[Part], folder: Path) -> Path | None:
    """All rows in one Parquet file, joined by the names of their columns.

    Raises:
        DataError: the sources have other columns, or columns of other kinds.
    """
    with_rows = [part for part in parts if "rows" in part.tables.counts()]
    if not with_rows:
        return None
    files = {part.name: rows_in_file(part.tables, folder / part.folder) for part in with_rows}
    types = {name: column_types(file) for name, file in files.items()}
    _check_columns(types)
    out = folder / "rows.parquet"
    joined_rows(files, list(next(iter(types.values()))), out)
    for file in files.values():
        file.unlink()
    return out


def _check_columns(types: Mapping[str, Mapping[str, str]]) -> None:
    first, *others = types
    for other in others:
        mine, theirs = types[first], types[other]
        for one, lacking in ((first, theirs.keys() - mine.keys()), (other, mine.keys() - theirs.keys())):
            if lacking:
                raise DataError(
                    f"the sources {first} and {other} cannot be joined: {one} has no column "
                    f"{', '.join(sorted(lacking)[:_SHOWN])}",
                    hint="name the columns that both have under `columns` of each source",
                )
        for name, kind in mine.items():
            if theirs[name] != kind and not {kind, theirs[name]} <= _NUMBERS and "" not in (kind, theirs[name]):
                raise DataError(
                    f"the sources {first} and {other} cannot be joined: the column {name} is {kind} in {first} and "
                    f"{theirs[name]} in {other}",
                    hint="mend one of the tables, or leave the column out with `columns`",
                )
