"""Source `image_folder`: one folder of photos for each class, or one folder and a CSV of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.fetching import Address, is_remote, local, state
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.image_folder_recognition import recognise as recognise
from pizzeria_plugins.sources.labels_file import Labelled, read_labels
from pizzeria_plugins.sources.photo_files import SUFFIXES, photos_in

TASKS = frozenset({"image_classification", "multilabel_classification"})


class Options(PluginOptions):
    """Options of the source `image_folder`."""

    root: Address = Field(
        description="Folder or address with one folder of photos for each class, or with the photos of `labels`."
    )
    labels: Address | None = Field(
        default=None,
        description="CSV with the columns file (relative to root) and labels (with ; between them); multi-label needs "
        "it. A path, below the working folder or below root, or an address. Its other columns, such as listing_id or "
        "split, come along.",
    )
    encoding: str | None = Field(
        default=None, description="Encoding of the CSV, such as cp1251; without it UTF-8 is tried, then guessed."
    )
    limit_per_class: int | None = Field(
        default=None, ge=1, description="Only the first so many photos of each class, by file name."
    )


def inputs(options: Options) -> Sequence[Path | str]:
    """The folder, and the CSV when there is one elsewhere."""
    apart = options.labels is not None and (is_remote(options.labels) or Path(options.labels).exists())
    return (state(options.root), *([state(options.labels)] if apart and options.labels else []))


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """List the photos with their labels. They stay where they are.

    Raises:
        DataError: no folder, no photo, a malformed CSV.
    """
    import pandas as pd

    root = local(options.root, progress)
    if not root.is_dir():
        raise DataError(f"{options.root} is not a folder", hint="set data.root to the folder with the photos")
    single = problem.task == "image_classification"
    account = Account()
    if options.labels is not None:
        labels = _labels_file(options.labels, root, progress)
        found = list(_from_csv(root, labels, options.encoding, account, single=single))
    elif single:
        found = list(_from_folders(root, account))
    else:
        raise DataError("multi-label photos need a CSV of labels", hint="set data.labels to a CSV: file, labels")
    if not found:
        raise DataError(f"{options.root} has no photo", hint=f"photos end in {', '.join(SUFFIXES)}")
    if not single:
        account.add("labels", sum(len(one.labels) for one in found))
    base = root.resolve()  # and no further: that two names are links to one content is for intake to count
    rows: list[dict[str, Any]] = []
    for one in _limited(found, options.limit_per_class, account, single=single):
        path = str(base / one.file)
        label = {"label": next(iter(one.labels), None)} if single else {"labels": list(one.labels)}
        rows.append({"image_id": one.file, "path": path, **label, **one.columns})
    return Tables(images=pd.DataFrame(rows), account=account)


def _labels_file(labels: str, root: Path, progress: Progress) -> Path:
    if not is_remote(labels) and not Path(labels).exists() and (root / labels).is_file():
        return root / labels
    return local(labels, progress)


def _from_folders(root: Path, account: Account) -> Iterator[Labelled]:
    for path in photos_in(root, account):
        file = path.relative_to(root)
        if len(file.parts) == 1:
            account.set_aside("images", "beside the class folders, not in one", str(path))
        else:
            yield Labelled(file.as_posix(), (file.parts[0],), {})


def _from_csv(root: Path, path: Path, encoding: str | None, account: Account, *, single: bool) -> Iterator[Labelled]:
    """What the CSV names, whether or not it is there; photos that it does not name are set aside."""
    named = read_labels(path, encoding, account, single=single)
    missing = {one.file for one in named}
    for photo in photos_in(root, account, other_than=path):
        file = photo.relative_to(root).as_posix()
        if file in missing:
            missing.remove(file)
        else:
            account.set_aside("images", f"not named in {path.name}", str(photo))
    account.add("images", len(missing))
    yield from named


def _limited(found: list[Labelled], limit: int | None, account: Account, *, single: bool) -> Iterator[Labelled]:
    """Photos as long as one of their labels (or the lack of any) is still wanted."""
    counts: Counter[str] = Counter()
    for one in found:
        names = one.labels or ("",)
        if limit is not None and all(counts[name] >= limit for name in names):
            account.set_aside("images", "beyond data.limit_per_class", one.file)
            if not single and one.labels:
                account.set_aside("labels", "of a photo beyond data.limit_per_class", one.file, len(one.labels))
            continue
        counts.update(names)
        yield one
