"""`pizzeria verify`: what each listing of a CSV file declares, against what its photos show."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.contracts import Progress
from pizzeria.errors import DataError, PizzeriaError, nearest
from pizzeria.inference import listing
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor
from pizzeria.prediction import SUFFIXES, write_predictions

_NOTHING: Mapping[str, Any] = {"verdicts": [], "undeclared": []}


@dataclass(frozen=True)
class Listing:
    """One line of the CSV file."""

    listing_id: str
    declared: tuple[str, ...]
    photos: tuple[Path, ...]


def read_listings(path: Path, photos: Path | None = None) -> list[Listing]:
    """Listings of a CSV file with the columns `listing_id`, `declared` and perhaps `photos`.

    Names in `declared` and `photos` are parted by `;`, `,` or spaces. Without `photos`, a listing's photos are
    the files `<listing_id>_*` or the folder `<listing_id>/` in the folder `photos` beside the CSV file.

    Args:
        path: The CSV file.
        photos: Another folder for the photos.

    Raises:
        DataError: the file, a column or a listing's photos are missing.
    """
    if not path.is_file():
        raise DataError(f"there is no {path}", hint="give a CSV file with the columns listing_id and declared")
    with open(path, newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise DataError(f"{path} has no listing")
    for column in ("listing_id", "declared"):
        if column not in rows[0]:
            raise DataError(f"{path} has no column {column!r}", hint=nearest(column, rows[0]))
    folder = photos or (path.parent / "photos" if (path.parent / "photos").is_dir() else path.parent)
    found = []
    for number, row in enumerate(rows, start=2):
        listing_id = row["listing_id"].strip()
        if row.get("photos"):
            files = [(photos or path.parent) / name for name in _names(row["photos"])]
        else:
            files = _photos_of(folder, listing_id)
        missing = [str(file) for file in files if not file.is_file()]
        if missing or not files:
            what = f"there is no {missing[0]}" if missing else f"no photo of listing {listing_id} in {folder}"
            raise DataError(
                f"{path}:{number}: {what}", hint="name the files in a column `photos`, or pass --photos FOLDER"
            )
        found.append(Listing(listing_id, tuple(_names(row["declared"])), tuple(files)))
    return found


def verify_listings(
    bundle: Path, listings: Sequence[Listing], max_megapixels: float, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Yield, for each listing, `pizzeria.inference.listing.verify` with its id and the photos that could not be read.

    Raises:
        DataError: a listing declares an amenity that the model does not know.
    """
    opened = open_bundle(bundle)
    if opened.task not in ("object_detection", "multilabel_classification"):
        raise DataError(
            f"listings cannot be verified with a model for {opened.task}",
            hint="object_detection and multilabel_classification say what a photo shows",
        )
    predictor = Predictor(opened)
    for one in progress.track(listings, "verifying"):
        answers: dict[str, PhotoAnswer] = {}
        unreadable: dict[str, str] = {}
        for path in one.photos:
            try:
                answers[path.name] = predictor.photo(
                    decode(
                        path.read_bytes(),
                        max_megapixels=max_megapixels,
                        preprocessing=predictor.bundle.preprocessing,
                    )
                )
            except PizzeriaError as error:
                unreadable[path.name] = error.message
        known = [name for name in one.declared if name in opened.classes]
        unknown = [name for name in one.declared if name not in opened.classes]
        if not answers:
            known, unknown = [], list(one.declared)
        verdict: Mapping[str, Any] = listing.verify(known, answers, opened) if answers else _NOTHING
        yield {"listing_id": one.listing_id, **verdict, "not_judged": unknown, "unreadable": unreadable}


def verdict_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One flat row for each listing and amenity, for CSV, Parquet and the terminal."""
    rows = []
    for result in results:
        head = {"listing_id": result["listing_id"]}
        rows += [head | dict(verdict) for verdict in result["verdicts"]]
        rows += [head | {"verdict": "seen but not declared"} | dict(seen) for seen in result["undeclared"]]
        rows += [head | {"amenity": name, "verdict": "not judged"} for name in result["not_judged"]]
    order = ("listing_id", "amenity", "verdict", "probability", "evidence")
    return [{name: row.get(name) for name in order} for row in rows]


def write_verdicts(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write all verdicts as JSON (whole), CSV or Parquet (`verdict_rows`), by the file's ending.

    Raises:
        DataError: another ending.
    """
    if path.suffix == ".json":
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, list(results))
    else:
        write_predictions(verdict_rows(results), "", path)


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[;,\s]+", text) if name]


def _photos_of(folder: Path, listing_id: str) -> list[Path]:
    own = folder / listing_id
    files = own.iterdir() if own.is_dir() else folder.glob(f"{_escape(listing_id)}_*")
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES)


def _escape(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)
