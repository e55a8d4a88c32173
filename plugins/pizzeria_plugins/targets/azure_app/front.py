"""In the function app: what `function_app.py` hands to the worker of Azure Functions."""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pizzeria_plugins.functions.app import open_app
from pizzeria_plugins.targets.clouds.flushed import Flushed

_API = "2024-03-01"
_MANAGEMENT = "https://management.azure.com"
_TIMEOUT_S = 30


def function_app(folder: Path, auth_level: str, timers: Sequence[tuple[str, str, str]] = ()) -> Any:
    """The app with one function for all routes, and one for each timer.

    Args:
        folder: Where the package lies.
        auth_level: `anonymous`, or `function` where Azure asks for its own key.
        timers: (name of the function, time table in six fields, resource id of the Container Apps job to start).
    """
    import azure.functions as func

    class Middleware(func.AsgiMiddleware):  # type: ignore[misc]
        """Azure's own cannot read a path that is no UTF-8, and would answer 500."""

        async def _handle_async(self, req: Any, context: Any) -> Any:
            return await super()._handle_async(_Readable(req), context)

    class App(func.AsgiFunctionApp):  # type: ignore[misc]
        def _add_http_app(self, http_middleware: Any, function_name: str = "pizzeria") -> None:
            self.middleware = Middleware(http_middleware._app)
            super()._add_http_app(self.middleware, function_name)

    app = App(app=Flushed(open_app(folder)), http_auth_level=func.AuthLevel[auth_level.upper()])
    for name, table, job in timers:
        _add_timer(app, name, table, job)
    return app


class _Readable:
    """A request whose address is text: bytes that are no UTF-8 become U+FFFD, which no route has."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    @property
    def url(self) -> str:
        parts = urlsplit(self._request.url)
        return parts._replace(path=quote(unquote(parts.path, errors="replace"), safe="/%")).geturl()


def _add_timer(app: Any, name: str, table: str, job: str) -> None:
    # Azure's worker reads annotations, and takes none but its own types.
    def start(timer):  # type: ignore[no-untyped-def]
        start_job(job)

    timed = app.timer_trigger(schedule=table, arg_name="timer", run_on_startup=False, use_monitor=True)
    app.function_name(name=name)(timed(start))


def start_job(job: str) -> None:
    """Start a Container Apps job, as the function app's own identity.

    Raises:
        OSError: Azure refused; the function's log has it, and Azure counts the run as failed.
    """
    token = json.loads(_get(_identity_address(), {"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]}))["access_token"]
    request = urllib.request.Request(  # noqa: S310 - the platform's own address
        f"{_management()}{quote(job)}/start?api-version={_API}",
        data=b"",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # nosec B310  # the platform's own address
        logging.getLogger("pizzeria").info("started %s: %s", job.rpartition("/")[2], answer.status)


def _management() -> str:
    return os.environ.get("PIZZERIA_MANAGEMENT_URL", _MANAGEMENT)


def _identity_address() -> str:
    return f"{os.environ['IDENTITY_ENDPOINT']}?resource={quote(_management(), safe='')}&api-version=2019-08-01"


def _get(url: str, headers: dict[str, str]) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as answer:  # noqa: S310  # nosec B310  # the platform's own address
        found: bytes = answer.read(1_000_000)
    return found
