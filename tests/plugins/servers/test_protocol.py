"""What `pizzeria_plugins.servers.protocol` bounds, tried on a real uvicorn server through raw sockets.

The bounds are seconds where the service has tens of them; everything else is as served.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from pizzeria.errors import RequestError
from pizzeria.inference.contract import Reply, refusal
from pizzeria_plugins.servers import protocol
from pizzeria_plugins.servers.gate import Bodies, DisconnectedError, TooLargeError, read_body

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 20_000_000


class Quick(protocol.Protocol):
    """The same with other bounds: patient with a test that a busy machine holds up. A test that is about patience sets
    less of it when what it sent is there."""

    HEAD_S = REST_S = ANSWER_S = RETRY_AFTER_S = 120.0
    LINGER_S = 0.3
    LOOK_S = 0.05
    MAX_CONNECTIONS = 8


class Held:
    """Requests to /held, which wait until they are let go."""

    def __init__(self) -> None:
        self.waiting = 0
        self.go = threading.Event()

    async def wait(self) -> None:
        self.waiting += 1
        while not self.go.is_set():
            await asyncio.sleep(0.01)
        self.waiting -= 1


HELD = Held()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says what came. /large sends a lot, /slow takes its time, /held waits for the test, /early does not wait
    for the body."""
    headers: list[tuple[bytes, bytes]] = []
    status, body = 200, b""
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    if scope["path"] == "/held":
        await HELD.wait()
    if scope["path"] != "/early":
        try:
            with Bodies(10_000_000).room() as room:
                body = await read_body(receive, 100_000, 60, room)
        except DisconnectedError:
            return
        except TooLargeError:
            status = 413
            headers.append((b"connection", b"close"))
    told = {
        "method": scope["method"],
        "path": scope["path"],
        "version": scope["http_version"],
        "body": len(body),
        "headers": [name.decode() for name, _ in scope["headers"]],
    }
    answer = b"x" * LARGE if scope["path"] == "/large" else json.dumps(told).encode()
    headers.append((b"content-length", str(len(answer)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


class Server:
    """uvicorn in a thread of its own."""

    def __init__(self, loop: Any) -> None:
        how = {"http": Quick, "loop": loop, "log_config": None, "lifespan": "off", "server_header": False}
        config = uvicorn.Config(echo, **how, timeout_keep_alive=120)
        self.uvicorn = uvicorn.Server(config)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.socket]})
        self.thread.start()
        until(lambda: self.uvicorn.started)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.socket.getsockname(), timeout=60)

    def open(self) -> int:
        return len(self.uvicorn.server_state.connections)

    def has_part_of_a_head(self) -> bool:
        return any(one._loose for one in list(self.uvicorn.server_state.connections))

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    """A connection to an otherwise idle server."""
    until(lambda: server.open() == 0)
    with contextlib.closing(server.connect()) as connection:
        yield connection


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    out = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65_536):
            out += data
    return bytes(out)


def answers(connection: socket.socket) -> list[tuple[int, Any]]:
    """Status and JSON of each answer until the server closes."""
    left, out = rest(connection), []
    while left:
        head, _, left = left.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        length = next((int(one.split(": ")[1]) for one in lines if one.startswith("content-length")), 0)
        out.append((status, json.loads(left[:length]) if length else None))
        left = left[length:]
    return out


def refused(connection: socket.socket, status: int, code: str) -> None:
    """The last answer is this refusal, and the connection is closed."""
    found, body = answers(connection)[-1]
    assert (found, body["error"]["code"]) == (status, code)
    assert set(body["error"]) == {"code", "message", "hint"}


def close(path: bytes = b"/a", rest_of_head: bytes = b"") -> bytes:
    """A request that ends the connection."""
    return b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + rest_of_head + b"\r\n"


def test_a_connection_on_which_nothing_comes_is_closed_in_silence(
    client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Quick, "HEAD_S", 0.4)
    assert rest(client) == b""


