"""The application: its routes, what it answers when something is wrong, and the headers that keep the browser safe."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pizzeria.errors import DataError, NotFoundError, PizzeriaError
from pizzeria.hiding import said
from pizzeria.runs.store import Store
from pizzeria.ui.access import Access
from pizzeria.ui.pages import (
    acting,
    alerts,
    chunk,
    data,
    decisions,
    deployment,
    home,
    labels,
    monitoring,
    overview,
    photos,
    runs,
)
from pizzeria.ui.rendering import THEMES, render, style
from pizzeria.ui.shop import Shop, shop_of

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'"
)
_YEAR_S = 31_536_000
_LONGEST_FORM = 65_536
_ENTERED = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">'
    '<title>Pizzeria</title><p><a href="/">To the pages</a></p></html>'
)


def make_app(store: Store, access: Access) -> Starlette:
    """The application over a store.

    Args:
        access: Who may read and act.
    """
    shop = Shop(store, access)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(shop.jobs.wait)

    routes = [
        Route("/", home.home),
        Route("/-/style.css", _style),
        Route("/-/in", _enter),
        Route("/-/theme", _theme, methods=["POST"]),
        Route("/-/health", lambda _: PlainTextResponse("ok")),
        Route("/favicon.ico", lambda _: Response(status_code=204)),
        Route("/{name}", overview.overview),
        Route("/{name}/runs", runs.listed),
        Route("/{name}/runs/compare", runs.compared),
        Route("/{name}/runs/{id}", runs.one),
        Route("/{name}/runs/{id}/report", runs.report),
        Route("/{name}/deployment", deployment.deployment),
        Route("/{name}/monitoring", monitoring.monitoring),
        Route("/{name}/chunks/{id:int}", chunk.chunk),
        Route("/{name}/photo", photos.logged),
        Route("/{name}/reference", photos.reference),
        Route("/{name}/alerts", alerts.alerts),
        Route("/{name}/data", data.data),
        Route("/{name}/decisions", decisions.decisions),
        Route("/{name}/labels", labels.labels),
        Route("/{name}/labels/queue.csv", labels.queue_csv),
        Route("/{name}/act/{action}", acting.confirm),
        Route("/{name}/act/{action}", acting.act, methods=["POST"]),
        Route("/{name}/jobs/{id}", acting.job),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(_Guard, access=access)],
        exception_handlers={PizzeriaError: _trouble, HTTPException: _refused, Exception: _fault},  # type: ignore[dict-item]
    )
    app.state.shop = shop
    return app


class _Guard:
    """Looks at each request before any page does, and puts the headers on each answer."""

    def __init__(self, app: Any, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_headers(message["headers"])]
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        await (self._app if refusal is None else refusal)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        if not self._access.knows(request.headers.get("host", "")):
            text = "this name is not one of this application's; `pizzeria ui --name` adds one\n"
            return PlainTextResponse(text, status_code=421)
        if request.method == "POST":
            length = request.headers.get("content-length", "")
            if not length.isdigit() or int(length) > _LONGEST_FORM:
                return PlainTextResponse("a form says how long it is, and is short\n", status_code=413)
        open_to_all = request.url.path in ("/-/in", "/-/style.css", "/-/health")
        if self._access.asks_readers and not open_to_all and self._access.session(request.cookies) is None:
            text = "open the link that `pizzeria ui` printed when it started\n"
            return PlainTextResponse(text, status_code=401)
        return None


def _headers(there: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in there}
    wanted = {
        b"content-security-policy": POLICY.encode(),
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"same-origin",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
        b"cache-control": b"no-store",
    }
    return [(name, value) for name, value in wanted.items() if name not in names]


def _style(request: Request) -> Response:
    kept = f"max-age={_YEAR_S}, immutable" if request.url.query else "no-cache"
    return Response(style(), media_type="text/css", headers={"cache-control": kept})


def _enter(request: Request) -> Response:
    """Change the token of the printed link for a cookie, and leave its address.

    By a page, not by a redirection, which a browser would follow without the cookie after a click in somebody's mail.
    """
    access = shop_of(request).access
    cookie = access.opened(request.query_params.get("token", ""))
    if cookie is None:
        return PlainTextResponse("this token is not the one of this application; it is new with each start\n", 403)
    answer = HTMLResponse(_ENTERED)
    answer.set_cookie(access.cookie, cookie, httponly=True, samesite="strict", path="/", max_age=12 * 3600)
    return answer


async def _theme(request: Request) -> Response:
    """Keep which colours somebody wants, and go back to the page."""
    form = await request.form(max_files=0, max_fields=4)
    back, wanted = str(form.get("back", "/")), str(form.get("theme", ""))
    local = back.startswith("/") and not back.startswith(("//", "/\\"))
    answer = RedirectResponse(back if local else "/", status_code=303)
    if wanted in THEMES:
        answer.set_cookie("pizzeria_theme", wanted, samesite="strict", path="/", max_age=_YEAR_S, httponly=True)
    else:
        answer.delete_cookie("pizzeria_theme", path="/")
    return answer


def _trouble(request: Request, error: PizzeriaError) -> Response:
    if isinstance(error, NotFoundError):
        status = 404
    elif isinstance(error, DataError):
        status = 400
    else:
        status = 409 if request.method == "POST" else 500
    title = "Not there" if status == 404 else "That did not work"
    return render(request, "trouble", status=status, title=title, message=error.message, hint=error.hint or "")


def _refused(request: Request, error: HTTPException) -> Response:
    title = {404: "Not there", 403: "Not allowed", 405: "Not so"}.get(error.status_code, "That did not work")
    detail = {404: f"there is no page {request.url.path}", 405: "this address takes another kind of request"}
    message = detail.get(error.status_code, error.detail)
    return render(request, "trouble", status=error.status_code, title=title, message=message, hint="")


def _fault(request: Request, error: Exception) -> Response:
    """Something that nobody foresaw: the page says what, and the server's own output has the rest."""
    message = said(error)
    return render(request, "trouble", status=500, title="A fault of this page", message=message, hint="")
