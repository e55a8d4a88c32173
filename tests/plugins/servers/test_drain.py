"""SIGTERM: what was begun is answered, what open connections send is answered, and nobody else is let in."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from .conftest import LONGEST_IDLE_S, Service, Start, photo

pytestmark = pytest.mark.slow

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def predict(body: bytes) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    body = answer.read()
    return answer.status, {name.lower(): value.lower() for name, value in answer.headers.items()}, body


def at_work(service: Service, count: int) -> None:
    """Wait until so many requests are at work."""
    with service.client as client:
        while f"in_flight {count}.0" not in client.get("/metrics").text:
            time.sleep(0.02)


def until_refused(service: Service) -> None:
    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
        while True:
            service.connect().close()
            time.sleep(0.02)


def test_everything_begun_is_answered(slower_bundle: Path, start: Start) -> None:
    service = start(slower_bundle, workers=1, parallel=2, unlogged=True, timeout_s=100)
    body = photo()
    with contextlib.ExitStack() as stack:
        working, pipelining, uploading, idle, fresh, silent = (stack.enter_context(service.connect()) for _ in range(6))
        working.sendall(predict(body))
        pipelining.sendall(predict(body) + REQUEST)
        upload = predict(body)
        uploading.sendall(upload[:-100])
        at_work(service, 2)
        for one in (idle, silent):  # now, as the service closes an idle connection after 5 s
            one.sendall(REQUEST)
            assert "connection" not in read_answer(one)[1]
        service.process.send_signal(signal.SIGTERM)
        until_refused(service)
        idle.sendall(REQUEST)
        fresh.sendall(REQUEST)
        uploading.sendall(upload[-100:])
        for one in (working, idle, fresh, uploading):
            status, headers, _ = read_answer(one)
            assert (status, headers["connection"]) == (200, "close")
            assert one.recv(1) == b""
        with pipelining.makefile("rb") as stream:
            answers = stream.read().lower().split(b"http/1.1 200 ok")
        assert len(answers) == 3
        assert [b"connection: close" in answer for answer in answers] == [False, False, True]
        assert silent.recv(1) == b"", "it had its time"
        service.process.wait(120)
    assert "Traceback" not in service.output.read_text()


def test_a_client_that_keeps_its_connection_loses_nothing(detection_bundle: Path, start: Start) -> None:
    service = start(detection_bundle, workers=2)
    body, lost, answered = photo(), [], []
    ready = threading.Barrier(7)

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
        with contextlib.closing(connection):
            connection.connect()
            ready.wait()
            answered_at = time.monotonic()
            while time.monotonic() - answered_at < LONGEST_IDLE_S:
                try:
                    connection.request("POST", "/predict", body, {"Content-Type": "image/jpeg"})
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException) as error:
                    lost.append(repr(error))
                    return
                answered_at = time.monotonic()
                answered.append(answer.status)
                if answer.getheader("Connection") == "close":
                    return

    clients = [threading.Thread(target=ask) for _ in range(6)]
    for client in clients:
        client.start()
    ready.wait()
    while len(answered) < 30 and any(client.is_alive() for client in clients):
        time.sleep(0.01)
    service.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join()
    service.process.wait(120)
    assert lost == []
    assert set(answered) <= {200, 429}
    assert len(service.logged()) == answered.count(200), "what was answered last is logged, too"
