"""What a challenger showed, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pizzeria.maintenance.approval import Pending


def evidence_lines(found: Pending) -> Iterator[str]:
    """A challenger that waits: what it is, why it was trained, and what it showed beside the champion."""
    yield f"challenger {found.sha256[:12]} of run {found.run}, since {found.entry.at}"
    yield f"champion   {found.entry.sha256[:12]} of run {found.entry.run}"
    evidence = found.evidence
    for incident in evidence.get("incidents", ()):
        yield f"trained because of {incident['kind']}: {incident['text']}"
    version = evidence.get("version")
    if version:
        yield f"on {version['new']} new labels (data version {version['number']}), {version['window']} of them held out"
    if evidence.get("meaning_changed"):
        yield "inputs mean something else than they did, so the newest labels decided alone:"
        yield from (f"  {text}" for text in evidence["meaning_changed"])
    for name, title in (("frozen", "frozen test set"), ("window", "newest labels")):
        if name in evidence:
            yield from _compared(title, evidence[name])
    if found.stale:
        yield f"it cannot be approved any more: {found.stale}"


def _compared(title: str, one: Mapping[str, Any]) -> Iterator[str]:
    yield f"{title}, {one['rows']} rows:"
    for part in (one, *one.get("classes", ())):
        yield f"  {_figures(part)}"


def _figures(one: Mapping[str, Any]) -> str:
    """One metric; figures that could not be computed are a dash.

    Example:
        >>> _figures({"subject": "f1", "champion": 0.7, "challenger": 0.8, "gain": 0.1, "low": 0.05, "high": None})
        'f1: 0.7 -> 0.8, gain +0.1 (+0.05 to -)'
    """
    gain, low, high = ("-" if one[name] is None else f"{one[name]:+.3g}" for name in ("gain", "low", "high"))
    before, after = ("-" if one[name] is None else f"{one[name]:.4g}" for name in ("champion", "challenger"))
    return f"{one['subject']}: {before} -> {after}, gain {gain} ({low} to {high})"
