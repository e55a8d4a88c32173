"""A LightGBM booster in a file of safetensors: its own text format as bytes, with plain facts beside it; no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pizzeria.atomic import write_bytes
from pizzeria.errors import TrainingError

_TENSOR = "booster"
_ABOUT = "about"
"""One key for all that stands beside it: several would come in another order each time."""


def write(path: Path, text: str, facts: Mapping[str, Any]) -> None:
    """Replace the file in one step.

    Args:
        text: As `Booster.model_to_string` gives it.
        facts: Plain data, such as the history of a checkpoint.

    Raises:
        TrainingError: it cannot be written; the old file stands.
    """
    from safetensors.numpy import save

    data = text.encode()
    about = {"sha256": hashlib.sha256(data).hexdigest(), "facts": facts}
    try:
        write_bytes(path, save({_TENSOR: np.frombuffer(data, np.uint8)}, metadata={_ABOUT: json.dumps(about)}))
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="make room or make the folder writable, then run again: it goes on from the checkpoint before",
        ) from error


def read(path: Path) -> tuple[str, dict[str, Any]]:
    """The booster's text, and the facts.

    Raises:
        TrainingError: the file is not there, is damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            data = file.get_tensor(_TENSOR).tobytes()
            about = json.loads((file.metadata() or {})[_ABOUT])
        if about["sha256"] != hashlib.sha256(data).hexdigest():
            raise ValueError("its hash does not fit")
        facts: dict[str, Any] = about["facts"]
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise TrainingError(f"{path} holds no trees of LightGBM: {error}", hint="train it again") from error
    return data.decode(), facts
