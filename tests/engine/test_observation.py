"""What is seen of a service: a small HTTP server that misbehaves in each way, and a real one."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.observation import Counts, Service, observe, quantile, read_counts

from ..plugins.servers import conftest as services

detection_bundle = services.detection_bundle
service = services.service

SAMPLE = ("request.json", b'{"rows": []}')


@contextmanager
def serving(**behaviour: Any) -> Iterator[Service]:
    """A service that answers as told: `statuses` in turn, `model`, `sha256`, `metrics` (a text, or None for a 404)."""
    statuses = list(behaviour.get("statuses", [200]))
    asked: list[dict[str, str]] = behaviour.setdefault("asked", [])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/readyz":
                self.say(200, json.dumps({"sha256": behaviour.get("sha256", "a")}))
            elif behaviour.get("metrics") is None:
                self.say(404, "")
            else:
                self.say(200, behaviour["metrics"])

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(dict(self.headers))
            status = statuses[(len(asked) - 1) % len(statuses)]
            if status == 0:
                self.connection.close()  # no answer
                return
            self.say(status, json.dumps({"model": behaviour.get("model", "a")}))

        def say(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # of connections that are closed on purpose
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Service(f"http://127.0.0.1:{server.server_port}", headers={"Host": "rooms"}, api_key="k" * 16)
        finally:
            server.shutdown()
            thread.join()


def test_golden_requests_alone_count_where_there_are_no_metrics() -> None:
    asked: list[dict[str, str]] = []
    with serving(asked=asked) as one:
        found = observe(one, SAMPLE, 5)
    assert (found.sha256, found.requests, found.errors) == ("a", 5, 0)
    assert 0 < found.p95_ms < 30_000
    assert asked[0]["Host"] == "rooms"
    assert asked[0]["Authorization"] == f"Bearer {'k' * 16}"
    assert asked[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("statuses", "requests", "errors"),
    [([200, 500], 4, 2), ([200, 0], 4, 2), ([200, 422], 4, 2), ([200, 429], 2, 0), ([503], 4, 4), ([429], 0, 0)],
)
def test_what_is_an_error(statuses: list[int], requests: int, errors: int) -> None:
    with serving(statuses=statuses) as one:
        found = observe(one, SAMPLE, 4)
    assert (found.requests, found.errors) == (requests, errors)
    assert math.isnan(found.p95_ms) == (200 not in statuses)


def test_real_traffic_counts_where_the_service_counts_it() -> None:
    with serving(metrics=_metrics(40, 2, 10, 30)) as one:
        found = observe(one, SAMPLE, 3, since=Counts())
    assert (found.requests, found.errors) == (42, 2)
    assert 25 < found.p95_ms < 50


def test_counts_of_another_process_are_not_taken() -> None:
    with serving(metrics=_metrics(1, 1, 1, 0)) as one:  # they do not move, although there were answers
        found = observe(one, SAMPLE, 3)
    assert (found.requests, found.errors) == (3, 0)


def test_another_model_in_an_answer_is_told() -> None:
    with serving(model="b") as one:
        assert observe(one, SAMPLE, 1).sha256 == "b"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://nowhere.invalid"])
def test_nobody_there(address: str) -> None:
    found = observe(Service(address, timeout_s=2), SAMPLE, 2)
    assert (found.sha256, found.requests, found.errors) == ("", 2, 2)


@pytest.mark.parametrize("address", ["no address", "file:///etc/passwd", "http://", "ftp://x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(DeploymentError, match="is no address of a service"):
        Service(address)


@given(st.text())
def test_any_text_may_be_where_metrics_should_be(text: str) -> None:
    read_counts(text)
    read_counts("pizzeria_requests_total{" + text + "} 1\npizzeria_request_seconds_bucket{" + text)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=15), st.floats(0.01, 1))
def test_a_quantile_lies_in_its_bucket(counts: list[int], share: float) -> None:
    limits = [0.001 * 2**i for i in range(len(counts) - 1)] + [math.inf]
    total, buckets = 0, []
    for limit, count in zip(limits, counts, strict=True):
        total += count
        buckets.append((limit, total))
    found = Counts(total, 0, tuple(buckets)).quantile_ms(share)
    if total == 0:
        assert math.isnan(found)
        return
    least = next(i for i, (_, count) in enumerate(buckets) if count >= share * total)
    low = 0.0 if least == 0 else limits[least - 1]
    high = low if math.isinf(limits[least]) else limits[least]
    assert 1000 * low - 1e-6 <= found <= 1000 * high + 1e-6


def test_a_service_that_started_anew_counts_from_nothing() -> None:
    assert Counts(3, 1).since(Counts(10, 0)) == Counts(3, 1)
    assert Counts(12, 1).since(Counts(10, 0)) == Counts(2, 1)
    assert math.isnan(quantile([], 0.95))


@pytest.mark.slow
def test_a_real_service(service: services.Service, detection_bundle: Any) -> None:
    bundle = open_bundle(detection_bundle)
    one = Service(service.url)
    before = one.counts()
    assert before is not None
    found = observe(one, bundle.sample_request(), 4)
    assert (found.sha256, found.requests, found.errors) == (bundle.sha256, 4, 0)
    assert 0 < found.p95_ms < 30_000
    assert observe(one, bundle.sample_request(), 2, since=before).requests == 6
    assert observe(one, ("request.jpg", b"no photo"), 2).errors == 2


def _metrics(good: int, bad: int, fast: int, slow: int) -> str:
    return "\n".join(
        [
            "# TYPE pizzeria_requests_total counter",
            f'pizzeria_requests_total{{route="/predict",status="200"}} {good}.0',
            f'pizzeria_requests_total{{route="/verify",status="503"}} {bad}.0',
            'pizzeria_requests_total{route="/readyz",status="200"} 7777.0',
            f'pizzeria_request_seconds_bucket{{route="/predict",le="0.025"}} {fast}.0',
            f'pizzeria_request_seconds_bucket{{route="/predict",le="0.05"}} {fast + slow}.0',
            f'pizzeria_request_seconds_bucket{{route="/predict",le="+Inf"}} {fast + slow}.0',
        ]
    )
