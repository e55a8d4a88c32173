"""Writes that are old or new, never half: a temporary name beside the target, fsync, rename, fsync of the folder."""

from __future__ import annotations

import json
import math
import os
import secrets
from pathlib import Path
from typing import Any


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by the JSON of `value`; NaN and infinity, which JSON lacks, become null."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes: the same value gives the same bytes."""
    return json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def finite(value: Any) -> Any:
    """The value with every NaN or infinity replaced by None, and tuples by lists.

    Example:
        >>> finite({"f1": float("nan"), "n": (1, 2.5)})
        {'f1': None, 'n': [1, 2.5]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        return finite(value.item())  # a numpy scalar
    return value


def rename(source: Path, target: Path) -> None:
    """Rename within one folder, and make the rename durable."""
    os.replace(source, target)  # noqa: PTH105 - Path.replace is the same call with less said
    sync(target.parent)


def sync(path: Path) -> None:
    """Make the content of a file, or the renames and removals in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
