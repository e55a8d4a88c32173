"""A stage's result for tests that make its folder by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pizzeria.runs import seals


def seal(folder: Path, **facts: Any) -> None:
    """Seal a folder as it is, under its own name: what is changed in it after that is damage."""
    told = {"stage": folder.name, "fingerprint": folder.name, "facts": facts, "seconds": 1.0, "started": ""}
    told |= {"ingredients": {}, "refusal": None, "files": seals.hashes(folder)}
    seals.write(folder / seals.RESULT, told)


def reseal(folder: Path) -> None:
    """Seal a stage's folder again, after a file of it was put there by hand."""
    path = folder / seals.RESULT
    told = {"stage": folder.name, "facts": {}, "seconds": 1.0, "started": "", "ingredients": {}, "refusal": None}
    told |= json.loads(path.read_text()) | {"fingerprint": folder.resolve().name, "files": seals.hashes(folder)}
    seals.write(path, {name: value for name, value in told.items() if name != "seal"})
