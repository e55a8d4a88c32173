"""The routes of the serving contract, as an ASGI app before BentoML's own.

They come before BentoML's `/`, `/readyz`, `/healthz` and `/metrics`, whose answers say less than the contract asks, and
before its middleware and its parsing of requests, which halve the throughput.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pizzeria.errors import RequestError
from pizzeria.inference.contract import Reply, refusal
from pizzeria_plugins.servers.gate import (
    DisconnectedError,
    Message,
    Receive,
    TooLargeError,
    TooSlowError,
    compute,
    drain,
    read_body,
)

if TYPE_CHECKING:
    from pizzeria_plugins.servers.worker import Worker

_logger = logging.getLogger("bentoml.pizzeria")

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_HOT = ("/predict", "/verify")
_PLAIN = ("/healthz", "/readyz")
_PAGES = ("/", "/docs", "/openapi.json", "/metrics")


class Routes:
    """Answers every HTTP request; BentoML has the rest, which is the service's start and end."""

    def __init__(self, app: ASGIApp, worker: Worker) -> None:
        self._app, self._worker = app, worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        method, path = scope["method"], scope["path"]
        route = path if path in _HOT or path in _PLAIN or path in _PAGES else "other"
        body = _Body(receive)
        try:
            answer = await self._answer(method, route, scope, body)
        except DisconnectedError:
            return
        except Exception:  # a fault of ours; the client learns that it is, and nothing of our insides
            _logger.exception("%s %s failed", method, route)
            answer = _error(500, "internal", "the service failed on this request", "its log says why")
        self._worker.count(route, answer.status, time.perf_counter() - begun)
        await _send(answer, scope, body, send)

    async def _answer(self, method: str, route: str, scope: Scope, body: _Body) -> Reply:
        if route in _PAGES:
            if method not in ("GET", "HEAD"):
                return refusal(
                    RequestError(405, "wrong_method", f"{route} does not answer {method}", hint="use GET, HEAD")
                )
            return await self._worker.page(route)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        contract = self._worker.contract
        refused = contract.refuse(method, scope["path"], headers)
        if refused is not None:
            return refused
        target = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        if route in _PLAIN:
            return contract.answer(method, target, headers)
        return await self._predict(method, target, headers, body)

    async def _predict(self, method: str, target: str, headers: dict[str, str], body: _Body) -> Reply:
        worker = self._worker
        if not worker.enter():
            message = f"{worker.gate.places} requests are at work, the most there may be"
            return _error(429, "busy", message, "come again after the seconds in Retry-After", {"Retry-After": "1"})
        computing = False
        limit_s = worker.settings.timeout_s
        begun = time.perf_counter()
        try:
            whole = await read_body(body, worker.contract.limits.max_body, limit_s)
            read = time.perf_counter()
            work = partial(worker.answer, method, target, headers, whole, read)
            computing = True  # from here on, the place is given back when the thread is done
            return await compute(worker.pool, work, begun + limit_s - read, worker.leave)
        except TooLargeError:
            return worker.contract.too_large()
        except TooSlowError:
            if computing:
                return _error(504, "timeout", f"no answer after {limit_s:g} s", "try again, with a smaller request")
            return _error(408, "too_slow", f"the body was not whole after {limit_s:g} s", "send a smaller one")
        finally:
            if not computing:
                worker.leave()


class _Body:
    """The request's body, which remembers whether it was read to its end."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.read = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.read = self.read or not message.get("more_body", False)
        return message


def _error(status: int, code: str, message: str, hint: str, headers: Mapping[str, str] | None = None) -> Reply:
    body = {"error": {"code": code, "message": message, "hint": hint}}
    return Reply(status, json.dumps(body).encode(), headers=headers or {})


async def _send(answer: Reply, scope: Scope, body: _Body, send: Send) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()),
    ]
    # The rest of a body of decent size is skipped by uvicorn; of any other one, the connection is closed.
    endless = answer.status in (408, 413) or any(name == b"transfer-encoding" for name, _ in scope["headers"])
    if body.read or not endless:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        return
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    await drain(body)
    await send({"type": "http.response.body", "body": b""})
