"""/<name>/deployment: what is live, how it is now, what it was asked, and all that was live before."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.deployments.history import Happening, history
from pizzeria.ui import charts
from pizzeria.ui.charts import Chart, Column, Scale
from pizzeria.ui.health import Hours, health, traffic
from pizzeria.ui.paging import Page
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import shop_of

_PER_PAGE = 25
_HOURS = {"48": "2 days", "168": "a week", "720": "30 days"}


def deployment(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    found = history(project.name, shop.store)[::-1] if project.last_change is not None else []
    page = Page.of(request, len(found), _PER_PAGE)
    hours = request.query_params.get("hours", "48")
    hours = hours if hours in _HOURS else "48"
    asked = traffic(shop, project, int(hours))
    now = health(shop, project)
    return render(
        request,
        "deployment",
        project=project,
        page=page,
        happenings=found[page.offset : page.offset + page.limit],
        back_to=_ways_back(project.champion.sha256, found) if project.champion else set(),
        health=now,
        traffic=asked,
        chart=_bars(asked.value) if asked is not None and asked.value is not None and any(asked.value.counts) else None,
        hours=hours,
        spans=_HOURS,
        job=shop.jobs.at_work(project.name),
        again=bool((now and now.pending) or (asked and asked.pending)),
    )


def _ways_back(live: str, found: list[Happening]) -> set[int]:
    """Of each bundle that was live before, the newest deployment: where a roll-back can lead."""
    out: dict[str, int] = {}
    for one in found:
        if one.outcome == "live" and one.sha256 != live:
            out.setdefault(one.sha256, one.id)
    return set(out.values())


def _bars(hours: Hours) -> Chart:
    scale = Scale.around([float(max(max(hours.counts), 4))], least=0.0)
    columns = [
        Column(f"{begin[:16].replace('T', ' ')} UTC: {count:,}", "")
        for begin, count in zip(hours.begins, hours.counts, strict=True)
    ]
    return Chart(
        width=len(hours.counts),
        ticks=[f"{tick:,g}" for tick in scale.ticks()],
        labels=charts.spread([begin[5:16].replace("T", " ") for begin in hours.begins], 4),
        columns=columns,
        words=f"{sum(hours.counts):,} predictions in {len(hours.counts)} hours",
        shapes=[("bars", charts.bars([float(count) for count in hours.counts], scale))],
        grid=scale.grid(),
    )
