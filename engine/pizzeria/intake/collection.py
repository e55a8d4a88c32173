"""Everything that the sources of a dataset bring, as one set of tables that later stages can rely on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import registry
from pizzeria.contracts import Progress
from pizzeria.errors import DataError, require_known
from pizzeria.inference.rows import text
from pizzeria.intake.classes import keep_problem_classes, labels_from_boxes, names_of, rename
from pizzeria.intake.joining import Part, count_same_content, join, named
from pizzeria.intake.large import map_target, rows_in_file, target_values
from pizzeria.intake.photos import look_at
from pizzeria.intake.repair import repair
from pizzeria.spec.data import Data, Sourced
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria.tasks import task

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5
_NAMED = 20
_LABELS = {"image_classification": "label"}


def collect(data: Data, problem: Problem, folder: Path, max_megapixels: float, progress: Progress) -> Tables:
    """Collect from every source, and bring it all to the problem's classes.

    Args:
        folder: Where the stage writes; each of several sources gets a folder in it.
        max_megapixels: A photo of more million pixels is not readable.

    Raises:
        DataError: a source cannot be read, lacks what the task needs or a class that the spec names, cannot be joined
            with another, or does not say what became of all that it read.
    """
    sources = named(data)
    known: dict[str, None] = {}
    parts = []
    for name, source in sources:
        own = name if len(sources) > 1 else ""
        same = getattr(source, "same_listings", False)
        part = Part(name, own, _brought(name, source, problem, folder / own, progress), same_listings=same)
        known |= dict.fromkeys(_renamed(part, source, problem, folder))
        parts.append(part)
    tables = join(parts, folder)
    names = " and ".join(f"{name!r}" for name, _ in sources)
    where = f"{'any of the sources' if len(sources) > 1 else 'the source'} {names}"
    if tables.images is not None:
        keep_problem_classes(tables, problem, list(known), where)
        labels_from_boxes(tables, problem)
        tables.images = look_at(tables.images, folder, tables.account, max_megapixels, progress)
        _name_unreadable(tables.images, progress)
        repair(tables, data.repair)
        count_same_content(tables.images, tables.account)
        _count_unlabelled(tables)
    _check_presence(tables, problem, names)
    _check_target(tables, problem, where)
    counts = used(tables)
    tables.account.check(counts)
    return tables


def used(tables: Tables) -> dict[str, int]:
    """How much of each unit the tables hold."""
    counts = tables.counts()
    if tables.images is not None and "labels" in tables.images:
        counts["labels"] = sum(len(names_of(cell)) for cell in tables.images["labels"])
    elif tables.images is not None and "labels" in tables.account.read:
        counts["labels"] = len(tables.images)
    return counts


def _brought(name: str, source: Sourced, problem: Problem, folder: Path, progress: Progress) -> Tables:
    plugin = registry.load("sources", source.use)
    if problem.task not in plugin.TASKS:
        raise DataError(f"the source {source.use!r} does not serve {problem.task}")
    folder.mkdir(parents=True, exist_ok=True)
    tables: Tables = plugin.collect(source.options, problem, folder, progress)
    _check_presence(tables, problem, repr(name))
    try:
        tables.account.check(used(tables))
    except DataError as error:
        raise DataError(f"the source {name!r}: {error.message}", hint=error.hint) from None
    return tables


def _check_presence(tables: Tables, problem: Problem, names: str) -> None:
    """Whether there is what the task needs.

    Raises:
        DataError: a table or a column is not there, or empty.
    """
    counts = tables.counts()
    for name in task(problem.task).TABLES:
        if not counts.get(name):
            raise DataError(
                f"the source {names} brought no {name}, which {problem.task} needs{_why_gone(tables, name)}",
                hint="check the options under `data` and the class names under `problem.classes`",
            )
    images = tables.images
    column = _LABELS.get(problem.task)
    if images is not None and column is not None and column not in images:
        raise DataError(f"the source {names} brought photos without a {column}, which {problem.task} needs")
    unlabelled = images is not None and "labels" not in images and tables.boxes is None
    if problem.task == "multilabel_classification" and unlabelled:
        raise DataError(f"the source {names} brought photos with neither labels nor boxes")


def _why_gone(tables: Tables, unit: str) -> str:
    reasons = tables.account.aside.get(unit, {})
    told = [f"{tally.count} {reason}" for reason, tally in sorted(reasons.items(), key=lambda pair: -pair[1].count)]
    return f"; set aside were {', '.join(told[:_SHOWN])}{' ...' if len(told) > _SHOWN else ''}" if told else ""


def _renamed(part: Part, source: Sourced, problem: Problem, folder: Path) -> list[str]:
    """Apply the source's class_map; returns the classes that it knows."""
    tables = part.tables
    if "rows" not in tables.counts():
        return rename(tables, source.class_map, repr(part.name))
    if source.class_map:
        if problem.target is None or not problem.classes:
            raise DataError(f"{problem.task} has no classes that data.class_map could rename", hint="leave it out")
        file = rows_in_file(tables, folder / part.folder)
        where = f"the target of the source {part.name!r}, which data.class_map renames"
        require_known(source.class_map, target_values(file, problem.target) or (), what="class", where=where)
        map_target(file, problem.target, source.class_map, tables.account)
        part.tables.forget_rows()
    return []


def _check_target(tables: Tables, problem: Problem, where: str) -> None:
    """Whether each class of the problem is a value of the target; other values are for `validate` to refuse."""
    target = problem.target
    if target is None or not problem.classes:
        return
    if tables.rows_file is not None:
        found = target_values(tables.rows_file, target)
    elif tables.rows is not None and target in tables.rows:
        found = [str(text(value)) for value in tables.rows[target].dropna().unique()]
    else:
        return
    if found is not None:
        require_known(problem.classes, sorted(found), what="class", where=f"the target {target!r} of {where}")


def _name_unreadable(images: pd.DataFrame, progress: Progress) -> None:
    """Each by name, also where all of them are to be refused and a check names only the first."""
    bad = images[~images["readable"].astype(bool)]
    for path, why in zip(bad["path"][:_NAMED], bad["problem"], strict=False):
        progress.say(f"not readable: {path} {why}")
    if len(bad) > _NAMED:
        progress.say(f"... and {len(bad) - _NAMED} more that are not readable; images.parquet has them all")


def _count_unlabelled(tables: Tables) -> None:
    images, boxes = tables.images, tables.boxes
    assert images is not None
    if boxes is not None:
        known = set(boxes["image_id"])
        bare, what = [image_id not in known for image_id in images["image_id"]], "without a box"
    elif "labels" in images:
        bare, what = [not names_of(cell) for cell in images["labels"]], "without a label"
    else:
        return
    for path, is_bare in zip(images["path"], bare, strict=True):
        if is_bare:
            tables.account.handle("images", what, str(path))


def facts(tables: Tables) -> dict[str, Any]:
    """What the stage says of itself: rows of each table, and how much was set aside or handled, by unit."""
    account = tables.account
    aside = {unit: count for unit in account.aside if (count := account.of_aside(unit))}
    handled = {unit: sum(tally.count for tally in found.values()) for unit, found in account.handled.items() if found}
    return {**tables.counts(), **({"set_aside": aside} if aside else {}), **({"handled": handled} if handled else {})}
