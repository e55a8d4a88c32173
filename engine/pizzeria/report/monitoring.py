"""The section on monitoring: what was found in the traffic of this run's bundle, chunk by chunk, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pizzeria.contracts import Alarm, Finding, Judged
from pizzeria.report.figures import foreign
from pizzeria.report.photos import Album, Photo
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import moment, number, plural

KINDS = {
    "performance": "Performance",
    "drift": "Drift",
    "multivariate_drift": "Drift of all columns together",
    "quality": "Data quality",
    "concept": "Meaning of the inputs",
}
TOLD = 5
"""So many alarms stand open; the others are folded away."""
SIGHTS = 3
"""Alarms that are shown in photos."""
SIDE = 200
"""Longest side of such a photo."""


@dataclass(frozen=True)
class Trouble:
    """An incident: one thing that is, or was, wrong over some chunks. Times are ISO 8601."""

    kind: str
    subject: str
    text: str
    causes: tuple[str, ...]
    opened_at: str
    resolved_at: str
    """Empty while it is open."""
    chunks: int


@dataclass(frozen=True)
class Watched:
    """What the history knows of one bundle's traffic: see `pizzeria.monitoring.watched`.

    Attributes:
        chunks: The latest, oldest first.
        of: So many chunks were judged in all.
        findings: In these chunks.
        alarms: In these chunks, oldest first.
        troubles: Incidents, open ones first.
        photos: By `prediction_id`, those that alarms show and that the log kept.
    """

    chunks: Sequence[Judged]
    of: int
    findings: Sequence[Finding]
    alarms: Sequence[Alarm]
    troubles: Sequence[Trouble] = ()
    photos: Mapping[str, bytes] = field(default_factory=dict)


def section(run: RunFolder, watched: Watched | None, album: Album) -> dict[str, Any] | None:
    """None when nothing was monitored yet."""
    history = None if watched is None or not watched.chunks else _history(watched, run, album)
    passes = [_pass(when, verdict) for when, verdict in reversed(run.verdicts)]
    if history is not None:
        # What a pass of the history found is in there; a look for itself, with labels of its own, is not.
        passes = [one for one in passes if one["alone"]]
    return {"history": history, "passes": passes} if history or passes else None


def _history(watched: Watched, run: RunFolder, album: Album) -> dict[str, Any]:
    open_ = [trouble for trouble in watched.troubles if not trouble.resolved_at]
    last = watched.chunks[-1]
    undecided = all(one.alert is None for one in watched.findings if one.chunk == last.name)
    latest = [verdict for _, verdict in reversed(run.verdicts) if not verdict.get("alone")]
    plots: dict[str, Any] = next((verdict["plots"] for verdict in latest if verdict.get("plots")), {})
    newest = [_alarm(alarm) for alarm in reversed(watched.alarms)]
    return {
        "state": "bad" if open_ else "quiet" if undecided else "good",
        "title": plural(len(open_), "open incident") if open_ else "Undecided" if undecided else "All well",
        "chunks": len(watched.chunks),
        "of": watched.of,
        "span": " to ".join(moment(when) for when in (watched.chunks[0].start, last.end) if when),
        "rows": sum(chunk.rows for chunk in watched.chunks),
        "labelled": sum(chunk.labelled for chunk in watched.chunks),
        "strip": _strip(watched),
        "backtest": _backtest(next((one["backtest"] for one in latest if one.get("backtest")), None)),
        "troubles": [_trouble(trouble) for trouble in watched.troubles],
        "alarms": newest[:TOLD],
        "more": newest[TOLD:],
        "sights": _sights(watched, album),
        "subjects": _subjects([_plain(one) for one in watched.findings]),
        "realised": any(one.realised is not None for one in watched.findings),
        "plots": _plots(plots),
    }


def _strip(watched: Watched) -> list[dict[str, str]]:
    """One cell for each chunk, with what it says when pointed at."""
    alarms: dict[str, int] = {}
    for alarm in watched.alarms:
        alarms[alarm.chunk] = alarms.get(alarm.chunk, 0) + 1
    decided = {one.chunk for one in watched.findings if one.alert is not None}
    cells = []
    for chunk in watched.chunks:
        state = "bad" if chunk.name in alarms else "good" if chunk.name in decided else "quiet"
        words = {"bad": plural(alarms.get(chunk.name, 0), "alarm"), "good": "well", "quiet": "undecided"}[state]
        since = f" from {moment(chunk.start)}" if chunk.start else ""
        more = ", still open" if chunk.open else ""
        text = f"chunk {chunk.name}, {plural(chunk.rows, 'prediction')}{since}: {words}{more}"
        cells.append({"state": state + (" open" if chunk.open else ""), "text": text})
    return cells


def _backtest(found: Any) -> str | None:
    if not isinstance(found, dict):
        return None
    chunks, mean, most = (
        plural(int(found["chunks"]), "chunk"),
        number(found["mean_error"]),
        number(found["largest_error"]),
    )
    return (
        f"Over the last {chunks} with labels, {found['metric']} as estimated without them was {mean} from what they "
        f"say on average, and {most} at most."
    )


def _trouble(trouble: Trouble) -> dict[str, Any]:
    return {
        "kind": KINDS.get(trouble.kind, trouble.kind),
        "subject": trouble.subject,
        "text": trouble.text,
        "causes": ", ".join(trouble.causes),
        "opened": moment(trouble.opened_at),
        "resolved": moment(trouble.resolved_at) if trouble.resolved_at else "",
        "chunks": trouble.chunks,
        "state": "good" if trouble.resolved_at else "bad",
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {"text": alarm.text, "causes": ", ".join(alarm.causes), "kind": KINDS.get(alarm.kind, alarm.kind)}


def _sights(watched: Watched, album: Album) -> list[dict[str, Any]]:
    """Photos of the newest alarms beside those of the reference; an alarm without any of its own is left out."""
    found: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for alarm in reversed(watched.alarms):
        if alarm.examples in seen:
            continue  # alarms of one chunk show the same
        seen.add(alarm.examples)
        shown = [(watched.photos[key], key) for key in alarm.examples if key in watched.photos]
        now = [photo for data, key in shown if (photo := album.of_bytes(data, key, SIDE)) is not None]
        usual = [small[0] for key in alarm.usual if (small := album.small(key, SIDE)) is not None]
        if now:
            found.append({"text": alarm.text, "chunk": alarm.chunk, "now": _wall(now), "usual": _wall(usual)})
        if len(found) == SIGHTS:
            break
    return found


def _wall(photos: Sequence[Photo]) -> list[dict[str, Any]]:
    return [{"photo": photo, "name": photo.name} for photo in photos]


def _pass(when: str, verdict: dict[str, Any]) -> dict[str, Any]:
    findings = [entry for entry in verdict.get("findings") or () if isinstance(entry, dict)]
    told = list(verdict.get("alerts") or ())
    # Earlier versions wrote sentences, and these are still to be read.
    alerts = [str(alarm.get("text") or "") if isinstance(alarm, dict) else str(alarm) for alarm in told]
    reasons = {str(alarm.get("kind")) for alarm in told if isinstance(alarm, dict)} | set(verdict.get("reasons") or ())
    undecided = list(verdict.get("undecided") or ())
    return {
        "when": moment(verdict.get("at") or when),
        "alone": bool(verdict.get("alone")),
        "judged": verdict.get("judged"),
        "alerts": alerts,
        "undecided": undecided,
        "state": "bad" if alerts else "quiet" if undecided else "good",
        "title": "Alert" if alerts else "Undecided" if undecided else "All well",
        "reasons": sorted(reasons),
        "subjects": _subjects(findings),
        "realised": any(entry.get("realised") is not None for entry in findings),
        "plots": _plots(verdict.get("plots") or {}),
    }


def _plots(plots: Mapping[str, Any]) -> list[Any]:
    return [plot for title, drawn in plots.items() if (plot := foreign(str(title), drawn)) is not None]


def _plain(finding: Finding) -> dict[str, Any]:
    names = ("kind", "subject", "chunk", "value", "threshold", "alert", "realised")
    return {name: getattr(finding, name) for name in names}


def _subjects(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each subject over all chunks; those with an alert first. The threshold is the latest chunk's."""
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
                "threshold": str(entries[-1].get("threshold") or ""),
                "state": "bad" if alerts else "quiet" if undecided == len(entries) else "good",
            }
        )
    order = {"bad": 0, "quiet": 1, "good": 2}
    return sorted(rows, key=lambda row: order[str(row["state"])])
