"""/: all projects, each with its wheel."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from pizzeria.ui.paging import Page
from pizzeria.ui.projects import Project
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import shop_of

_PER_PAGE = 24


def home(request: Request) -> Response:
    shop = shop_of(request)
    text = request.query_params.get("text", "").strip().lower()
    names = [name for name in shop.names() if text in name]
    page = Page.of(request, len(names), _PER_PAGE)
    counts = shop.runs.names()
    projects = [
        Project(name, shop.store, shop.ledger, shop.runs.newest(name), counts.get(name, 0))
        for name in names[page.offset : page.offset + page.limit]
    ]
    return render(request, "home", projects=projects, page=page, text=text)
