"""Sends rows to train, validation and test: by group or by order, always the same way for the same spec and data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DataError, PizzeriaError, nearest
from pizzeria.spec.spec import Spec
from pizzeria.spec.split import Split
from pizzeria.stages.stage import Job, Outcome
from pizzeria.tables import Tables, read_tables

if TYPE_CHECKING:
    import pandas as pd

NAME = "split"
INPUTS = ("collect",)
AFTER: tuple[str, ...] = ("validate",)
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None


def reads(spec: Spec) -> dict[str, Any]:
    return {"data": {"split": spec.data.split.model_dump(mode="json")}}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return []


def run(job: Job) -> Outcome:
    splits = assign(read_tables(job.inputs["collect"].folder), job.spec.data.split)
    splits.rename_axis("key").reset_index().to_parquet(job.folder / "splits.parquet", index=False)
    return Outcome({str(name): int(count) for name, count in splits.value_counts().items()})


def assign(tables: Tables, split: Split) -> pd.Series[str]:
    """The split of each row.

    Groups (or single rows) are put in the order of a seeded hash of their name, so that a new group moves no old one
    further than its neighbours; with `order_by` they stand in the order of that column.

    Returns:
        A series named `split`: image_id or row_id to `train`, `validation` or `test`.

    Raises:
        DataError: a column is missing or incomplete, or there are too few groups for three splits.
    """
    import numpy as np
    import pandas as pd

    frame, key = (tables.images, "image_id") if tables.images is not None else (tables.rows, "row_id")
    assert frame is not None
    for column in (split.group_by, split.order_by):
        if column is not None:
            _require(frame, column)
    groups = frame[split.group_by or key].astype(str)
    if split.order_by:
        ordered = groups.iloc[np.argsort(frame[split.order_by].to_numpy(), kind="stable")].unique()
    else:
        ordered = np.array(sorted(groups.unique(), key=lambda name: _seeded(name, split.seed)))
    count = len(ordered)
    test, validation = (max(1, round(count * share)) for share in (split.test, split.validation))
    if count - test - validation < 1:
        what = f"values of {split.group_by}" if split.group_by else "rows"
        raise DataError(
            f"{count} {what} cannot be split three ways", hint="bring more data, or group by a finer column"
        )
    names = np.array(["train"] * (count - test - validation) + ["validation"] * validation + ["test"] * test)
    of_group = dict(zip(ordered, names, strict=True))
    return pd.Series([of_group[group] for group in groups], index=frame[key].astype(str), name="split")


def _require(frame: pd.DataFrame, column: str) -> None:
    if column not in frame:
        raise DataError(f"the data have no column {column!r} to split by", hint=nearest(column, frame.columns))
    missing = int(frame[column].isna().sum())
    if missing:
        raise DataError(f"{missing} rows have no {column}, which the split goes by", hint="fill it, or drop those rows")


def _seeded(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
