"""The routes of the serving contract, as an ASGI app before BentoML's own.

They come before BentoML's `/`, `/readyz`, `/healthz` and `/metrics`, whose answers say less than the contract asks, and
before its middleware and its parsing of requests, which halve the throughput.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pizzeria.errors import RequestError, nearest
from pizzeria.inference.contract import ROUTES, Reply, refusal
from pizzeria_plugins.servers.gate import (
    BusyError,
    DisconnectedError,
    Message,
    Receive,
    TooLargeError,
    TooSlowError,
    compute,
    drain,
    read_body,
)
from pizzeria_plugins.servers.headers import encode

if TYPE_CHECKING:
    from pizzeria_plugins.servers.worker import Worker

_logger = logging.getLogger("bentoml.pizzeria")

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

METRICS = "/metrics"
_HOT = ("/predict", "/verify")
_FEEDBACK = "/feedback"
_LOCKED = (*_HOT, _FEEDBACK, METRICS)
"""What a key opens; whether the service lives, and its pages, are for everybody."""


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
        methods = self._methods(path)
        label = _label(path) if methods else "other"  # the metrics know routes, not whatever strangers ask for
        headers = _texts(scope["headers"])
        body = _Body(receive)
        try:
            answer = await self._answer(method, path, methods, scope["query_string"], headers, body)
        except RequestError as error:
            answer = refusal(error)
        except DisconnectedError:
            return
        except Exception:  # a fault of ours; the client learns that it is, and nothing of our insides
            _logger.exception("%s %s failed", method, label)
            answer = _failure(500, "internal", "the service failed on this request", "its log says why")
        seconds = time.perf_counter() - begun
        self._worker.count(label, answer.status, seconds)
        await _send(self._worker.cors.share(answer, headers), seconds, headers, body, send)

    def turn_away(self, method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Reply | None:
        """429 for one prediction too many; see `pizzeria_plugins.servers.protocol.TurnAway`."""
        worker = self._worker
        if method != b"POST" or not worker.is_open or not worker.gate.full:
            return None
        path = target.partition(b"?")[0].decode("latin-1")
        if path not in _HOT or (worker.settings.cors and any(name == b"origin" for name, _ in headers)):
            return None  # another site's page could not read it
        if worker.keys is not None:
            try:
                worker.keys.check(_texts(headers))
            except RequestError:
                return None  # strangers get their 401, and do not learn that the service is busy
        worker.count(path, 429, 0.0)
        return _busy(worker.gate.places)

    def _methods(self, path: str) -> Sequence[str]:
        """The methods that a path answers; none if there is no such path."""
        worker = self._worker
        if path in ROUTES:
            return ROUTES[path]
        there = worker.settings.metrics if path == METRICS else path in worker.pages.paths()
        return ("GET", "HEAD") if there else ()

    async def _answer(
        self, method: str, path: str, methods: Sequence[str], query: bytes, headers: Mapping[str, str], body: _Body
    ) -> Reply:
        worker = self._worker
        worker.hosts.check(path, headers)
        if not methods:  # decided here alone: what the contract would make of another spelling needs no key
            shown = path[:100]
            raise RequestError(404, "not_found", f"there is no {shown}", hint=nearest(shown, ROUTES))
        preflight = worker.cors.preflight(method, headers, methods)
        if preflight is not None:
            return preflight
        if worker.keys is not None and path in _LOCKED:
            worker.keys.check(headers)
        if path not in ROUTES:
            return await self._get(method, path, methods, headers)
        refused = worker.contract.refuse(method, path, headers)
        if refused is not None:
            return refused
        target = f"{path}?{query.decode('latin-1')}" if query else path
        if method != "POST":
            return worker.contract.answer(method, target, headers)
        return await self._work(path, target, headers, body)

    async def _get(self, method: str, path: str, methods: Sequence[str], headers: Mapping[str, str]) -> Reply:
        if method not in methods:
            allowed = ", ".join(methods)
            error = RequestError(405, "wrong_method", f"{path} does not answer {method}", hint=f"use {allowed}")
            return replace(refusal(error), headers={"Allow": allowed})
        return await self._worker.metrics() if path == METRICS else self._worker.pages.answer(path, headers)

    async def _work(self, path: str, target: str, headers: Mapping[str, str], body: _Body) -> Reply:
        worker = self._worker
        labels = path == _FEEDBACK
        gate, pool = (worker.label_gate, worker.label_pool) if labels else (worker.gate, worker.pool)
        enter, leave = (gate.enter, gate.leave) if labels else (worker.enter, worker.leave)
        limit_s = worker.settings.timeout_s
        begun = time.perf_counter()
        try:
            with worker.bodies.room() as room:
                if gate.full:  # a body that could not be answered need not come
                    raise BusyError
                whole = await read_body(body, worker.contract.limits.max_body, limit_s, room)
                if not enter():
                    raise BusyError
                read = time.perf_counter()
                work = partial(worker.answer, "POST", target, headers, whole, read)
                # The place is given back when the thread is done, which may be after the client was given up.
                return await compute(pool, work, begun + limit_s - read, leave)
        except BusyError:
            return _busy(gate.places)
        except TooLargeError:
            return worker.contract.too_large()
        except TooSlowError:
            if body.read:
                return _failure(504, "timeout", f"no answer after {limit_s:g} s", "try again, with a smaller request")
            message = f"the body was not whole after {limit_s:g} s"
            raise RequestError(408, "too_slow", message, hint="send a smaller one") from None


@cache
def _busy(places: int) -> Reply:
    message = f"{places} requests are at work, the most there may be"
    return refusal(RequestError(429, "busy", message, hint="come again after the seconds in Retry-After"))


class _Body:
    """The request's body, which remembers whether it was read to its end."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.read = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.read = self.read or not message.get("more_body", False)
        return message


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def _label(path: str) -> str:
    return "/assets" if path.startswith("/assets/") else path


def _failure(status: int, code: str, message: str, hint: str) -> Reply:
    return Reply(status, json.dumps({"error": {"code": code, "message": message, "hint": hint}}).encode())


async def _send(answer: Reply, seconds: float, asked: Mapping[str, str], body: _Body, send: Send) -> None:
    headers = encode(answer)
    headers.append((b"server-timing", b"total;dur=%.1f" % (1000 * seconds)))
    # The rest of a body of decent size is skipped by uvicorn; of any other one, the connection is closed.
    endless = answer.status in (408, 413) or "transfer-encoding" in asked or "expect" in asked
    if body.read or not endless:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        return
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    await drain(body)
    await send({"type": "http.response.body", "body": b""})
