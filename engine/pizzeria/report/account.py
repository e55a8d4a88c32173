"""The section on what became of everything that the sources have: `read = used + set aside`, by reason."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pizzeria.account import UNITS, Account, Tally
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import plural

_SHOWN = 12
"""Reasons of one unit that are named; the rest are counted together."""


def section(run: RunFolder) -> dict[str, Any] | None:
    """The account by unit; None before anything was collected, and for runs without one."""
    account = run.tables.account
    if not account.read:
        return None
    units = sorted(account.read.keys() | account.handled.keys(), key=lambda unit: (_place(unit), unit))
    return {
        "line": _line(account),
        "sources": _sources(run.spec.get("data") or {}),
        "rows": [_row(account, unit) for unit in units if unit in account.read],
        "handled": [
            {"unit": _word(unit), **_reasons(account.handled[unit])} for unit in units if account.handled.get(unit)
        ],
    }


def _place(unit: str) -> int:
    return UNITS.index(unit) if unit in UNITS else len(UNITS)


def _line(account: Account) -> str:
    aside = sum(account.of_aside(unit) for unit in account.read)
    return "everything is used" if not aside else f"{plural(aside, 'thing')} set aside, each for a reason"


def _sources(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The sources that the spec names, with the classes that they rename."""
    counts: Counter[str] = Counter()
    found = []
    for one in (data, *(data.get("also") or ())):  # as `pizzeria.intake.joining` names them
        use = str(one.get("use", ""))
        counts[use] += 1
        found.append((use if counts[use] == 1 else f"{use}-{counts[use]}", one))
    return [
        {
            "name": name,
            "renamed": [
                f"{old} left out" if new is None else f"{old} as {new}"
                for old, new in (one.get("class_map") or {}).items()
            ],
        }
        for name, one in found
    ]


def _row(account: Account, unit: str) -> dict[str, Any]:
    return {
        "unit": _word(unit),
        "read": account.read[unit],
        "used": account.used(unit),
        "aside": account.of_aside(unit),
        **_reasons(account.aside.get(unit, {})),
    }


def _reasons(found: dict[str, Tally]) -> dict[str, Any]:
    """The commonest first."""
    ordered = sorted(found.items(), key=lambda pair: (-pair[1].count, pair[0]))
    shown = [{"what": what, "count": tally.count, "examples": tally.examples} for what, tally in ordered[:_SHOWN]]
    rest = ordered[_SHOWN:]
    if rest:
        count = sum(tally.count for _, tally in rest)
        shown.append({"what": f"for {plural(len(rest), 'other reason')}", "count": count, "examples": []})
    return {"reasons": shown}


def _word(unit: str) -> str:
    return "photos" if unit == "images" else unit
