"""The page of a comparison: parallel coordinates, the best, and a table of all members."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.report.document import document
from pizzeria.report.wording import money
from pizzeria.runs.store import Store
from pizzeria.sweeping.comparing import Comparison, cost_of
from pizzeria.sweeping.parallel import parallel_coordinates
from pizzeria.sweeping.records import Member


def write_page(comparison: Comparison, path: Path, best_spec: Path | None, store: Store) -> Path:
    """Write the page: one file that needs nothing else, whole or not at all.

    Args:
        best_spec: The spec of the best member, as a file; None where there is none.

    Raises:
        PizzeriaError: jinja2 or plotly is not installed.
    """
    figure = parallel_coordinates(comparison)
    best = comparison.best
    content = {
        "title": comparison.title,
        "metric": comparison.metric,
        "better": comparison.better,
        "sweep": comparison.sweep,
        "typed": shlex.join(comparison.sweep.typed) if comparison.sweep else "",
        "counts": _counts(comparison),
        "tiles": _tiles(comparison),
        "plots": [figure] if figure is not None else [],
        "settings": comparison.settings,
        "members": [_row(comparison, member, path.parent, store) for member in comparison.members],
        "has_cost": any(cost_of(member) is not None for member in comparison.members),
        "best": None if best is None else comparison.row(best),
        "best_spec": None if best_spec is None else os.path.relpath(best_spec),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, document("compare.html.j2", content, plots=figure is not None).encode())
    return path


def cost_text(member: Member) -> str:
    """What its training cost: money where the spec has a price, else hours; empty where it did not train."""
    charge = cost_of(member)
    if charge is None or charge.hours is None:
        return ""
    if charge.price is not None:
        return money(charge.price, (member.spec.get("cost") or {}).get("currency", ""))
    return f"{charge.hours:.3g} {charge.unit}"


def _counts(comparison: Comparison) -> str:
    members = comparison.members
    states = {"done": "came to their end", "missed": "short of a success criterion", "failed": "failed"}
    told = [f"{n} {words}" for state, words in states.items() if (n := sum(m.state == state for m in members))]
    waiting = comparison.expected - len(members)
    return ", ".join([*told, *([f"{waiting} not yet run"] if waiting > 0 else [])])


def _tiles(comparison: Comparison) -> list[dict[str, Any]]:
    best, members = comparison.best, comparison.members
    charges = [charge for member in members if (charge := cost_of(member)) is not None]
    tiles: list[dict[str, Any]] = []
    if best is not None:
        meaning = f"member {best.number + 1}, on the validation split"
        tiles.append({"title": comparison.metric, "value": comparison.value(best), "meaning": meaning, "main": True})
        if comparison.metric in best.test:
            value = best.test[comparison.metric]
            tiles.append({"title": f"{comparison.metric}, test split", "value": value, "meaning": "of the same member"})
    tiles.append({"title": "members", "value": len(members)})
    for unit in dict.fromkeys(charge.unit for charge in charges):
        hours = sum(charge.hours or 0.0 for charge in charges if charge.unit == unit)
        tiles.append({"title": f"{unit}, training", "value": hours, "meaning": "all members together"})
    prices = [charge.price for charge in charges]
    if prices and all(price is not None for price in prices):
        currency = (members[0].spec.get("cost") or {}).get("currency", "")
        total = sum(price for price in prices if price is not None)
        tiles.append({"title": f"{currency}, training", "value": total, "meaning": "all members together"})
    return tiles


def _row(comparison: Comparison, member: Member, folder: Path, store: Store) -> dict[str, Any]:
    row = comparison.row(member)
    report = store.root / member.run / "report.html" if member.run else None
    return row | {
        "best": member is comparison.best,
        "cost_text": cost_text(member),
        "report": os.path.relpath(report, folder) if report is not None and report.exists() else None,
    }
