"""/<name>/runs: the list, one run with its report, and two to four of them side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import yaml
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from pizzeria.deployments.diff import figures_of_data, leaves
from pizzeria.errors import DataError, NotFoundError
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.verdict import criteria, outcome, phases
from pizzeria.report.wording import higher_is_better, metric_title
from pizzeria.runs.ledger import CLOSING, Event
from pizzeria.ui.paging import Page
from pizzeria.ui.rendering import render
from pizzeria.ui.run_facts import Facts
from pizzeria.ui.run_index import SORTS
from pizzeria.ui.shop import Shop, shop_of

_PER_PAGE = 50
_MOST = 4
_SHOWN: tuple[Event, ...] = (
    "run_started", "run_finished", "run_stopped", "deploying", *CLOSING, "approved", "declined",
)  # fmt: skip
"""What the page of a run tells of the ledger; passes and decisions have pages of their own."""
OUTCOMES = ("deployed", "packaged", "refused", "unfinished")
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""The report's own policy lets its two scripts run and no other; the sandbox keeps them from these pages."""


@dataclass(frozen=True)
class Line:
    """A value of several runs, and whether they differ.

    Attributes:
        best: Which of them is the best; none where that cannot be said, or all are the same.
    """

    title: str
    values: Sequence[Any]
    best: int | None = None


def listed(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    asked = request.query_params
    picked = asked.getlist("with")
    if len(picked) > 1:
        return RedirectResponse(f"/{project.name}/runs/compare?{urlencode({'with': picked}, doseq=True)}", 303)
    sort, down = asked.get("sort", "time"), asked.get("way", "down") != "up"
    sort = sort if sort in SORTS else "time"
    wanted: dict[str, Any] = {"outcome": asked.get("outcome", ""), "text": asked.get("text", "").strip()}
    _, total = shop.runs.page(project.name, limit=0, **wanted)
    page = Page.of(request, total, _PER_PAGE)
    found, _ = shop.runs.page(project.name, sort=sort, down=down, offset=page.offset, limit=page.limit, **wanted)
    live = project.champion.run if project.champion else ""
    return render(
        request, "runs", project=project, page=page, runs=found, sort=sort, down=down, wanted=wanted, live=live,
        outcomes=OUTCOMES, sorted_by=_sorted_by(asked, sort, down),
        when=when,
    )  # fmt: skip


def _sorted_by(asked: Mapping[str, str], sort: str, down: bool) -> dict[str, tuple[str, str]]:
    """For each column the address that sorts by it, and how it is sorted now."""
    kept = {key: value for key, value in asked.items() if key in ("text", "outcome") and value}
    out = {}
    for key in SORTS:
        way = "up" if key == sort and down else "down"
        state = ("descending" if down else "ascending") if key == sort else "none"
        out[key] = (f"?{urlencode({**kept, 'sort': key, 'way': way})}", state)
    return out


def when(facts: Facts) -> str:
    """When a run was run last, ISO 8601."""
    return datetime.fromtimestamp(facts.touched, UTC).isoformat(timespec="seconds")


def one(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    facts = shop.run(project.name, request.path_params["id"])
    folder = RunFolder(shop.store.root / facts.id)
    spec = folder.path / "spec.yaml"
    return render(
        request,
        "run",
        project=project,
        run=facts,
        when=when(facts),
        live=project.champion is not None and project.champion.run == facts.id,
        outcome=outcome(folder),
        criteria=criteria(folder),
        phases=phases(folder),
        entries=shop.ledger.entries(event=_SHOWN, run=facts.id, last=20)[::-1],
        spec=spec.read_text(encoding="utf-8", errors="replace"),
        report=(folder.path / "report.html").is_file(),
    )


def report(request: Request) -> Response:
    """The report of a run, in a sandbox of its own."""
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    facts = shop.run(project.name, request.path_params["id"])
    path = shop.store.root / facts.id / "report.html"
    if not path.is_file():
        raise NotFoundError(f"{facts.id} has no report", hint=f"pizzeria report {facts.id}")
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


def compared(request: Request) -> Response:
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    ids = list(dict.fromkeys(request.query_params.getlist("with")))
    if not 2 <= len(ids) <= _MOST:
        raise DataError(f"{len(ids)} runs cannot be compared", hint=f"tick 2 to {_MOST} in the list of runs")
    runs = [shop.run(project.name, id) for id in ids]
    specs = [dict(leaves(_spec(shop, run), "")) for run in runs]
    # The data may be large, and are read beside the page.
    key = ("compare", *(f"{run.id} {run.changed}" for run in runs))
    data = shop.asker.ask(key, lambda: _data(shop, runs), fresh_s=3600, wait_s=2.0)
    return render(
        request,
        "compare",
        project=project,
        runs=runs,
        metrics=_metrics(runs),
        spec=[line for line in _lines(specs) if differs(line.values)],
        same=sum(not differs(line.values) for line in _lines(specs)),
        data=data,
        when=when,
        differs=differs,
    )


def differs(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _spec(shop: Shop, run: Facts) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        plain = yaml.load((shop.store.root / run.id / "spec.yaml").read_text(), Loader=loader)  # noqa: S506 - both loaders are safe
    except yaml.YAMLError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _lines(sides: Sequence[Mapping[str, Any]]) -> list[Line]:
    names = dict.fromkeys(name for side in sides for name in side)
    return [Line(name, [side.get(name) for side in sides]) for name in names]


def _data(shop: Shop, runs: Sequence[Facts]) -> list[Line]:
    return _lines([dict(figures_of_data(RunFolder(shop.store.root / run.id))) for run in runs])


def _metrics(runs: Sequence[Facts]) -> list[Line]:
    """All metrics, the main one first; the best value of each is marked."""
    kind = runs[0].task
    names = list(
        dict.fromkeys([*(run.metric for run in runs if run.metric), *(n for run in runs for n in run.metrics)])
    )
    out = []
    for name in names:
        values = [run.metrics.get(name) for run in runs]
        known = [value for value in values if value is not None]
        best = None
        if len(known) > 1 and differs(known):
            pick = max if higher_is_better(kind, name) else min
            best = values.index(pick(known))
        out.append(Line(metric_title(name), values, best))
    return out
