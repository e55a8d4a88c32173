"""Ten thousand mutated requests to running services: photos, forms, rows and labels. Each is refused or answered.

The seed is fixed, so that a finding comes back; `PIZZERIA_HOSTILE_SEED` and `PIZZERIA_HOSTILE_REQUESTS` try others.
"""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from .conftest import LONGEST_IDLE_S
from .mutations import Request, good, mutated

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("PIZZERIA_HOSTILE_SEED", "20"))
REQUESTS = int(os.environ.get("PIZZERIA_HOSTILE_REQUESTS", "10000"))
MOST_GROWTH = 120_000_000
"""Bytes by which a worker may grow: its allocator keeps some of the largest requests' memory."""
EXPECTED = {200, 202, 400, 413, 415, 422, 431}


class Wire:
    """One connection that is kept alive as long as the service keeps it."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._socket: socket.socket | None = None
        self._left = b""
        self._idle_since = 0.0

    def ask(self, request: bytes) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        if time.monotonic() - self._idle_since > LONGEST_IDLE_S:
            self.close()
        if self._socket is None:
            self._socket, self._left = self._service.connect(), b""
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._left:
            self._read()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        while len(self._left) < length:
            self._read()
        body, self._left = self._left[:length], self._left[length:]
        assert headers["content-type"] == "application/json"
        if headers.get("connection") == "close":
            self.close()
        self._idle_since = time.monotonic()
        return int(status.split()[1]), json.loads(body)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(65_536)
        assert data, "the connection was closed without an answer"
        self._left += data


def check(request: Request, status: int, body: Any) -> None:
    assert status in EXPECTED, (status, body, request)
    if status == 200:
        assert body["model"], request
        return
    if status == 202:
        assert body["accepted"] >= 1, request
        return
    assert set(body) == {"error"}, request
    assert set(body["error"]) == {"code", "message", "hint"}, request
    assert body["error"]["message"], request
    assert "Traceback" not in body["error"]["message"], request


@pytest.mark.parametrize(("name", "share"), [("service", 0.6), ("tabular_service", 0.4)])
def test_mutated_requests(request: pytest.FixtureRequest, name: str, share: float) -> None:
    service = request.getfixturevalue(name)
    photos = name == "service"
    chance, found = random.Random(SEED), Counter[int]()
    with closing(Wire(service)) as wire:
        for _ in range(50):  # what a worker takes for its first requests is no leak
            assert wire.ask(good(photos).encoded())[0] == 200
        worker, memory = service.worker.pid, service.worker.memory_info().rss
        said = service.output.read_text()
        for _ in range(int(REQUESTS * share)):
            sent = mutated(chance, photos)
            status, body = wire.ask(sent.encoded())
            check(sent, status, body)
            found[status] += 1
        assert {200, 202, 400, 422} <= set(found), found
        assert wire.ask(good(photos).encoded())[0] == 200
    assert service.worker.pid == worker
    growth = service.worker.memory_info().rss - memory
    print(f"seed {SEED}: {dict(found)}, memory {growth / 1e6:+.1f} MB")
    assert growth < MOST_GROWTH
    assert service.output.read_text() == said, "no traceback, and nothing else that strangers could fill a disk with"
