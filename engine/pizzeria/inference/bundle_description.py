"""What `bundle.json` must say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pizzeria.errors import BundleError
from pizzeria.inference.bands import band_faults
from pizzeria.tasks import NAMES

_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "task": str,
    "classes": list,
    "preprocessing": dict,
    "calibration": dict,
    "metrics": dict,
    "gate": (list, dict),
    "lineage": dict,
    "versions": dict,
}


def check_format(found: Any, known: int, where: str) -> None:
    """Refuse a bundle of a format that this version does not read."""
    if found != known or isinstance(found, bool):
        raise BundleError(
            f"{where}: bundle format {found!r} is not known here",
            hint=f"this version of Pizzeria reads format {known}; pack the bundle again with it",
        )


def check_description(description: Mapping[str, Any], where: str) -> None:
    """Refuse a description that serving cannot rely on; all faults in one message.

    Raises:
        BundleError: names each key that is missing, of a wrong type, or does not fit the others.
    """
    faults = [f"{key} is missing" for key in _KEYS if key not in description]
    faults += [
        f"{key} is {type(description[key]).__name__}"
        for key, kind in _KEYS.items()
        if key in description and not isinstance(description[key], kind)
    ]
    faults = faults or [*_task_faults(description), *_calibration_faults(description)]
    if faults:
        raise BundleError(f"{where}: bundle.json makes no sense: {'; '.join(faults)}", hint="pack the bundle again")


def plain(value: Any) -> Any:
    """As JSON can hold it: tuples as lists, numpy scalars as Python's, and null for figures that are not finite.

    Example:
        >>> plain({"a": (1, float("nan"))})
        {'a': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _task_faults(description: Mapping[str, Any]) -> list[str]:
    task, classes, how = description["task"], description["classes"], description["preprocessing"]
    if task not in NAMES:
        return [f"task {task!r} is unknown"]
    faults = []
    if bool(classes) == (task == "tabular_regression"):
        faults.append(f"{len(classes)} classes do not fit {task}")
    kind = "columns" if task.startswith("tabular") else "photos"
    if how.get("kind") != kind:
        faults.append(f"preprocessing.kind is {how.get('kind')!r} where {task} needs {kind!r}")
    else:
        needed = ("numeric", "categorical", "target") if kind == "columns" else ("size", "resize")
        faults += [f"preprocessing.{key} is missing" for key in needed if key not in how]
    if kind == "photos" and how.get("resize") not in ("letterbox", "crop"):
        faults.append(f"preprocessing.resize is {how.get('resize')!r}, not letterbox or crop")
    if how.get("resize") == "letterbox" and "fill" not in how:
        faults.append("preprocessing.fill is missing")
    return faults


def _calibration_faults(description: Mapping[str, Any]) -> list[str]:
    calibration, classes = description["calibration"], description["classes"]
    presence = description["task"] in ("object_detection", "multilabel_classification")
    method = calibration.get("method", "none" if not classes else None)
    by_class = {"isotonic": "maps"}.get(str(method), "temperatures" if method == "temperature" and presence else None)
    if method not in ("isotonic", "temperature", "none"):
        return [f"calibration.method is {method!r}"]
    needed = [*(["thresholds"] if presence else []), *([by_class] if by_class and classes else [])]
    faults = [
        f"calibration.{key} lacks {name}" for key in needed for name in classes if name not in calibration.get(key, {})
    ]
    return faults + (band_faults(calibration, classes) if presence else [])
