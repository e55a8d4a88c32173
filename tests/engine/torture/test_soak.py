"""What the soak would say of a service that fails, and of a process that leaks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pizzeria.torture.leaks import Held, Watch, growth, leaks, living
from pizzeria.torture.traffic import Clients, pages, rows_and_labels

LEAKING = """
import sys, threading, time
held = []
print("up", flush=True)
while True:
    held.append((bytearray(2_000_000), open("/dev/null"), threading.Thread(target=time.sleep, args=(60,), daemon=True)))
    held[-1][2].start()
    time.sleep(0.1)
"""


class Moody(BaseHTTPRequestHandler):
    """Fails each fourth request, and hangs up on each sixth."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        Moody.asked += 1
        if Moody.asked % 6 == 0:
            self.close_connection = True
            return
        body = b"{}"
        self.send_response(500 if Moody.asked % 4 == 0 else 404 if self.path == "/nowhere" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def moody() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Moody) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_answer_that_is_not_right_is_a_failure(moody: str) -> None:
    clients = Clients(moody, [pages], count=1, pause_s=0.001, seed=0)
    with clients:
        while clients.seen.requests < 24:
            time.sleep(0.01)
    seen = clients.seen
    failed = sum(count for what, count in seen.answers.items() if what.endswith((" 500", " none")))
    assert seen.failures == failed
    assert 7 <= failed <= seen.requests / 2  # 1 of 4 and 1 of 6, of which some are the same
    assert any("RemoteProtocolError" in text for text in seen.failed)


def test_an_answer_without_predictions_is_a_failure(moody: str) -> None:
    clients = Clients(moody, [rows_and_labels], count=1, pause_s=0.001, seed=0)
    with clients:
        while clients.seen.requests < 12:
            time.sleep(0.01)
    assert any("KeyError: 'predictions'" in text for text in clients.seen.failed)


def test_a_process_that_leaks_is_found(tmp_path: Path) -> None:
    environment = os.environ | {"PIZZERIA_STORE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", LEAKING], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            with Watch(tmp_path, every_s=0.1) as watch:
                until = time.monotonic() + 120
                while len(found := leaks(watch.found(), warm_up_s=0)) < 3 and time.monotonic() < until:
                    time.sleep(0.1)
                assert [one.pid for one in living(tmp_path)] == [process.pid]
        finally:
            process.kill()
    assert {text.split(": ")[1].split(" ")[0] for text in found} == {"memory_mb", "files", "threads"}
    assert living(tmp_path) == []


def test_what_goes_up_and_down_is_no_leak() -> None:
    draw = random.Random(0)
    samples = [Held(i, 200 + draw.gauss(0, 5), 30 + draw.randrange(3), 8) for i in range(200)]
    assert leaks({"worker 1": samples}) == []


def test_a_warm_up_is_no_leak() -> None:
    samples = [Held(i, 100 + min(i, 20) * 10, 20 + min(i, 10), 4) for i in range(100)]
    assert leaks({"worker 1": samples}) == []


def test_a_worker_that_begins_on_a_busy_machine_is_no_leak() -> None:
    samples = [Held(i / 2, 100 + 45 * (i > 35), 5 + 18 * (i > 35), 2 + 3 * (i > 35)) for i in range(75)]
    assert leaks({"worker 1": samples}) == []
    assert leaks({"worker 1": samples}, warm_up_s=0) != []


def test_of_a_short_life_nothing_is_said() -> None:
    assert growth([Held(i, 100 * i, i, i) for i in range(5)]) == {}
