"""Brings the data in from all sources, as tables with what was seen of every photo, and an account of it all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.errors import PizzeriaError
from pizzeria.fetching import is_remote
from pizzeria.intake.collection import collect, facts
from pizzeria.intake.joining import named
from pizzeria.intake.summary import lines
from pizzeria.runs.store import Result, Store
from pizzeria.spec.data import Sourced
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import write_tables

NAME = "collect"
INPUTS: tuple[str, ...] = ()
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None


def reads(spec: Spec) -> dict[str, Any]:
    first, *others = named(spec.data)
    also = {name: _read(source) for name, source in others}
    data = _read(first[1]) | ({"also": also} if also else {}) | {"repair": spec.data.repair.model_dump(mode="json")}
    return framing(spec) | {"data": data, "features": {"max_megapixels": _max_megapixels(spec)}}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("sources", use) for use in dict.fromkeys(source.use for _, source in named(spec.data))]


def data(spec: Spec) -> Sequence[Path | str]:
    found: list[Path | str] = []
    for _, source in named(spec.data):
        found += registry.load("sources", source.use).inputs(source.options)
    return found


def expired(spec: Spec, result: Result, store: Store) -> str | None:
    """Why the tables no longer hold: photos that were fetched lie in a cache, which may be deleted."""
    options = [value for _, source in named(spec.data) for value in source.options.model_dump(mode="json").values()]
    file = result.folder / "images.parquet"
    if not any(isinstance(value, str) and is_remote(value) for value in options) or not file.exists():
        return None
    import pyarrow.parquet as pq

    paths = pq.read_table(file, columns=["path"])["path"].to_pylist()
    gone = [path for path in {paths[0], paths[-1]} if not (result.folder / path).exists()] if paths else []
    return f"{gone[0]} is gone, and is fetched again" if gone else None


def run(job: Job) -> Outcome:
    spec = job.spec
    tables = collect(spec.data, spec.problem, job.folder, _max_megapixels(spec), job.progress)
    write_tables(tables, job.folder)
    for line in lines(tables.account):
        job.progress.say(line)
    return Outcome(facts(tables))


def _read(source: Sourced) -> dict[str, Any]:
    own: dict[str, Any] = {"use": source.use}
    if source.class_map:  # in words that a plan can show: null would look like a key that is not there
        own["class_map"] = {old: "(left out)" if new is None else new for old, new in source.class_map.items()}
    if getattr(source, "same_listings", False):
        own["same_listings"] = True
    return own | (source.options.model_dump(mode="json") if source.options is not None else {})


def _max_megapixels(spec: Spec) -> float:
    """The features say what they can take; where they say nothing, as the photos' features do by default."""
    return float(getattr(spec.features.options, "max_megapixels", 100))
