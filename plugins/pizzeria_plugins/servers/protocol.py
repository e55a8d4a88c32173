"""HTTP on one connection, as uvicorn speaks it, with the bounds that uvicorn lacks.

uvicorn waits for ever for the head of a request, for the rest of a body that was refused and for a client that does not
read its answer; it keeps heads, trailers and pipelined requests of any size, and any number of connections. `Protocol`
bounds each of them, and says what is wrong as the serving contract does: with JSON, and with a status of its own.

| what a client does | what it gets |
|---|---|
| sends no whole head in `HEAD_S` seconds | 408; nothing at all where it did not even begin |
| sends a head or a trailer over `MAX_HEAD` bytes, or more than `MAX_HEADERS` headers | 431 |
| sends no HTTP, or the two lengths of request smuggling | 400 |
| pipelines more than `MAX_PIPELINED` requests | answers to those, then 400 |
| goes on with a body that was answered already | `REST_S` seconds for it, then its connection is closed |
| reads less than `ANSWER_STEP` bytes of its answer in `ANSWER_S` seconds | its connection is reset |
| is one connection more than `MAX_CONNECTIONS` of a worker | the one that has waited longest for its client is closed |
| asks for another protocol (`Upgrade`, WebSocket) | the answer that it would get without asking |
| sends what the service turns away, such as one request too many | the answer at once, without a task of its own |
| has a request at work on SIGTERM | its answer, the last one with `Connection: close` |
| has an idle connection on SIGTERM | `DRAIN_S` seconds for one more request, whose answer says `Connection: close` |

A slow body is the business of `pizzeria_plugins.servers.gate`, and idle connections are uvicorn's own (5 s).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pizzeria.errors import RequestError
from pizzeria.inference.contract import Reply, refusal
from pizzeria_plugins.servers.headers import encode

_MALFORMED = RequestError(400, "bad_http", "this is no HTTP/1.1 request", hint="send a method, a path and headers")
_OTHER_PROTOCOL = (b"upgrade", b"connection", b"http2-settings")


Headers = Sequence[tuple[bytes, bytes]]
TurnAway = Callable[[bytes, bytes, Headers], Reply | None]
"""The answer to a method, a target and headers that need no closer look; None for all others."""


def begin_drain(server_state: ServerState, now: float) -> None:
    """Let all connections of a server end, those included that it has accepted and not opened yet.

    Args:
        now: The event loop's time.
    """
    server_state.draining_since = now  # type: ignore[attr-defined]


def _nobody(method: bytes, target: bytes, headers: Headers) -> Reply | None:
    return None


def install(turn_away: TurnAway = _nobody) -> None:
    """Make this the protocol of every uvicorn server that this process starts without naming another.

    Args:
        turn_away: Asked for each request. A busy service has to say so a thousand times a second, and must have nearly
            all of its time left for those that it let in.
    """
    Protocol.turn_away = turn_away
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Protocol.__name__}"


class Protocol(HttpToolsProtocol):
    """One connection; the bounds are those of the module's table."""

    HEAD_S = 10.0
    REST_S = 5.0
    ANSWER_S = 20.0
    ANSWER_STEP = 65_536
    LINGER_S = 2.0
    """How long a refused client may go on sending: it would see a reset instead of the refusal."""
    DRAIN_S = 3.0
    """How long an idle connection stays open on SIGTERM: its client may be sending just now."""
    LOOK_S = 1.0
    """Time between two looks at a connection, and so how late each of the others may come."""
    MAX_HEAD = 32_768
    MAX_HEADERS = 100
    MAX_PIPELINED = 16
    MAX_CONNECTIONS = 500
    MAX_SKIPPED = 1_000_000
    """A longer body is not skipped when its request is turned away: the application decides what becomes of it."""
    RETRY_AFTER_S = 1.0
    IMPATIENT_S = 0.1
    """Who is turned away and comes again before `RETRY_AFTER_S` has passed is told so much later: a client that asks in
    a tight loop would take the machine from those that were let in."""
    turn_away: ClassVar[TurnAway] = _nobody
    """Asked for each request; see `install`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ws_protocol_class = None
        self._reading: str | None = "head"
        """The part of a request that comes next, `head` or `body`; None between two requests."""
        self._since = self.loop.time()
        """When the client's turn began."""
        self._loose = 0
        """Bytes that came since the last whole head or piece of a body: of a head, of a trailer, of chunk lines."""
        self._running: RequestResponseCycle | None = None
        self._error: RequestError | None = None
        self._refused: RequestError | None = None
        self._closing_since: float | None = None
        self._unread = 0
        self._unread_since = 0.0
        self._upgrade: list[bytes] = []
        self._skipping = False
        """Whether what comes is the body of a request that was turned away."""
        self._turned_away_at = -self.RETRY_AFTER_S
        self._late: bytes | None = None
        """What an impatient client will be told."""
        self._timer: asyncio.TimerHandle | None = None
        self._answered_at = -math.inf
        """When an answer was sent while the server drains."""
        self._last: RequestResponseCycle | None = None
        """While the server drains: the request whose answer says that the connection ends."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.LOOK_S, self._look)
        if len(self.connections) > self.MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._running is not None and self._running is not self.cycle:  # uvicorn tells the last one alone
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            return
        self._unset_keepalive_if_required()
        if self._reading is None:
            self._begin("head")
        self._loose += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(self._error or _MALFORMED)
        else:
            if self._loose > self.MAX_HEAD:
                self._refuse(self._too_large())

    # What the parser calls. Whatever is raised here comes back to `data_received` as an HttpParserCallbackError.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading != "body":  # a trailer's field is no header, and is worth nothing
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._tell_late()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.MAX_HEAD or len(self.headers) > self.MAX_HEADERS:
            self._fail(self._too_large())
        if len(self.pipeline) >= self.MAX_PIPELINED:
            self._fail(
                RequestError(400, "too_many_pipelined", "too many requests at once", hint="wait for their answers")
            )
        if self.parser.should_upgrade():
            self._upgrade = self._head_without_upgrade()
            return
        if self._may_be_turned_away():
            reply = Protocol.turn_away(self.parser.get_method(), self.url, self.headers)
            if reply is not None:
                self._skipping = True
                self._turn_away(self._as_bytes(reply))
        if not self._skipping:
            super().on_headers_complete()
            self._end_after_this()
        self._begin("body")

    def on_body(self, body: bytes) -> None:
        self._loose = 0
        if not self._skipping:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrade:
            return
        self._reading = None
        if self._skipping:
            self._skipping = False
            self.on_response_complete()
        else:
            super().on_message_complete()

    def _turn_away(self, answer: bytes) -> None:
        before, self._turned_away_at = self._turned_away_at, self.loop.time()
        if self._turned_away_at - before >= self.RETRY_AFTER_S:
            self.transport.write(answer)
            return
        self._late = answer
        self.flow.pause_reading()
        self.loop.call_later(self.IMPATIENT_S, self._tell_late)

    def _tell_late(self) -> None:
        """Now; or before the next request on the connection, so that answers keep their order."""
        late, self._late = self._late, None
        if late is not None and not self.transport.is_closing():
            self.flow.resume_reading()
            self.transport.write(late)

    def _may_be_turned_away(self) -> bool:
        """Whether nobody is before it on the connection, it leaves the connection open, and its body is short."""
        if self._busy or self.pipeline or self.expect_100_continue or not self.parser.should_keep_alive():
            return False
        if self._draining_since is not None:  # its answer ends the connection
            return False
        if self.parser.get_http_version() != "1.1":
            return False
        length = b"0"
        for name, value in self.headers:
            if name == b"transfer-encoding":
                return False
            if name == b"content-length":
                length = value
        return length.isdigit() and int(length[:20]) <= self.MAX_SKIPPED

    # What uvicorn calls.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        waiting = bool(self.pipeline)
        super().on_response_complete()
        self._since = self.loop.time()
        if self._draining_since is not None:
            self._answered_at = self._since
        if self._refused is not None and not waiting:
            self._send_refusal(self._refused)

    def shutdown(self) -> None:
        """The server drains. uvicorn's own way closes an idle connection at once, though its client may be sending."""
        if self._draining_since is None:
            begin_drain(self.server_state, self.loop.time())
        self._end_after_this()

    # The end.

    @property
    def _draining_since(self) -> float | None:
        return getattr(self.server_state, "draining_since", None)

    def _end_after_this(self) -> None:
        """While the server drains, let the answer to the latest request say that it is the last one."""
        if self._draining_since is None or self.cycle is None or self.cycle.response_started:
            return  # where an answer has begun without saying so, one more request may follow
        last, self._last = self._last, self.cycle
        if last is not None and last is not self.cycle and not last.response_started:
            last.keep_alive = True  # it was the last one; a pipelined one has come after it
        self.cycle.keep_alive = False

    def _is_drained(self, now: float) -> bool:
        """Whether the server drains, and the client had its time for one more request."""
        since = self._draining_since
        idle = not self._busy and (self._reading is None or (self._reading == "head" and not self._loose))
        return since is not None and idle and now - max(since, self._answered_at) >= self.DRAIN_S

    # The bounds.

    def _begin(self, part: str) -> None:
        self._reading, self._since, self._loose = part, self.loop.time(), 0

    @property
    def _busy(self) -> bool:
        """Whether a request is being answered."""
        running = self._running
        return running is not None and not (running.response_complete or running.disconnected)

    def _look(self) -> None:
        now = self.loop.time()
        self._timer = self.loop.call_later(self.LOOK_S, self._look)
        unread = self.transport.get_write_buffer_size()
        if not unread or not self._unread or unread <= self._unread - self.ANSWER_STEP:
            self._unread, self._unread_since = unread, now
        elif now - self._unread_since > self.ANSWER_S:
            self.transport.abort()
            return
        if self._closing_since is not None:
            if now - self._closing_since > self.LINGER_S:
                self.transport.close()
        elif self._refused is not None or self._busy:
            return
        elif self._is_drained(now):
            self.transport.close()
        elif self._reading == "head" and now - self._since > self.HEAD_S:
            self._give_up_head()
        elif self._reading == "body" and now - self._since > self.REST_S:
            self.transport.close()

    def _give_up_head(self) -> None:
        if not self._loose:  # a browser opens connections ahead of need, and may take a 408 for its next answer
            self.transport.close()
            return
        message = f"the head of the request was not whole after {self.HEAD_S:g} s"
        self._refuse(RequestError(408, "too_slow", message, hint="send it at once"))

    def _make_room(self) -> None:
        """Close whom the service has waited for longest: idle, in its head, or, if there is none, in its body."""
        waiting = [one for one in self.connections if one is not self and isinstance(one, Protocol) and one._evictable]
        if waiting:
            min(waiting, key=lambda one: (one._reading == "body", one._since)).transport.abort()
            return
        self._refuse(RequestError(503, "full", "all connections are at work", hint="come again in a second"))

    @property
    def _evictable(self) -> bool:
        return not self.transport.is_closing() and (self._reading is not None or not self._busy)

    # Refusals.

    def _too_large(self) -> RequestError:
        most = f"{self.MAX_HEAD} bytes and {self.MAX_HEADERS} headers"
        return RequestError(431, "head_too_large", f"the head is larger than {most}", hint="send fewer, shorter ones")

    def _fail(self, error: RequestError) -> None:
        """Stop the parser; `data_received` refuses."""
        self._error = error
        raise error

    def _refuse(self, error: RequestError) -> None:
        """Read no more, answer what was asked before, then refuse and close."""
        self._tell_late()
        self._refused = error
        broken = self.cycle if self._reading == "body" and self.cycle is not None else None
        if broken is not None and not broken.response_complete:
            broken.disconnected = True
            broken.message_event.set()
            if self.pipeline and self.pipeline[0][0] is broken:
                self.pipeline.popleft()
        if self._busy:
            return
        if broken is not None and broken.response_started:
            self._close()
        else:
            self._send_refusal(error)

    def _send_refusal(self, error: RequestError) -> None:
        self.transport.write(self._as_bytes(refusal(error), (b"connection", b"close")))
        self._close()

    def _as_bytes(self, reply: Reply, *more: tuple[bytes, bytes]) -> bytes:
        status = HTTPStatus(reply.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        headers = [*self.server_state.default_headers, *encode(reply), *more]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + reply.body

    def _close(self) -> None:
        """Say that nothing more comes, and go on reading for a while."""
        self._closing_since = self.loop.time()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        else:
            self.transport.close()

    # Upgrades.

    def _head_without_upgrade(self) -> list[bytes]:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._fail(RequestError(400, "no_proxy", "this service is no proxy", hint="send the request to it itself"))
        kept = [name + b": " + value for name, value in self.headers if name not in _OTHER_PROTOCOL]
        return [method + b" " + self.url + b" HTTP/1.1", *kept, b"", b""]

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """A server may ignore that a client would like another protocol; the parser would then lose the body."""
        head, self._upgrade = b"\r\n".join(self._upgrade), []
        self.parser = httptools.HttpRequestParser(self)
        self._loose = 0
        self._reading = None
        self.data_received(head + rest)
