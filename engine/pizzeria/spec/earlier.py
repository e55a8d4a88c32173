"""Specs that runs of an earlier Pizzeria left as resolved: what is live came of one, and must stay watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_CATEGORIES = {"kolmogorov_smirnov": "l_infinity"}
"""What a method of numbers was for categories."""


def brought_up_to_date(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same spec in today's words.

    Args:
        data: A whole spec, as resolved.

    Example:
        >>> old = {"monitoring": {"drift": {"method": "hellinger", "multivariate": False}, "missing_above": 0.1}}
        >>> new = brought_up_to_date(old)["monitoring"]
        >>> new["drift"]
        {'multivariate': [], 'numbers': 'hellinger', 'categories': 'hellinger'}
        >>> new["quality"]
        {'missing_above': 0.1}
    """
    monitoring = data.get("monitoring")
    if not isinstance(monitoring, Mapping):
        return dict(data)
    monitoring = dict(monitoring)
    drift = monitoring.get("drift")
    if isinstance(drift, Mapping):
        drift = dict(drift)
        if "method" in drift:
            method = drift.pop("method")
            drift |= {"numbers": method, "categories": _OF_CATEGORIES.get(method, method)}
        if isinstance(drift.get("multivariate"), bool):
            drift["multivariate"] = ["reconstruction"] if drift["multivariate"] else []
        monitoring["drift"] = drift
    quality = {name: monitoring.pop(name) for name in ("missing_above", "unseen_above") if name in monitoring}
    if quality:
        monitoring["quality"] = {**(monitoring.get("quality") or {}), **quality}
    return {**data, "monitoring": monitoring}
