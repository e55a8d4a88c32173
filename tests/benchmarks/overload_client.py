"""A load generator that costs little: requests are written as ready bytes, and of answers only the status is read.

Open loop: requests leave at random moments of a given mean rate, whether or not earlier ones are answered, as those of
many strangers do. Closed loop: each connection sends its next request when the last one is answered, whatever the
answer was.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MOST_CONNECTIONS = 1000
_LATEST_S = 20.0
"""After the end, so long is waited for the last answers."""


@dataclass
class Outcome:
    """What came of a load.

    Attributes:
        statuses: How many answers had which HTTP status; `broken` connections and requests `unsent` for lack of a free
            connection are there too.
        times: Seconds to the answer, of those answered with 200.
        moments: When those were sent (`time.perf_counter`).
        seconds: How long requests were sent.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def goodput(self) -> float:
        """Answers with 200 in a second."""
        return len(self.times) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Of the times, in milliseconds."""
        ordered = sorted(self.times)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._head = b""
        self._missing = 0
        self._begun = 0.0
        self._status = ""
        self._last = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    def send(self, request: bytes) -> None:
        assert self.transport is not None
        self._begun = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            found = _LENGTH.search(head)
            self._status, self._missing, self._head = head[9:12].decode(), int(found[1]) if found else 0, b""
            self._last = _CLOSE.search(head) is not None
        self._missing -= len(data)
        if self._missing <= 0:
            status, self._status = self._status, ""
            self._load.answered(self, status, self._begun, last=self._last)

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(self)


class _Load:
    def __init__(self, host: str, port: int, requests: Sequence[bytes], *, closed: bool, keep: bool = True) -> None:
        self._host, self._port, self._requests, self._closed, self._keep = host, port, requests, closed, keep
        self._at = 0
        self._idle: deque[_Connection] = deque()
        self._busy: set[_Connection] = set()
        self.outcome = Outcome()
        self.ended = False

    async def connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), self._host, self._port)
        return connection

    def send(self, connection: _Connection) -> None:
        self._busy.add(connection)
        connection.send(self._requests[self._at % len(self._requests)])
        self._at += 1

    async def send_new(self) -> None:
        """On an idle connection, or a new one."""
        if self._idle:
            self.send(self._idle.popleft())
        elif len(self._busy) < _MOST_CONNECTIONS:
            try:
                self.send(await self.connect())
            except OSError:
                self.outcome.statuses["broken"] += 1
        else:
            self.outcome.statuses["unsent"] += 1

    def answered(self, connection: _Connection, status: str, begun: float, *, last: bool) -> None:
        self.outcome.statuses[status] += 1
        if status == "200":
            self.outcome.times.append(time.perf_counter() - begun)
            self.outcome.moments.append(begun)
        self._busy.discard(connection)
        if last or not self._keep:
            if connection.transport is not None:
                connection.transport.close()
        elif self._closed and not self.ended:
            self.send(connection)
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        if connection in self._busy:
            self._busy.discard(connection)
            self.outcome.statuses["broken"] += 1
        elif connection in self._idle:
            self._idle.remove(connection)

    async def finish(self, begun: float) -> Outcome:
        """Let the last answers come in; they count, as the time for them does not."""
        self.outcome.seconds = time.perf_counter() - begun
        self.ended = True
        for _ in range(int(_LATEST_S / 0.02)):
            if not self._busy:
                break
            await asyncio.sleep(0.02)
        self.outcome.statuses["broken"] += len(self._busy)
        for connection in [*self._idle, *self._busy]:
            if connection.transport is not None:
                connection.transport.abort()
        return self.outcome


async def closed_loop(host: str, port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Outcome:
    """Load from so many connections, each of which never waits."""
    load = _Load(host, port, requests, closed=True)
    begun = time.perf_counter()
    for connection in [await load.connect() for _ in range(connections)]:
        load.send(connection)
    await asyncio.sleep(seconds)
    return await load.finish(begun)


async def open_loop(
    host: str,
    port: int,
    requests: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    keep: bool = True,
    stop: asyncio.Event | None = None,
) -> Outcome:
    """Requests at a mean `rate` a second, at the moments of a Poisson process.

    Args:
        keep: Whether a connection serves for more than one request.
        stop: Ends it sooner.
    """
    load = _Load(host, port, requests, closed=False, keep=keep)
    rng = random.Random(0)
    begun = due = time.perf_counter()
    opening: set[asyncio.Task[None]] = set()
    while (now := time.perf_counter()) < begun + seconds and not (stop is not None and stop.is_set()):
        while due <= now:
            task = asyncio.create_task(load.send_new())
            opening.add(task)
            task.add_done_callback(opening.discard)
            due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await asyncio.gather(*opening)
    return await load.finish(begun)


async def watch(host: str, port: int, path: str, *, every_s: float, stop: asyncio.Event) -> Outcome:
    """Ask for `path` now and then, each time on a new connection, until `stop` is set."""
    outcome = Outcome()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    begun = time.perf_counter()
    while not stop.is_set():
        asked = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            status = answer[9:12].decode() or "broken"
        except (OSError, TimeoutError):
            status = "broken"
        outcome.statuses[status] += 1
        if status == "200":
            outcome.times.append(time.perf_counter() - asked)
        await asyncio.sleep(every_s)
    outcome.seconds = time.perf_counter() - begun
    return outcome
