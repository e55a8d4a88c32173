"""Prediction logs: records with a photo, labels, and pruning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from pizzeria.inference.truth import Label
from pizzeria.registry import load
from pizzeria.torture.writing.operation import Operation

_LOGS: dict[str, dict[str, Any]] = {"sqlite": {}, "parquet": {}, "lines": {"path": "records.jsonl"}}
_SHA256 = "1" * 64
_PHOTO = b"\xff\xd8photo" * 500


def _folder(folder: Path) -> Path:
    return folder / "runs" / ".deployments" / "tiny" / "log"


def _write(kind: str, folder: Path, day: int, count: int = 5) -> None:
    plugin = load("prediction_logs", kind)
    _folder(folder).mkdir(parents=True, exist_ok=True)
    records = [
        {
            "timestamp": f"2026-01-{day:02}T00:00:{second:02}.000000+00:00",
            "sha256": _SHA256,
            "prediction_id": f"{day}-{second}",
            "input_id": f"i{day}-{second}",
            "listing_id": None,
            "latency_ms": 5.0,
            "p:bed": 0.5,
            "photo": _PHOTO,
        }
        for second in range(count)
    ]
    plugin.writer(plugin.Options(**_LOGS[kind]), _folder(folder))(records)


def _read(kind: str, folder: Path) -> str:
    """The ids of all records; the photo of each is looked at."""
    plugin = load("prediction_logs", kind)
    options = plugin.Options(**_LOGS[kind])
    ids = list(plugin.read(options, _folder(folder))["prediction_id"])
    for one in (ids[0], ids[-1]):
        if plugin.photo(options, _folder(folder), one) != _PHOTO:
            raise ValueError(f"the photo of the record {one} is not whole")
    return " ".join(ids)


def _add_labels(kind: str, folder: Path, day: int) -> None:
    plugin = load("prediction_logs", kind)
    labels = [Label("prediction_id", f"{day}-{second}", '{"class":"bed"}', source="torture") for second in range(5)]
    plugin.add_labels(plugin.Options(**_LOGS[kind]), _folder(folder), labels)


def _labels(kind: str, folder: Path) -> str:
    plugin = load("prediction_logs", kind)
    found = plugin.labels(plugin.Options(**_LOGS[kind]), _folder(folder))
    return " ".join(sorted({label.name for label in found}))


def _prune(kind: str, folder: Path) -> None:
    plugin = load("prediction_logs", kind)
    plugin.prune(plugin.Options(**_LOGS[kind]), _folder(folder), datetime.fromisoformat("2026-01-02T00:00:00+00:00"))


def _ids(kind: str, folder: Path) -> str:
    """Photos go before their records: one that is about to go may be without."""
    plugin = load("prediction_logs", kind)
    return " ".join(plugin.read(plugin.Options(**_LOGS[kind]), _folder(folder))["prediction_id"])


def _of(kind: str) -> list[Operation]:
    def first(folder: Path) -> None:
        _write(kind, folder, 1)

    def labelled(folder: Path) -> None:
        first(folder)
        _add_labels(kind, folder, 1)

    def both(folder: Path) -> None:
        labelled(folder)
        _write(kind, folder, 2)

    def named(what: str, prepare: Callable[[Path], object], act: Any, state: Any) -> Operation:
        name = f"{what}, log `{kind}`"
        return Operation(name, prepare, lambda at: act(at), lambda at: state(kind, at), database=kind == "sqlite")

    return [
        named("records", first, lambda at: _write(kind, at, 2), _read),
        named("labels", labelled, lambda at: _add_labels(kind, at, 2), _labels),
        named("pruning", both, lambda at: _prune(kind, at), _ids),
    ]


OPERATIONS = tuple(one for kind in _LOGS for one in _of(kind))
