"""What a run has come to, as trackers are told it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.fingerprint import flatten
from pizzeria.runs.store import Result, Run
from pizzeria.spec.spec import Spec


@dataclass(frozen=True)
class Findings:
    """What is known of a run at its end.

    Attributes:
        lineage: `run`, `stage.<name>` {fingerprint}, and the `bundle`'s sha256.
        metrics: Of the evaluation, each with `test_` before its name.
        files: Those that are there: the spec, the report, the curves, the evaluation.
    """

    lineage: Mapping[str, str]
    metrics: Mapping[str, float]
    files: tuple[Path, ...]


def parameters(spec: Spec) -> dict[str, str | int | float | bool | None]:
    """The resolved spec by dotted paths, lists as JSON. What trackers are told of themselves stays out.

    An address may be nobody's business, and where a run is tracked decides nothing of it.
    """
    plain = {name: value for name, value in spec.resolved().items() if name != "tracking"}
    return {path: _leaf(value) for path, value in flatten(plain)}


def findings(run: Run, results: Mapping[str, Result]) -> Findings:
    """Read what complete stages left.

    Args:
        results: By stage.
    """
    lineage = {"run": run.id} | {f"stage.{name}": result.fingerprint for name, result in results.items()}
    if "package" in results and (sha256 := results["package"].facts.get("sha256")):
        lineage["bundle"] = str(sha256)
    metrics: dict[str, float] = {}
    files = [run.folder / "spec.yaml", run.folder / "report.html"]
    if "train" in results:
        files.append(results["train"].folder / "curves.csv")
    if "evaluate" in results:
        path = results["evaluate"].folder / "metrics.json"
        files.append(path)
        found = json.loads(path.read_text())["metrics"]
        metrics = {f"test_{name}": float(value) for name, value in found.items() if _is_number(value)}
    return Findings(lineage, metrics, tuple(path for path in files if path.is_file()))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _leaf(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value, default=str)
