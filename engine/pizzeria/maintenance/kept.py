"""Labelled predictions that are kept to learn from, so that nothing is lost when the log is pruned.

    runs/.collected/<name>/kept/
      examples.parquet    one row for each labelled prediction, with the label that holds
      photos/             their photos, by prediction id

`examples.parquet` has prediction_id, input_id, listing_id, predicted_at (ISO 8601), labelled_at, source (who said it),
model (sha256 of the bundle that answered), truth (JSON, see `pizzeria.inference.truth`), answer (JSON: what the model
said), `feature:<column or statistic>`, and for photos file, photo_sha256, phash, dhash, width, height.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import atomic
from pizzeria.contracts import Progress
from pizzeria.inference.truth import Key, Label, holding, latest
from pizzeria.intake.inspection import inspect
from pizzeria.labels.photos import Photos
from pizzeria.labels.served import Served

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES, PHOTOS = "examples.parquet", "photos"
_HEAD = ["timestamp", "prediction_id", "input_id"]
_TEXTS = (
    *("prediction_id", "input_id", "listing_id", "predicted_at", "labelled_at", "source", "model", "truth", "answer"),
    *("file", "photo_sha256", "phash", "dhash"),
)


def keep(served: Served, folder: Path, progress: Progress) -> pd.DataFrame:
    """Bring what is kept up to date with the log; returns all of it, in the order of the predictions.

    Cut off at any moment, the next call goes on: photos come first, each whole or not at all, and the table last.

    Args:
        folder: `kept`; made when it is not there.

    Raises:
        DataError: the log cannot be read.
    """
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    known = read_kept(folder)
    labels = latest(served.labels())
    if known is not None:
        known = _relabelled(known, labels)
    there = set() if known is None else set(known["prediction_id"])
    times = _times_of_new(served, labels, there)
    found = list(_records(served, labels, there, times, folder, progress)) if times else []
    parts = [part for part in (known, pd.DataFrame(found) if found else None) if part is not None]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=str) for name in _TEXTS})
    whole = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    whole = whole.sort_values(["predicted_at", "prediction_id"], kind="stable", ignore_index=True)
    for name in whole:  # one type for each column, also where models of another time took a number for a text
        if any(isinstance(value, str) for value in whole[name]):
            whole[name] = [None if value is None or value != value else str(value) for value in whole[name]]
    stored = read_kept(folder)
    if stored is None or not whole.equals(stored):
        stream = BytesIO()
        whole.to_parquet(stream, index=False)
        atomic.write_bytes(folder / EXAMPLES, stream.getvalue())
    return whole


def read_kept(folder: Path) -> pd.DataFrame | None:
    """What is kept, or what a version has; None where there is nothing yet."""
    import pandas as pd

    path = folder / EXAMPLES
    return pd.read_parquet(path) if path.exists() else None


def _relabelled(known: pd.DataFrame, labels: Mapping[Key, Label]) -> pd.DataFrame:
    """The label that holds now; that of a prediction whose labels were pruned stays."""
    new = known.copy()
    for i, (name, input_id, at, truth) in enumerate(
        zip(known["prediction_id"], known["input_id"], known["labelled_at"], known["truth"], strict=True)
    ):
        label = holding(labels, name, input_id)
        if label is not None and (label.at, label.truth) > (at, truth):
            new.loc[i, ["labelled_at", "source", "truth"]] = [label.at, label.source, label.truth]
    return new


def _pieces(
    served: Served, columns: Sequence[str] | None, since: datetime | None = None, until: datetime | None = None
) -> Iterator[pd.DataFrame]:
    plugin, options, folder = served.log
    if hasattr(plugin, "batches"):
        yield from plugin.batches(options, folder, since=since, until=until, columns=columns)
    else:
        yield plugin.read(options, folder)


def _times_of_new(served: Served, labels: Mapping[Key, Label], there: set[str]) -> tuple[datetime, datetime] | None:
    """From when to when the predictions were made that have a label and are not kept yet."""
    ids = {name for by, name in labels if by == "prediction_id"} - there
    inputs = {name for by, name in labels if by == "input_id"}
    if not ids and not inputs:
        return None  # without a look at the log, which may be long
    first: datetime | None = None
    last: datetime | None = None
    for piece in _pieces(served, _HEAD):
        names = piece["prediction_id"]
        new = piece[(names.isin(ids) | piece["input_id"].isin(inputs)) & ~names.isin(there)]
        if len(new):
            first = new["timestamp"].min() if first is None else min(first, new["timestamp"].min())
            last = new["timestamp"].max() if last is None else max(last, new["timestamp"].max())
    return None if first is None or last is None else (first, last)


def _records(
    served: Served,
    labels: Mapping[Key, Label],
    there: set[str],
    times: tuple[datetime, datetime],
    folder: Path,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """One example for each prediction that has a label and is not kept yet."""
    photos = Photos(served) if served.bundle.takes_photos else None
    seen = set(there)
    done = 0
    ids = {name for by, name in labels if by == "prediction_id"} - there
    inputs = {name for by, name in labels if by == "input_id"}
    for piece in _pieces(served, None, times[0], times[1] + timedelta(microseconds=1)):
        piece = piece[piece["prediction_id"].isin(ids) | piece["input_id"].isin(inputs)]
        shown = [str(name) for name in piece if str(name).startswith(("feature:", "p:")) or name == "pred"]
        for record in piece.to_dict("records"):
            name, input_id = str(record["prediction_id"]), record["input_id"]
            label = holding(labels, name, input_id)
            if label is None or not name or name in seen:
                continue
            example = _example({str(key): value for key, value in record.items()}, label, shown)
            if photos is not None:
                example |= _photo(photos, name, example["input_id"], folder / PHOTOS)
            example |= {key: _plain(record[key]) for key in shown if key.startswith("feature:")}
            seen.add(name)
            done += 1
            progress.update("labelled predictions", done, len(labels))
            yield example


def _example(record: Mapping[str, Any], label: Label, shown: Sequence[str]) -> dict[str, Any]:
    answer = {
        key: value for key in shown if not key.startswith("feature:") and (value := _plain(record[key])) is not None
    }
    listing, input_id = record.get("listing_id"), record["input_id"]
    return {
        "prediction_id": str(record["prediction_id"]),
        "input_id": input_id if isinstance(input_id, str) else "",
        "listing_id": listing if isinstance(listing, str) else "",
        "predicted_at": record["timestamp"].isoformat(),
        "labelled_at": label.at,
        "source": label.source,
        "model": str(record["sha256"]),
        "truth": label.truth,
        "answer": json.dumps(answer, sort_keys=True),
    }


def _photo(photos: Photos, name: str, input_id: str, folder: Path) -> dict[str, Any]:
    """The photo beside the table, and what it looks like; no file where the log keeps none."""
    nothing = {"file": "", "photo_sha256": "", "phash": "", "dhash": "", "width": 0, "height": 0}
    data = photos.find(name, input_id)
    if data is None:
        return nothing
    seen = inspect(data, hashlib.sha256(data).hexdigest(), 1000.0)
    if seen.problem:
        return nothing
    ending = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp"}.get(seen.format, ".jpg")
    file = f"{name.replace('/', '-')}{ending}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / file).exists():
        atomic.write_bytes(folder / file, data)
    return {
        **{"file": file, "photo_sha256": seen.sha256, "phash": seen.phash, "dhash": seen.dhash},
        **{"width": seen.width, "height": seen.height},
    }


def _plain(value: Any) -> Any:
    """As JSON has it; None for what is missing."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    return value.item() if hasattr(value, "item") else value
