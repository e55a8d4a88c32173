"""The Python client against services that run."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pizzeria.client import Client, PhotoAnswer
from pizzeria.errors import DeploymentError, PizzeriaError, RequestError

from ...ports import held_port
from .conftest import Service, Start, bundle_of, describe, detector, photo


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as found:
        yield found


def test_a_photo_is_answered_from_a_file_and_from_bytes(client: Client, service: Service, tmp_path: Path) -> None:
    (tmp_path / "kitchen.jpg").write_bytes(photo(120))
    from_file, from_bytes = client.predict_photo(tmp_path / "kitchen.jpg"), client.predict_photo(photo(120))
    assert from_file.pop("prediction_id") != from_bytes.pop("prediction_id")
    assert from_file == from_bytes
    assert set(from_file) == {"boxes", "presence", "width", "height", "model"}
    assert from_file["model"] == service.release.sha256
    [box] = from_file["boxes"]
    assert set(box) == {"class", "confidence", "score", "x_min", "y_min", "x_max", "y_max"}
    assert len(client.predict_photo(photo(120), min_confidence=0)["boxes"]) == 2


def test_names_reach_the_prediction_log(start: Start, detection_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bath room.jpg").write_bytes(photo())
    service = start(detection_bundle)
    with Client(service.url) as client:
        client.predict_photo(tmp_path / "bath room.jpg", listing_id="7")
        client.predict_photo(photo(), input_id="second")
    service.stop()
    records = service.logged()
    assert list(records["input_id"]) == ["bath room.jpg", "second"]
    assert list(records["listing_id"]) == ["7", ""]


def test_what_is_refused_carries_status_code_and_hint(client: Client) -> None:
    with pytest.raises(RequestError) as refused:
        client.predict_photo(photo()[:200])
    assert (refused.value.status, refused.value.code) == (400, "not_decodable")
    assert refused.value.hint
    with pytest.raises(RequestError) as explained:
        client.predict_photo(photo(), explain=True)
    assert explained.value.status == 422


def test_a_listing_is_verified_from_files_and_from_bytes(client: Client, tmp_path: Path) -> None:
    (tmp_path / "bedroom.jpg").write_bytes(photo(240))
    answer = client.verify([tmp_path / "bedroom.jpg"], ["bed"], listing_id="9")
    [verdict] = answer["verdicts"]
    assert (verdict["amenity"], verdict["verdict"]) == ("bed", "confirmed")
    assert client.verify({"bedroom.jpg": photo(240)}, ["bed"])["verdicts"][0]["probability"] == verdict["probability"]
    with pytest.raises(RequestError, match="jacuzzi"):
        client.verify({"bedroom.jpg": photo()}, ["jacuzzi"])


def test_rows_may_hold_times_and_numbers_of_numpy(start: Start, tabular_bundle: Path) -> None:
    with Client(start(tabular_bundle).url) as client:
        answers = client.predict_rows([{"rooms": np.float32(2), "beds": 1}, {"rooms": None, "beds": np.int64(1)}])
        assert [answer["value"] for answer in answers["predictions"]] == pytest.approx([3, 2])
        with pytest.raises(RequestError, match=r"rows\[0\].rooms: found '2024-01-01T00:00:00\+00:00'"):
            client.predict_rows([{"rooms": datetime(2024, 1, 1, tzinfo=UTC), "beds": 1}])
        with pytest.raises(PizzeriaError, match="which JSON cannot carry"):
            client.predict_rows([{"rooms": object(), "beds": 1}])


def test_another_model_than_the_expected_one_is_refused(service: Service) -> None:
    sha256 = service.release.sha256
    for expected in (sha256, sha256[:12]):
        with Client(service.url, expect_sha256=expected) as client:
            assert client.ready()["sha256"] == client.predict_photo(photo())["model"] == sha256
    other = "0" * 12 if sha256[0] != "0" else "1" * 12
    with Client(service.url, expect_sha256=other) as client:
        for ask in (client.ready, lambda: client.predict_photo(photo())):
            with pytest.raises(DeploymentError, match=f"with the model {sha256[:12]}, where {other} is expected"):
                ask()


def test_a_busy_service_is_waited_for(start: Start, tmp_path: Path) -> None:
    detector(tmp_path / "model.onnx", work=4)
    service = start(bundle_of(tmp_path, describe("object_detection"), ("request.jpg", photo())), max_concurrency=1)
    answers: list[PhotoAnswer] = []
    with service.client as plain, Client(service.url, timeout_s=300) as client, ThreadPoolExecutor(3) as pool:
        while 'status="429"' not in plain.get("/metrics").text:  # the three may come one after the other
            answers += pool.map(lambda _: client.predict_photo(photo()), range(3))
    assert len({answer["prediction_id"] for answer in answers}) == len(answers) >= 3


def test_a_server_that_never_answers_is_given_up() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout_s=0.2) as client, pytest.raises(DeploymentError, match="no answer from"):
            client.ready()


def test_a_key_is_sent(start: Start, detection_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITCHEN_KEYS", "basil-basil-basil-basil-basil-basil,oregano-oregano-oregano-oregano")
    service = start(detection_bundle, keys_from="KITCHEN_KEYS")
    with Client(service.url, "oregano-oregano-oregano-oregano") as client:
        assert client.predict_photo(photo())["model"] == service.release.sha256
    for key, code in ((None, "no_key"), ("thyme", "wrong_key")):
        with Client(service.url, key) as client, pytest.raises(RequestError) as refused:
            client.predict_photo(photo())
        assert (refused.value.status, refused.value.code) == (401, code)


def test_where_no_service_is_the_error_says_how_to_start_one() -> None:
    with (
        held_port() as free,
        Client(f"http://127.0.0.1:{free}") as client,
        pytest.raises(DeploymentError, match="no service answers") as none,
    ):
        client.ready()
    assert "pizzeria serve" in none.value.hint


class _Cook(http.server.BaseHTTPRequestHandler):
    """Hangs up on the first request, and answers the others with `page`."""

    page = b"<h1>It works</h1>"
    hung_up = 0

    def do_GET(self) -> None:
        if not type(self).hung_up:
            type(self).hung_up = 1
            self.connection.close()
            return
        self.send_response(200 if self.page.startswith(b"{") else 404)
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _cooking(answer: bytes) -> Iterator[str]:
    cook = type("Cook", (_Cook,), {"page": answer})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), cook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_breaks_is_tried_again() -> None:
    ready = b'{"status": "ready", "sha256": "12345678", "name": "rooms", "task": "image_classification"}'
    with _cooking(ready) as url, Client(url) as client:
        assert client.ready()["name"] == "rooms"
    with _cooking(ready) as url, Client(url, retries=0) as client, pytest.raises(DeploymentError):
        client.ready()


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"<h1>It works</h1>", RequestError, "answers with 404 and no JSON as Pizzeria sends it"),
        (b'{"ok": true}', DeploymentError, "does not say which model answered"),
    ],
)
def test_another_server_is_told_from_a_service(answer: bytes, kind: type[PizzeriaError], text: str) -> None:
    with _cooking(answer) as url, Client(url) as client, pytest.raises(kind, match=text):
        client.ready()


@pytest.mark.parametrize(
    ("url", "more", "text"),
    [
        ("localhost:3000", {}, "'localhost:3000' is no address of a service"),
        ("http://127.0.0.1:3000", {"api_key": "two\nlines"}, "the API key is empty, or holds"),
        ("http://127.0.0.1:3000", {"expect_sha256": "latest"}, "'latest' is no sha256"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(url: str, more: dict[str, str], text: str) -> None:
    with pytest.raises(PizzeriaError, match=text):
        Client(url, **more)
