"""The section on monitoring: what each pass found, newest first."""

from __future__ import annotations

from typing import Any

from pizzeria.report.figures import foreign
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import moment

KINDS = {
    "performance": "Performance",
    "drift": "Drift",
    "multivariate_drift": "Drift of all columns together",
    "quality": "Data quality",
}


def section(run: RunFolder) -> dict[str, Any] | None:
    """None when nothing was monitored yet."""
    passes = [_pass(when, verdict) for when, verdict in reversed(run.verdicts)]
    return {"passes": passes} if passes else None


def _pass(when: str, verdict: dict[str, Any]) -> dict[str, Any]:
    findings = [entry for entry in verdict.get("findings") or () if isinstance(entry, dict)]
    plots = [foreign(str(title), plot) for title, plot in (verdict.get("plots") or {}).items()]
    alerts = [alarm["text"] for alarm in verdict.get("alerts") or () if isinstance(alarm, dict) and "text" in alarm]
    undecided = list(verdict.get("undecided") or ())
    return {
        "when": moment(verdict.get("at") or when),
        "judged": verdict.get("judged"),
        "alerts": alerts,
        "undecided": undecided,
        "state": "bad" if alerts else "quiet" if undecided else "good",
        "title": "Alert" if alerts else "Undecided" if undecided else "All well",
        "reasons": sorted({str(alarm["kind"]) for alarm in verdict.get("alerts") or () if isinstance(alarm, dict)}),
        "subjects": _subjects(findings),
        "realised": any(entry.get("realised") is not None for entry in findings),
        "plots": [plot for plot in plots if plot is not None],
    }


def _subjects(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each subject over all chunks; those with an alert first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in findings:
        groups.setdefault((str(entry.get("kind")), str(entry.get("subject"))), []).append(entry)
    rows = []
    for (kind, subject), entries in groups.items():
        values = [e["value"] for e in entries if isinstance(e.get("value"), int | float)]
        realised = [e["realised"] for e in entries if isinstance(e.get("realised"), int | float)]
        alerts = sum(e.get("alert") is True for e in entries)
        undecided = sum(e.get("alert") is None for e in entries)
        rows.append(
            {
                "kind": KINDS.get(kind, kind.replace("_", " ")),
                "subject": subject.removeprefix("feature:"),
                "chunks": len(entries),
                "alerts": alerts,
                "undecided": undecided,
                "least": min(values, default=None),
                "mean": sum(values) / len(values) if values else None,
                "most": max(values, default=None),
                "realised": sum(realised) / len(realised) if realised else None,
                "threshold": str(entries[0].get("threshold") or ""),
                "state": "bad" if alerts else "quiet" if undecided == len(entries) else "good",
            }
        )
    order = {"bad": 0, "quiet": 1, "good": 2}
    return sorted(rows, key=lambda row: order[str(row["state"])])
