"""/<name>/alerts: incidents, open and over, and who was told."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.monitoring.incidents import Incident, incidents
from pizzeria.monitoring.telling import deliveries
from pizzeria.ui.paging import Page
from pizzeria.ui.projects import Project
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import shop_of

_PER_PAGE = 30
_DELIVERIES = 50


def alerts(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    found = incidents(shop.store, project.name)[::-1]
    only = request.query_params.get("only", "")
    kind = request.query_params.get("kind", "")
    kinds = sorted({one.kind for one in found})
    if only == "open":
        found = [one for one in found if one.open]
    if kind:
        found = [one for one in found if one.kind == kind]
    found.sort(key=lambda one: not one.open)  # the open ones first; each group the newest first
    page = Page.of(request, len(found), _PER_PAGE)
    shown = found[page.offset : page.offset + page.limit]
    return render(
        request,
        "alerts",
        project=project,
        page=page,
        incidents=shown,
        links=chunk_links(project, shown),
        only=only,
        kind=kind,
        kinds=kinds,
        deliveries=deliveries(shop.store, project.name, last=_DELIVERIES)[::-1],
    )


def chunk_links(project: Project, found: list[Incident]) -> dict[int, tuple[str, str]]:
    """Where the first and the newest chunk of each incident are; empty where they are not kept."""
    if project.history is None:
        return {}
    out = {}
    for one in found:
        pair = [project.history.chunk_named(one.sha256, name) for name in (one.first_chunk, one.chunk)]
        first, last = (f"{project.href}/chunks/{chunk.id}" if chunk else "" for chunk in pair)
        out[one.id] = (first, last)
    return out
