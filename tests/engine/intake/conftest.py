"""What the tests of intake share: silent progress, problems, and datasets of the built-in sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pizzeria import registry
from pizzeria.account import Account
from pizzeria.conformance.asking import Quiet
from pizzeria.intake.collection import collect
from pizzeria.spec.data import Data, Repair, Source
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables, read_tables, write_tables


@pytest.fixture
def progress() -> Quiet:
    return Quiet()


def problem(task: str, *classes: str, target: str | None = None) -> Problem:
    success = ({"metric": "any", "at_least": 0.5},)
    return Problem.model_validate(
        {"need": "n", "owner": "o", "task": task, "classes": classes, "target": target, "success": success}
    )


def sources(*wanted: Mapping[str, Any], repair: Mapping[str, str] | None = None) -> Data:
    """A `data` section, each source given as a spec would have it."""
    made = []
    for kind, one in zip((Data, *[Source] * len(wanted)), wanted, strict=False):
        own = {name: value for name, value in one.items() if name in ("use", "class_map", "same_listings")}
        options = registry.load("sources", one["use"]).Options(
            **{name: value for name, value in one.items() if name not in own}
        )
        made.append(kind(**own, options=options))
    return made[0].model_copy(update={"also": tuple(made[1:]), "repair": Repair(**(repair or {}))})


def gather(data: Data, of: Problem, folder: Path, progress: Any = None) -> Tables:
    """Collect as the stage does, and read what it wrote."""
    folder.mkdir(exist_ok=True)
    write_tables(collect(data, of, folder, 100, progress or Quiet()), folder)
    return read_tables(folder)


def aside(account: Account, unit: str) -> dict[str, int]:
    return {why: tally.count for why, tally in account.aside.get(unit, {}).items()}


def handled(account: Account, unit: str) -> dict[str, int]:
    return {what: tally.count for what, tally in account.handled.get(unit, {}).items()}


def write_coco(root: Path, photos: Mapping[str, bytes | None], boxes: Sequence[Sequence[Any]], **more: Any) -> None:
    """A COCO file and its photos; a box is (photo, class, x, y, width, height)."""
    root.mkdir(parents=True, exist_ok=True)
    for name, data in photos.items():
        if data is not None:
            (root / name).write_bytes(data)
    names = sorted({box[1] for box in boxes} | set(more.pop("classes", ())))
    content = {
        "images": [{"id": name, "file_name": name, **more.get(name, {})} for name in photos],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": box[0], "category_id": names.index(box[1]), "bbox": list(box[2:6])}
            for i, box in enumerate(boxes)
        ],
    }
    (root / "annotations.json").write_text(json.dumps(content))
