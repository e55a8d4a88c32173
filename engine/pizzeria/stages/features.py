"""Turns tables into arrays, fitted on the training split alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import registry
from pizzeria.errors import PizzeriaError
from pizzeria.spec.spec import Spec
from pizzeria.splitting.row_store import ROW, opened, pattern
from pizzeria.sql_text import literal as text
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import Tables, read_tables

if TYPE_CHECKING:
    import pandas as pd

_USED = "used_rows.parquet"

NAME = "features"
INPUTS = ("collect", "split")
AFTER: tuple[str, ...] = ("leakage",)
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None


def reads(spec: Spec) -> dict[str, Any]:
    return framing(spec) | {"features": spec.features.resolved(), "model": _of_model(spec)}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("features", spec.features.use)]


def data(spec: Spec) -> Sequence[Path]:
    """Files that the plugin reads besides the tables, such as the weights of a backbone."""
    plugin = registry.load("features", spec.features.use)
    inputs, files = (getattr(plugin, name, None) for name in ("inputs", "files"))
    of_model = list(inputs(_of_model(spec))) if inputs is not None else []
    return [*of_model, *(files(spec.features.options) if files is not None else [])]


def run(job: Job) -> Outcome:
    path = job.inputs["split"].folder / "splits.parquet"
    splits = _read_splits(path)
    tables = with_a_side(read_tables(job.inputs["collect"].folder), splits, path, job.folder)
    plugin = registry.load("features", job.spec.features.use)
    plugin.build(
        job.spec.features.options, job.spec.problem, tables, splits, _of_model(job.spec), job.folder, job.progress
    )
    (job.folder / _USED).unlink(missing_ok=True)
    return Outcome({"rows": len(splits)})


def _read_splits(path: Path) -> pd.Series[str]:
    """Split by key, which for millions of rows takes little more memory than the keys."""
    import pyarrow.parquet as pq

    found: pd.DataFrame = pq.read_table(path, read_dictionary=["split"]).to_pandas(self_destruct=True)
    return found.set_index("key")["split"]


def _of_model(spec: Spec) -> dict[str, Any]:
    """Those of the model's options that the features are made for: the model says which size of photos it wants."""
    names = getattr(registry.load("features", spec.features.use), "MODEL_OPTIONS", ())
    return {name: getattr(spec.model.options, name, None) for name in names}


def with_a_side(tables: Tables, splits: pd.Series[str], path: Path, folder: Path) -> Tables:
    """The tables without what belongs to no side of the split, such as a gap; plugins see no more than is used.

    Args:
        splits: By key, as they lie in the file `path`.
        folder: Where rows that lie in a file are written anew, piece by piece, when some are left out.
    """
    if tables.images is not None:
        images = tables.images[tables.images["image_id"].astype(str).isin(splits.index)].reset_index(drop=True)
        boxes = tables.boxes
        if boxes is not None:
            boxes = boxes[boxes["image_id"].isin(images["image_id"])].reset_index(drop=True)
        return Tables(images=images, boxes=boxes, listings=tables.listings, account=tables.account)
    if len(splits) == tables.counts()["rows"]:
        return tables
    if tables.rows_file is None:
        assert tables.rows is not None
        rows = tables.rows[tables.rows["row_id"].astype(str).isin(splits.index)].reset_index(drop=True)
        return Tables(rows=rows, account=tables.account)
    used = folder / _USED
    with opened(tables.rows_file, folder) as connection:
        connection.execute(f"CREATE VIEW sides AS FROM read_parquet({text(pattern(path))})")
        connection.execute(
            f"COPY (FROM source SELECT * EXCLUDE ({ROW}) WHERE CAST(row_id AS VARCHAR) IN (FROM sides SELECT key) "
            f"ORDER BY {ROW}) TO {text(str(used))} (FORMAT parquet)"
        )
    return Tables(rows=used, account=tables.account)
