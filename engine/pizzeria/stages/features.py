"""Turns tables into arrays, fitted on the training split alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pizzeria import registry
from pizzeria.errors import PizzeriaError
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import read_tables

NAME = "features"
INPUTS = ("collect", "split")
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None


def reads(spec: Spec) -> dict[str, Any]:
    return framing(spec) | {"features": spec.features.resolved(), "model": {"image_size": _image_size(spec)}}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("features", spec.features.use)]


def run(job: Job) -> Outcome:
    import pandas as pd

    tables = read_tables(job.inputs["collect"].folder)
    splits = pd.read_parquet(job.inputs["split"].folder / "splits.parquet").set_index("key")["split"]
    plugin = registry.load("features", job.spec.features.use)
    plugin.build(
        job.spec.features.options, job.spec.problem, tables, splits, _image_size(job.spec), job.folder, job.progress
    )
    return Outcome({"rows": len(splits)})


def _image_size(spec: Spec) -> int | None:
    """The model says which size it wants; tabular models have none."""
    return getattr(spec.model.options, "image_size", None)
