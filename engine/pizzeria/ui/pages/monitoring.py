"""/<name>/monitoring: performance and drift over a range of chunks, with alarms marked and each chunk a link."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.clock import utcnow
from pizzeria.errors import DataError
from pizzeria.monitoring.history import Chunk
from pizzeria.ui.curves import OTHERS, binned, curve, heat_map, performance
from pizzeria.ui.projects import Project
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import shop_of

_LISTED = 25
_SPANS = {"100": "last 100 chunks", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "a year", "all": "all"}


def monitoring(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    asked = request.query_params
    if project.history is None:
        return render(request, "monitoring", project=project, bins=[])
    since, until, last, show = _range(request)
    chunks = project.history.chunks(since=since, until=until, last=last)
    bins = binned(chunks)
    wanted = asked.get("subject", "")
    column = asked.get("column", "")
    every = asked.get("rows") == "all"
    return render(
        request,
        "monitoring",
        project=project,
        bins=bins,
        chunks=chunks,
        listed=_listed(project, chunks),
        spans=_SPANS,
        show=show,
        since=asked.get("since", ""),
        until=asked.get("until", ""),
        plot=performance(project, bins, wanted),
        heat=heat_map(project, bins, every),
        single=curve(project, bins, OTHERS, column) if column else None,
        asked=dict(asked.items()),
        alarms=sum(len(found) for found in project.history.alarms(chunks).values()),
    )


def _range(request: Request) -> tuple[str, str | None, int | None, str]:
    """Since when, until when, how many at most, and the name of the range."""
    asked = request.query_params
    since, until = _day(asked.get("since", ""), 0), _day(asked.get("until", ""), 1)
    if since or until:
        return since or "", until, None, "dates"
    show = asked.get("show", "100")
    show = show if show in _SPANS else "100"
    if show.endswith("d"):
        begin = utcnow() - timedelta(days=int(show[:-1]))
        return begin.isoformat(timespec="seconds"), None, None, show
    return "", None, None if show == "all" else int(show), show


def _day(text: str, later: int) -> str | None:
    """A day, or a moment as the links have it, as text that sorts like the chunks' times."""
    if not text:
        return None
    if "T" in text:
        return text
    try:
        return (date.fromisoformat(text) + timedelta(days=later)).isoformat()
    except (ValueError, OverflowError):
        raise DataError(f"{text!r} is no day", hint="write it as 2026-11-26") from None


def _listed(project: Project, chunks: Sequence[Chunk]) -> list[tuple[Chunk, int, int]]:
    """The latest chunks, the newest first, each with its alarms and what is undecided in it."""
    assert project.history is not None
    latest = list(chunks[-_LISTED:])[::-1]
    alarms, findings = project.history.alarms(latest), project.history.findings(latest)
    return [(chunk, len(alarms[chunk.id]), sum(one.alert is None for one in findings[chunk.id])) for chunk in latest]
