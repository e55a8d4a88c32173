"""Finds out what a file of labels is, and reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria.errors import DataError
from pizzeria.labels.reading import coco, cvat, label_studio, tables
from pizzeria.labels.reading.said import Read

_KINDS = ".csv, .parquet, .jsonl, .json (COCO or Label Studio) or .xml (CVAT for images 1.1)"


def read_file(path: Path, task: str, classes: Sequence[str]) -> Read:
    """What a file says.

    Args:
        path: A .csv, .parquet, .jsonl, .json or .xml file.
        task: Of the model.
        classes: Of the model.

    Raises:
        DataError: it is none of these, or malformed; says where.
    """
    if not path.is_file():
        hint = "unzip what the tool exported, and name the file in it" if path.is_dir() else f"give a {_KINDS}"
        raise DataError(f"there is no file {path}", hint=hint)
    match path.suffix.lower():
        case ".csv" | ".parquet" | ".jsonl":
            return tables.read(path, task, classes)
        case ".xml":
            return cvat.read(path, task)
        case ".json":
            found = _json(path)
            if isinstance(found, dict) and "images" in found:
                return coco.read(path, found, task)
            if isinstance(found, list):
                return label_studio.read(path, found, task)
            raise DataError(f"{path} is neither COCO nor Label Studio's JSON", hint="export as COCO, or as JSON")
        case ".zip":
            raise DataError(f"{path} is an archive", hint="unzip it, and name the .json or .xml file in it")
    raise DataError(f"{path} is no file of labels that can be read", hint=f"give a {_KINDS}")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: column {error.colno}: not JSON: {error.msg}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