def test_half_a_head_is_a_408(server: Server, client: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    client.sendall(GET[:-2])
    until(server.has_part_of_a_head)
    monkeypatch.setattr(Quick, "HEAD_S", 0.4)
    refused(client, 408, "too_slow")


def test_a_head_that_comes_byte_by_byte_is_a_408(
    server: Server, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip() -> None:
        with contextlib.suppress(OSError):
            for byte in b"GET /" + b"a" * 3_000:
                client.sendall(bytes([byte]))
                time.sleep(0.03)

    feeder = threading.Thread(target=drip)
    feeder.start()
    until(server.has_part_of_a_head)
    monkeypatch.setattr(Quick, "HEAD_S", 0.4)
    refused(client, 408, "too_slow")
    client.close()
    feeder.join()


def test_empty_lines_instead_of_a_head_are_given_up_too(
    server: Server, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.sendall(GET)
    first = b""
    while not first.endswith(b"}"):
        first += client.recv(65_536)
    assert first.startswith(b"HTTP/1.1 200 ")
    client.sendall(b"\r\n")
    until(server.has_part_of_a_head)
    monkeypatch.setattr(Quick, "HEAD_S", 0.4)
    for _ in range(40):
        with contextlib.suppress(OSError):
            client.sendall(b"\r\n")
            time.sleep(0.02)
    refused(client, 408, "too_slow")


def test_half_open_heads_keep_nobody_out(server: Server, client: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4 * Quick.MAX_CONNECTIONS):
            stack.enter_context(contextlib.closing(server.connect())).sendall(b"GET / HT")
            until(lambda: server.open() <= Quick.MAX_CONNECTIONS + 1)  # who has to go does so in the loop's next turn
        mine = stack.enter_context(contextlib.closing(server.connect()))
        mine.sendall(close())
        assert [status for status, _ in answers(mine)] == [200]


def test_one_connection_too_many_is_a_503_when_all_others_are_at_work(server: Server, client: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(contextlib.closing(server.connect())) for _ in range(Quick.MAX_CONNECTIONS - 1)]
        HELD.go.clear()
        stack.callback(HELD.go.set)
        for one in (client, *busy):
            one.sendall(close(b"/held"))
        until(lambda: HELD.waiting == Quick.MAX_CONNECTIONS)
        refused(stack.enter_context(contextlib.closing(server.connect())), 503, "full")
        HELD.go.set()
        for one in (client, *busy):
            assert [status for status, _ in answers(one)] == [200]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNever-ends: " + b"a" * 400_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"Many: 1\r\n" * 101 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"x" * 400_000,
    ],
)
def test_large_heads_are_a_431(client: socket.socket, head: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        client.sendall(head)
    refused(client, 431, "head_too_large")


def test_a_head_of_decent_size_is_welcome(client: socket.socket) -> None:
    client.sendall(close(b"/" + b"a" * 8_000, b"X: " + b"b" * 20_000 + b"\r\n"))
    assert [status for status, _ in answers(client)] == [200]


CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_trailers_are_bounded_and_no_headers(client: socket.socket) -> None:
    client.sendall(CHUNKED + b"3\r\nabc\r\n0\r\nX-Api-Key: stolen\r\n\r\n" + close())
    first, _ = answers(client)
    assert first == (200, first[1] | {"body": 3, "headers": ["host", "transfer-encoding"]})


@pytest.mark.parametrize("trailer", [b"A: b\r\n" * 100_000, b"A: " + b"b" * 400_000])
def test_endless_trailers_are_a_431(client: socket.socket, trailer: bytes) -> None:
    client.sendall(CHUNKED + b"0\r\n")
    with contextlib.suppress(ConnectionError):
        for at in range(0, len(trailer), 10_000):
            client.sendall(trailer[at : at + 10_000])
            time.sleep(0.001)
    refused(client, 431, "head_too_large")


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"G\xcbT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello",
        b"POST /a HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /a HTTP/1.1\r\nContent-Length: 5x\r\n\r\nhello",
        b"POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
        CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffffff\r\nabc",
    ],
)
def test_what_is_no_http_is_a_400(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    found, body = answers(client)[0]
    assert found == 400
    assert body["error"]["code"] in ("bad_http", "no_proxy")


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"Content-Length: 4\r\nContent-Length: 40",
        b"Content-Length: 4, 40",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding:\x0bchunked",
        b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4",
    ],
)
def test_two_ways_to_tell_a_length_are_refused(client: socket.socket, lengths: bytes) -> None:
    """What a proxy before the service and the service itself might read differently."""
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    client.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n\r\n" + smuggled)
    found = answers(client)
    assert [status for status, _ in found] == [400]


def test_pipelined_requests_are_answered_in_their_order(client: socket.socket) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    post = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    client.sendall(slow + GET + post + close(b"/c"))
    found = answers(client)
    assert [(status, body["path"], body["body"]) for status, body in found] == [
        (200, "/slow", 0),
        (200, "/a", 0),
        (200, "/b", 3),
        (200, "/c", 0),
    ]


def test_endless_pipelining_is_refused_after_the_first_answers(client: socket.socket) -> None:
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 1_000)
    found = answers(client)
    assert [status for status, _ in found] == [200] * (Quick.MAX_PIPELINED + 1) + [400]
    assert found[-1][1]["error"]["code"] == "too_many_pipelined"


def test_a_fault_after_a_request_does_not_stand_before_its_answer(client: socket.socket) -> None:
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + b"\x00\x01\x02\r\n\r\n" + GET)
    assert [status for status, _ in answers(client)] == [200, 400]


def test_a_fault_in_a_pipelined_body_is_told_in_its_turn(client: socket.socket) -> None:
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + CHUNKED + b"zz\r\n")
    assert [status for status, _ in answers(client)] == [200, 400]


