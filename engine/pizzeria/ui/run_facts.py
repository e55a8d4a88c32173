"""What is known of one run, read from its folder as far as it goes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pizzeria.errors import DamagedError
from pizzeria.report.verdict import ORDER
from pizzeria.runs import seals
from pizzeria.tasks import NAMES, task

_PROBLEM = re.compile(r"^problem:\n((?:[ \t-].*\n|\n)*)", re.MULTILINE)
_MODEL = re.compile(r"^model:\n((?:[ \t-].*\n|\n)*)", re.MULTILINE)

Outcome = Literal["deployed", "packaged", "refused", "unfinished"]


@dataclass(frozen=True)
class Facts:
    """What is known of one run.

    Attributes:
        touched: When its spec was written last, seconds since 1970: the newest run is the one that was run last.
        started: ISO 8601, of its earliest stage; empty where none is complete.
        seconds: That its stages took; also those that an earlier run had done.
        stages: Complete stages: what each took in seconds.
        refused: The stage that let it go no further, or empty.
        metric, value: The main metric of its task on the test split.
        data: What its data are: the fingerprint of `collect`.
    """

    id: str
    name: str
    changed: str
    touched: float
    started: str
    seconds: float | None
    outcome: Outcome
    stages: dict[str, float]
    refused: str
    message: str
    task: str
    need: str
    owner: str
    metric: str
    value: float | None
    metrics: dict[str, float]
    sha256: str
    backbone: str
    data: str


def read_facts(folder: Path, changed: str, touched: float) -> Facts:
    try:
        text = (folder / "spec.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    problem, model = _part(text, _PROBLEM), _part(text, _MODEL)
    results = {stage: found for stage in ORDER if (found := _result(folder / "stages" / stage))}
    refused = next((stage for stage in ORDER if isinstance(results.get(stage, {}).get("refusal"), dict)), "")
    message = str(results[refused]["refusal"].get("message", "")) if refused else ""
    seconds = {stage: float(one["seconds"]) for stage, one in results.items() if _is_number(one.get("seconds"))}
    started = [str(one["started"]) for one in results.values() if one.get("started")]
    metrics = (results.get("evaluate", {}).get("facts") or {}).get("metrics") or {}
    kind = str(problem.get("task") or "")
    metric = task(kind).MAIN_METRIC if kind in NAMES else ""
    figures = {str(name): float(value) for name, value in metrics.items() if _is_number(value)}
    outcome: Outcome = "refused" if refused else "unfinished"
    if not refused and "package" in results:
        outcome = "deployed" if "deploy" in results else "packaged"
    return Facts(
        id=folder.name,
        name=folder.name.rpartition("-")[0] or folder.name,
        changed=changed,
        touched=touched,
        started=min(started, default=""),
        seconds=sum(seconds.values()) if seconds else None,
        outcome=outcome,
        stages=seconds,
        refused=refused,
        message=message,
        task=kind,
        need=str(problem.get("need") or ""),
        owner=str(problem.get("owner") or ""),
        metric=metric,
        value=figures.get(metric),
        metrics=figures,
        sha256=str((results.get("package", {}).get("facts") or {}).get("sha256") or ""),
        backbone=str(model.get("backbone") or model.get("use") or ""),
        data=str(results.get("collect", {}).get("fingerprint") or ""),
    )


def _part(text: str, section: re.Pattern[str]) -> dict[str, Any]:
    """One section of a resolved spec; reading all of it takes ten times as long."""
    import yaml

    found = section.search(text)
    if found is None:
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        plain = yaml.load(found[1], Loader=loader)  # noqa: S506 - both loaders are safe
    except yaml.YAMLError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _result(folder: Path) -> dict[str, Any]:
    """Of a stage; one that was damaged lets the run go no further."""
    path = folder / seals.RESULT
    try:
        plain = seals.read(path) or json.loads(path.read_bytes())  # an earlier Pizzeria sealed nothing
    except DamagedError as error:
        return {"refusal": {"message": error.message}}
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
