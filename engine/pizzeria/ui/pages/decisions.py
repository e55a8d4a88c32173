"""/<name>/decisions: what maintenance decided, and on what evidence."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.runs.ledger import Entry, Event
from pizzeria.ui.paging import integer
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import shop_of

_PER_PAGE = 20
_EVENTS: tuple[Event, ...] = ("decided", "approved", "declined")


def decisions(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    before = integer(request, "before", 0) or None
    quiet = request.query_params.get("quiet", "") == "no"
    found = shop.ledger.entries(project.name, _EVENTS, before=before, last=_PER_PAGE + 1)[::-1]
    shown = found[:_PER_PAGE]
    return render(
        request,
        "decisions",
        project=project,
        entries=[entry for entry in shown if not (quiet and action_of(entry) == "kept")],
        more=shown[-1].id if len(found) > _PER_PAGE else None,
        quiet=quiet,
        opened=next((entry.id for entry in shown if action_of(entry) != "kept"), 0),
        before=before,
        total=sum(shop.ledger.count(project.name, event) for event in _EVENTS),
    )


def action_of(entry: Entry) -> Any:
    """What was decided, in a word."""
    return entry.detail.get("action", entry.event)
