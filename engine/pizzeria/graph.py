"""The stages in order, and for a spec: which would run, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from typing import Any, cast

from pizzeria import registry
from pizzeria.errors import DamagedError
from pizzeria.fingerprint import FileHashes, code_hashes, digest, flatten
from pizzeria.runs.seals import RESULT
from pizzeria.runs.store import Result, Store
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Stage

NAMES = ("collect", "deploy", "evaluate", "features", "leakage", "package", "split", "train", "validate")


@dataclass(frozen=True)
class Step:
    """One stage of one spec.

    Attributes:
        fingerprint: Decides where its result lies.
        ingredients: What the fingerprint was made of.
        result: What it left, when that still holds.
        why: Why it would run; empty when it would not.
    """

    name: str
    fingerprint: str
    ingredients: Mapping[str, Any]
    result: Result | None
    why: str


@cache
def stages() -> tuple[Stage, ...]:
    """All stages, each after those whose results it needs, or that must have passed before it."""
    modules = {name: cast(Stage, import_module(f"pizzeria.stages.{name}")) for name in NAMES}
    before = {name: sorted({*stage.INPUTS, *stage.AFTER}) for name, stage in modules.items()}
    order = TopologicalSorter(before).static_order()
    return tuple(modules[name] for name in order)


def plan(spec: Spec, store: Store) -> list[Step]:
    """What a run of this spec would do, in order; nothing is run.

    Raises:
        DataError: a file that the spec names does not exist.
        DamagedError: a result that stands was changed.
        PluginError: a plugin cannot be loaded.
    """
    hashes = FileHashes(store.root / ".hashes.sqlite")
    steps: dict[str, Step] = {}
    for stage in stages():
        ingredients = _ingredients(stage, spec, hashes, {name: steps[name].fingerprint for name in stage.INPUTS})
        fingerprint = digest(ingredients)[:32]
        result = store.load(fingerprint)
        why = ""
        if result is None:
            why = _why(stage, ingredients, spec, store)
        elif hasattr(stage, "expired"):
            why = stage.expired(spec, result, store) or ""
        steps[stage.NAME] = Step(stage.NAME, fingerprint, ingredients, None if why else result, why)
    return list(steps.values())


def run_id(spec: Spec, steps: Sequence[Step]) -> str:
    """The same spec, data and code always make the same run, so that a cut-off one is found again.

    Where the model is deployed does not count: the same model at another port is the same run.
    """
    packaged = next(step for step in steps if step.name == "package")
    return f"{spec.name}-{packaged.fingerprint[:8]}"


def _ingredients(stage: Stage, spec: Spec, hashes: FileHashes, inputs: Mapping[str, str]) -> dict[str, Any]:
    modules = [import_module(f"pizzeria.stages.{stage.NAME}")]
    modules += [registry.module_of(registry.load(kind, name)) for kind, name in stage.plugins(spec)]
    data = getattr(stage, "data", None)
    return {
        "spec": dict(flatten(stage.reads(spec))),
        "code": code_hashes(modules),
        "data": hashes.of(data(spec)) if data is not None else None,
        "inputs": dict(inputs),
    }


def _why(stage: Stage, ingredients: Mapping[str, Any], spec: Spec, store: Store) -> str:
    """What changed since the newest run of the same name that has this stage."""
    for run in reversed(store.runs()):
        if run.id.rpartition("-")[0] != spec.name or not (run.folder / "stages" / stage.NAME / RESULT).exists():
            continue
        try:
            before = store.load((run.folder / "stages" / stage.NAME).resolve().name)
        except DamagedError:  # of another run: this one needs it not
            continue
        if before is not None:
            return _difference(before.ingredients, ingredients)
    return "never run"


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    reasons = []
    for path in sorted(old["spec"].keys() | new["spec"].keys()):
        before, after = old["spec"].get(path), new["spec"].get(path)
        if before != after:
            reasons.append(f"{path}: {before} -> {after}")
    changed = [
        name
        for name in sorted(old["code"].keys() | new["code"].keys())
        if old["code"].get(name) != new["code"].get(name)
    ]
    if changed:
        reasons.append(f"code changed: {', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''}")
    if old["data"] != new["data"]:
        reasons.append("data files changed")
    reasons += [f"{name} changed" for name in new["inputs"] if old["inputs"].get(name) != new["inputs"][name]]
    return "; ".join(reasons)
