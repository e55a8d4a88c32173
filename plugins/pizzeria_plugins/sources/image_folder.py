"""Source `image_folder`: one folder of photos for each class, or one folder and a CSV of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.class_names import require_known
from pizzeria_plugins.sources.photo_files import SUFFIXES, inspect_photos

TASKS = frozenset({"image_classification", "multilabel_classification"})


class Options(PluginOptions):
    """Options of the source `image_folder`."""

    root: Path = Field(description="Folder with one folder of photos for each class, or with the photos of `labels`.")
    labels: Path | None = Field(
        default=None,
        description="CSV with the columns file (relative to root) and labels (with ; between them); "
        "multi-label needs it.",
    )
    limit_per_class: int | None = Field(
        default=None, ge=1, description="Only the first so many photos of each class, by file name."
    )


def inputs(options: Options) -> Sequence[Path]:
    """The folder, and the CSV when there is one."""
    return (options.root, *([options.labels] if options.labels else []))


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """List the photos with their labels, and read each once. They stay where they are.

    Photos with no class of `problem.classes` are left out (multi-label: kept, without a label) and counted.

    Raises:
        DataError: no folder, no photo of a class, a malformed CSV.
    """
    import pandas as pd

    if not options.root.is_dir():
        raise DataError(f"{options.root} is not a folder", hint="set data.root to the folder with the photos")
    single = problem.task == "image_classification"
    if options.labels is not None:
        found = list(_from_csv(options.labels, single=single))
        known = sorted({name for _, names in found for name in names})
        require_known(problem.classes, known, kind="class", where=str(options.labels))
    elif single:
        found = list(_from_folders(options.root, problem.classes, progress))
    else:
        raise DataError("multi-label photos need a CSV of labels", hint="set data.labels to a CSV: file, labels")
    kept = _limited(found, problem, options.limit_per_class, progress)
    files = inspect_photos([options.root / name for name, _ in kept], progress)
    images: list[dict[str, Any]] = []
    for (name, names), file in zip(kept, files, strict=True):
        path = str((options.root / name).resolve())
        labels: dict[str, Any] = {"label": names[0]} if single else {"labels": names}
        images.append({"image_id": name, "path": path, **file._asdict(), **labels})
    return Tables(images=pd.DataFrame(images))


def _from_folders(root: Path, classes: Sequence[str], progress: Progress) -> Iterator[tuple[str, list[str]]]:
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    require_known(classes, names, kind="class folder", where=str(root))
    others = [name for name in names if name not in classes]
    if others:
        progress.say(f"left out {len(others)} folders of no class: {', '.join(others[:5])}")
    for name in classes:
        photos = sorted(path for path in (root / name).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not photos:
            raise DataError(f"{root / name} has no photo", hint=f"photos end in {', '.join(SUFFIXES)}")
        for path in photos:
            yield path.relative_to(root).as_posix(), [name]


def _from_csv(path: Path, *, single: bool) -> Iterator[tuple[str, list[str]]]:
    import csv

    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            lacking = [name for name in ("file", "labels") if name not in (reader.fieldnames or ())]
            if lacking:
                raise DataError(f"{path} has no column {', '.join(lacking)}", hint="its columns are: file, labels")
            seen: set[str] = set()
            for row in reader:
                file, labels = row["file"] or "", [n.strip() for n in (row["labels"] or "").split(";") if n.strip()]
                where = f"{path}:{reader.line_num}"
                if not file or Path(file).is_absolute() or ".." in Path(file).parts:
                    raise DataError(f"{where}: file {file!r} is not a path below data.root")
                if file in seen:
                    raise DataError(f"{where}: file {file!r} stands twice")
                if single and len(labels) != 1:
                    raise DataError(f"{where}: {file} has {len(labels)} labels; image_classification needs one")
                seen.add(file)
                yield file, labels
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _limited(
    found: list[tuple[str, list[str]]], problem: Problem, limit: int | None, progress: Progress
) -> list[tuple[str, list[str]]]:
    """Photos with the labels that the problem knows, as long as one of their labels is still wanted."""
    unlabelled = "no class"
    counts: Counter[str] = Counter()
    kept, dropped = [], 0
    for file, names in found:
        known = [name for name in problem.classes if name in names]
        dropped += len(names) - len(known)
        if not known and problem.task == "image_classification":
            continue
        if limit is None or any(counts[name] < limit for name in known or [unlabelled]):
            counts.update(known or [unlabelled])
            kept.append((file, known))
    if dropped:
        progress.say(f"left out {dropped} labels of classes that problem.classes does not name")
    return kept
