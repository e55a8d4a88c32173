"""The task that data are made for, their classes, and the column to predict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pizzeria.errors import DataError, nearest
from pizzeria.proposal.columns import Column
from pizzeria.spec.problem import Problem, TaskName
from pizzeria.tables import Tables
from pizzeria.tasks import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 10
"""A class with fewer examples cannot be learnt, split and tested."""
_TARGETS = ("target", "label", "class", "y", "outcome")
_MOST_CLASSES = 50
_MOST_NUMBERS = 20


@dataclass(frozen=True)
class Framing:
    """What is to be predicted.

    Attributes:
        counts: Examples of each class that is kept, the most frequent first; empty for a regression.
        rare: Classes that were left out, with their counts.
        why: In words, where there was a choice.
    """

    task: TaskName
    target: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    rare: dict[str, int] = field(default_factory=dict)
    why: str = ""

    @property
    def unit(self) -> str:
        """What the counts count."""
        return {"object_detection": "boxes", "tabular_classification": "rows"}.get(self.task, "photos")

    def problem(self) -> Problem:
        """As far as sources and validators need it."""
        return Problem.model_construct(task=self.task, classes=tuple(sorted(self.counts)), target=self.target)


def frame_photos(tables: Tables, task: str | None) -> Framing:
    """Photos: boxes, one label or several say the task, unless the user does.

    Raises:
        DataError: the photos have nothing that could be learnt, or not what the task needs.
    """
    images, boxes = tables.images, tables.boxes
    assert images is not None
    several = [list(names) if names is not None else [] for names in images["labels"]] if "labels" in images else None
    single = images["label"].dropna().astype(str).tolist() if "label" in images else None
    able: dict[str, Counter[str]] = {}
    if boxes is not None and len(boxes):
        able["object_detection"] = Counter(boxes["class_name"].astype(str))
    if single:
        able["image_classification"] = Counter(single)
    if several is not None and any(several):
        able["multilabel_classification"] = Counter(str(name) for names in several for name in names)
    elif boxes is not None and len(boxes):  # a photo has the labels of its boxes
        shown = boxes[["image_id", "class_name"]].drop_duplicates()
        able["multilabel_classification"] = Counter(shown["class_name"].astype(str))
    if not able:
        raise DataError(
            "the photos have no boxes and no labels, so there is nothing to learn",
            hint="put them into one folder for each class, or add annotations, or a CSV with columns file and labels",
        )
    chosen = task or next(iter(able))
    if chosen not in able:
        raise DataError(f"the data have nothing for {chosen}", hint=f"they serve {', '.join(able)}")
    counts, rare = _kept(able[chosen], least=1 if chosen == "object_detection" else 2)
    others = [name for name in able if name != chosen]
    why = f"the data also serve {', '.join(others)}: --task" if others and task is None else ""
    return Framing(cast(TaskName, chosen), None, counts, rare, why)


def frame_rows(columns: Sequence[Column], task: str | None, target: str | None) -> Framing:
    """Rows: the target is the column that is named so, or the last one; its values say the task.

    Raises:
        DataError: there is no such column, or its values make no sense for the task.
    """
    names = [column.name for column in columns]
    if not names:
        raise DataError("the table has no columns", hint="it needs one to predict, and others to predict it from")
    if target is not None and target not in names:
        raise DataError(f"the table has no column {target!r}", hint=nearest(target, names))
    named = next((name for name in names if name.lower() in _TARGETS), None)
    chosen = target or named or names[-1]
    why = "" if target else "the column of that name" if named else "the last column; --target names another"
    column = next(one for one in columns if one.name == chosen)
    if column.kind == "time":
        raise DataError(f"{chosen} holds times, which cannot be predicted", hint=f"--target is one of {_listed(names)}")
    few = column.distinct <= (_MOST_NUMBERS if column.kind == "number" else _MOST_CLASSES)
    guess = "tabular_classification" if few and (column.kind != "number" or column.whole) else "tabular_regression"
    wanted = task or guess
    if wanted not in ("tabular_classification", "tabular_regression"):
        raise DataError(f"rows do not serve {wanted}", hint="rows serve tabular_classification, tabular_regression")
    if wanted == "tabular_regression":
        if column.kind != "number":
            raise DataError(
                f"{chosen} holds {column.distinct} different texts: too many for classes, and no numbers",
                hint=f"--target is one of {_listed(names)}",
            )
        return Framing("tabular_regression", chosen, why=why)
    if not few:
        raise DataError(
            f"{chosen} holds {column.distinct} different values, too many for classes",
            hint="--task tabular_regression, or another --target",
        )
    counts = dict(sorted(column.counts.items(), key=lambda one: (-one[1], one[0])))
    if len(counts) < 2:
        raise DataError(f"{chosen} holds only {', '.join(counts) or 'nothing'}", hint="name another column: --target")
    return Framing("tabular_classification", chosen, counts, why=why)


def check_task(task: str | None) -> None:
    """Refuse a task that does not exist.

    Raises:
        DataError: names the nearest one.
    """
    if task is not None and task not in NAMES:
        raise DataError(f"there is no task {task!r}", hint=nearest(task, NAMES))


def _kept(found: Counter[str], least: int) -> tuple[dict[str, int], dict[str, int]]:
    ordered: list[tuple[str, Any]] = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    kept = {name: count for name, count in ordered if count >= LEAST}
    if len(kept) < least:  # so few photos that all classes are rare: then all of them
        kept = dict(ordered)
    if len(kept) < least:
        raise DataError(f"there is only the class {', '.join(kept)}", hint="a classifier needs at least two")
    return kept, {name: count for name, count in ordered if name not in kept}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