def test_a_body_that_goes_on_after_its_answer_is_given_up(
    client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Quick, "REST_S", 0.4)
    client.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")

    def drip() -> None:
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                client.sendall(b"x")
                time.sleep(0.01)

    feeder = threading.Thread(target=drip)
    feeder.start()
    assert [status for status, _ in answers(client)] == [200]
    client.close()
    feeder.join()


def test_a_refused_body_of_decent_size_keeps_the_connection(client: socket.socket) -> None:
    client.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000 + close())
    assert [(status, body["path"]) for status, body in answers(client)] == [(200, "/early"), (200, "/a")]


def full(method: bytes, target: bytes, headers: Any) -> Reply | None:
    """Turns away whatever goes to /full."""
    busy = RequestError(429, "busy", "full", hint="come again")
    return refusal(busy) if target == b"/full" else None


def post(path: bytes, length: int = 3, more: bytes = b"") -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + more
    return head + b"Content-Length: %d\r\n\r\n" % length + b"x" * length


def turned_away(client: socket.socket, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> list[tuple[int, Any]]:
    monkeypatch.setattr(protocol.Protocol, "turn_away", full)
    client.sendall(sent)
    return [(status, body.get("path", body.get("error", {}).get("code"))) for status, body in answers(client)]


def test_who_is_turned_away_may_go_on(client: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = post(b"/full", 50_000) + post(b"/b") + close()
    assert turned_away(client, monkeypatch, sent) == [(429, "busy"), (200, "/b"), (200, "/a")]


def test_answers_keep_their_order_when_an_impatient_client_pipelines(
    client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = slow + post(b"/full") * 2 + post(b"/b") + post(b"/full") * 2 + close(b"/c")
    found = turned_away(client, monkeypatch, sent)
    assert found[0] == (200, "/slow")
    # Behind another request on its connection, one is not turned away here, but waits for the application.
    assert [path for status, path in found if status == 200] == [
        "/slow",
        "/full",
        "/full",
        "/b",
        "/full",
        "/full",
        "/c",
    ]


def test_an_impatient_client_is_told_later(client: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.Protocol, "turn_away", full)
    for _ in range(3):
        begun = time.monotonic()
        client.sendall(post(b"/full", 50_000))
        head = client.recv(65_536)
        assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        waited = time.monotonic() - begun
    assert waited >= 0.9 * Quick.IMPATIENT_S
    client.sendall(post(b"/full") + post(b"/full") + close())  # told at once, before the next one
    assert [status for status, _ in answers(client)] == [429, 429, 200]


@pytest.mark.parametrize(
    "sent",
    [
        post(b"/full", 1_000_001),
        b"POST /full HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        post(b"/full", more=b"Connection: close\r\n"),
        b"POST /full HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_what_cannot_be_skipped_is_for_the_application(
    client: socket.socket, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    found = turned_away(client, monkeypatch, sent if b"close" in sent or b"1.0" in sent else sent + close())
    assert found[0] in [(200, "/full"), (413, "/full")]


def test_a_client_that_never_reads_is_let_go(
    server: Server, client: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.sendall(GET.replace(b"/a", b"/large"))
    client.recv(10)
    assert server.open() == 1
    monkeypatch.setattr(Quick, "ANSWER_S", 0.5)
    until(lambda: server.open() == 0)


def test_a_client_that_reads_gets_a_large_answer_whole(client: socket.socket) -> None:
    client.sendall(close(b"/large"))
    assert len(rest(client).partition(b"\r\n\r\n")[2]) == LARGE


def test_expect_100_continue(client: socket.socket) -> None:
    client.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"abc" + close())
    assert [(status, body["body"]) for status, body in answers(client)] == [(200, 3), (200, 0)]


def test_http_1_0_is_answered_and_closed(client: socket.socket) -> None:
    client.sendall(b"GET /a HTTP/1.0\r\n\r\n")
    assert answers(client)[0][1]["version"] == "1.0"


def test_absolute_targets_are_read_as_paths(client: socket.socket) -> None:
    client.sendall(close(b"http://example.com/a?b=c"))
    assert answers(client)[0][1]["path"] == "/a"


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ],
)
@pytest.mark.parametrize("body", [b"", b"hello"])
def test_other_protocols_are_passed_over_and_bodies_kept(client: socket.socket, upgrade: bytes, body: bytes) -> None:
    """Java's client asks for HTTP/2 with every first request."""
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    method = b"POST" if body else b"GET"
    client.sendall(method + b" /a HTTP/1.1\r\nHost: x\r\n" + upgrade + length + b"\r\n" + body[:2])
    if body:
        time.sleep(0.1)
        client.sendall(body[2:])
    client.sendall(close(b"/b"))
    assert [(status, told["path"], told["body"]) for status, told in answers(client)] == [
        (200, "/a", len(body)),
        (200, "/b", 0),
    ]


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes(client: socket.socket) -> None:
    client.sendall(CHUNKED)
    with contextlib.suppress(ConnectionError):
        for _ in range(20):
            client.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
    assert answers(client)[0][0] == 413
