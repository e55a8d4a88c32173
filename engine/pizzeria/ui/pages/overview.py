"""/<name>: the wheel, what is live, what is wrong, what was decided, the last runs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.ui.curves import performance
from pizzeria.ui.health import health
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import shop_of

_RUNS, _DECISIONS, _CHUNKS = 6, 5, 120


def overview(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    runs, _ = shop.runs.page(project.name, limit=_RUNS)
    decisions = shop.ledger.entries(project.name, ("decided", "approved", "declined"), last=_DECISIONS)[::-1]
    chunks = [] if project.history is None else project.history.chunks(last=_CHUNKS)
    plot = performance(project, [[chunk] for chunk in chunks], "") if chunks else None
    return render(
        request,
        "overview",
        project=project,
        health=health(shop, project, wait_s=0.6),
        runs=runs,
        decisions=decisions,
        plot=plot,
        labelled=sum(chunk.labelled for chunk in chunks),
        logged=sum(chunk.rows for chunk in chunks),
        job=shop.jobs.at_work(project.name),
    )
