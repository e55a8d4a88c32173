"""/<name>/data: the data that the runs were made of, and how two versions differ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.deployments.diff import Change, changes_of, figures_of_data
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import rows_of
from pizzeria.ui.collected import collected
from pizzeria.ui.paging import Page
from pizzeria.ui.rendering import render
from pizzeria.ui.run_facts import Facts
from pizzeria.ui.shop import Shop, shop_of

_PER_PAGE = 12


@dataclass(frozen=True)
class Version:
    """Data that one or several runs were made of.

    Attributes:
        facts: What `collect` and `split` said of them.
    """

    run: Facts
    runs: int
    first: str
    facts: list[tuple[str, Any]]
    splits: list[tuple[str, Any]]


def data(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    _, total = shop.runs.versions(project.name, limit=0)
    page = Page.of(request, total, _PER_PAGE)
    found, _ = shop.runs.versions(project.name, offset=page.offset, limit=page.limit)
    versions = [_version(shop, *one) for one in found]
    a, b = request.query_params.get("a", ""), request.query_params.get("b", "")
    if not (a and b) and len(versions) > 1:
        a, b = versions[1].run.id, versions[0].run.id
    sides = [shop.run(project.name, id) for id in (a, b)] if a and b and a != b else []
    changes = None
    if sides:
        key = ("data", *(f"{run.id} {run.changed}" for run in sides))
        changes = shop.asker.ask(key, lambda: _changes(shop, *sides), fresh_s=3600, wait_s=2.0)
    return render(
        request,
        "data",
        project=project,
        page=page,
        versions=versions,
        sides=sides,
        changes=changes,
        collected=collected(shop.store, project.name),
    )


def _version(shop: Shop, run: Facts, count: int, first: float) -> Version:
    folder = RunFolder(shop.store.root / run.id)
    facts = {key: value for key, value in folder.facts("collect").items() if key != "account"}
    since = datetime.fromtimestamp(first, UTC).isoformat(timespec="seconds")
    return Version(run, count, since, _shown(facts), _shown(folder.facts("split")))


def _shown(facts: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in rows_of(facts) if value not in (None, "")][:14]


def _changes(shop: Shop, before: Facts, after: Facts) -> list[Change]:
    return list(changes_of(*(dict(figures_of_data(RunFolder(shop.store.root / run.id))) for run in (before, after))))
