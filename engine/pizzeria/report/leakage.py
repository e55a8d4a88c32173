"""What is on two sides of the split: pairs as pictures, columns that tell the target, and what the spec allows."""

from __future__ import annotations

from typing import Any

from pizzeria.report.photos import Album
from pizzeria.report.run_folder import RunFolder

PICTURES = 12
"""So many pairs of each kind are shown as pictures."""
SIDE = 300
TITLES = {
    "exact": "The same photo on two sides",
    "near_duplicates": "Photos that look alike on two sides",
    "group": "The same {column} on two sides",
    "rows": "The same rows on two sides",
    "target": "{column} gives the target away",
}
_COLUMNS = 12


def section(run: RunFolder, album: Album) -> dict[str, Any] | None:
    """None before the check has run."""
    found = run.json("leakage", "leakage.json")
    if found is None:
        return None
    findings = [_finding(entry, run, album) for entry in found["findings"]]
    findings.sort(key=lambda entry: entry["allowed"] is not None)
    stops = sum(entry["allowed"] is None for entry in findings)
    return {
        "line": _line(stops, len(findings) - stops),
        "findings": findings,
        "checks": _checks(found),
        "idle": [f"{entry['what']}{' of ' + entry['column'] if entry['column'] else ''}" for entry in found["idle"]],
        "columns": [entry for entry in found["columns"] if entry["score"] is not None][:_COLUMNS],
    }


def _line(stops: int, allowed: int) -> str:
    if not stops and not allowed:
        return "Nothing that the model is judged on was found in what it learns from."
    parts = [f"{stops} stop{'s' if stops == 1 else ''} the run"] if stops else []
    parts += [f"{allowed} {'is' if allowed == 1 else 'are'} allowed by the spec"] if allowed else []
    return f"Leaks between the sides of the split: {', '.join(parts)}."


def _finding(entry: dict[str, Any], run: RunFolder, album: Album) -> dict[str, Any]:
    pairs = []
    for pair in entry["pairs"][:PICTURES] if run.tables.images is not None else ():
        sides = [
            {"photo": (album.small(key, SIDE) or (None,))[0], "key": key, "split": split, "group": group}
            for key, split, group in zip(pair["keys"], pair["sides"], pair["groups"], strict=True)
        ]
        pairs.append({"sides": sides, "note": pair["note"]})
    rows = [] if pairs else entry["pairs"][:PICTURES]
    return {
        "title": TITLES[entry["what"]].format(column=entry["column"]),
        "message": entry["message"],
        "hint": entry["hint"],
        "allowed": entry["allowed"],
        "pairs": pairs,
        "rows": rows,
        "more": max(0, entry["count"] - len(pairs or rows)) if entry["pairs"] else 0,
    }


def _checks(found: dict[str, Any]) -> list[str]:
    """What was looked at, in words."""
    out = []
    if "looked_at" in found:
        same = found["harmless"].get("exact", 0), found["harmless"].get("near_duplicates", 0)
        out.append(
            f"{found['looked_at']} photos were compared by their files and by two perceptual hashes (at most "
            f"{found['distance']} bits apart); on one side, where they do no harm, {same[0]} pairs are equal and "
            f"{same[1]} look alike"
        )
    if found["groups"]:
        out.append(f"each {' and each '.join(found['groups'])} was looked for on several sides")
    if found["columns"]:
        out.append(
            f"{len(found['columns'])} columns were tried alone on the target: fitted on train, judged on validation"
        )
    return out
