"""The BentoML server keeps the serving contract: started for real, driven over HTTP."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.ports import free_port
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.servers.settings import Settings

pytestmark = pytest.mark.slow
JPEG = {"content-type": "image/jpeg"}


def picture(brightness: int = 200, size: tuple[int, int] = (64, 48)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (brightness,) * 3).save(stream, "JPEG")
    return stream.getvalue()


def error(answer: Any) -> tuple[int, str]:
    told = answer.json()["error"]
    assert set(told) == {"code", "message", "hint"}
    assert told["message"]
    assert "Traceback" not in answer.text
    return answer.status_code, told["code"]


def figure(metrics: str, line: str) -> float:
    return sum(float(one.rpartition(" ")[2]) for one in metrics.splitlines() if one.startswith(line))


def test_it_is_ready_soon_and_says_which_model_answers(service: Any) -> None:
    with service.client as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {
            "status": "ready",
            "sha256": service.release.sha256,
            "name": "amenities",
            "task": "object_detection",
            "log": {"waiting": 0, "dropped": 0, "trouble": False},
        }
    assert service.processor_s < 30


def test_a_photo_is_answered_raw_and_as_a_form_part(service: Any) -> None:
    with service.client as client:
        raw = client.post("/predict", content=picture(), headers=JPEG)
        form = client.post("/predict", files={"photo": ("room.jpg", picture(), "image/jpeg")})
    assert raw.status_code == 200
    assert raw.json() | {"prediction_id": ""} == form.json() | {"prediction_id": ""}
    assert raw.json()["model"] == service.release.sha256
    assert [box["class"] for box in raw.json()["boxes"]] == ["bed", "sofa"]
    assert raw.json()["boxes"][0]["x_max"] == 32, "network pixels times two"


def test_a_listing_is_verified(service: Any) -> None:
    photos = [
        ("photos", ("dark.jpg", picture(10), "image/jpeg")),
        ("photos", ("light.jpg", picture(250), "image/jpeg")),
    ]
    with service.client as client:
        answer = client.post("/verify", files=photos, data={"declared": "bed"})
    assert answer.status_code == 200
    [verdict] = answer.json()["verdicts"]
    assert (verdict["amenity"], verdict["verdict"]) == ("bed", "confirmed")
    assert verdict["evidence"]["photo"] == "light.jpg"
    assert verdict["evidence"]["prediction_id"] == answer.json()["photos"][1]["prediction_id"]
    assert answer.json()["undeclared"][0]["amenity"] == "sofa"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", JPEG, 400),
        (picture()[:300], JPEG, 400),
        (b"\xff\xd8\xff" + b"x" * 1000, JPEG, 400),
        (b"hello", JPEG, 415),
        (b"GIF89a" + b"x" * 100, {"content-type": "image/gif"}, 415),
        (b"{}", {"content-type": "application/json"}, 415),
        (picture(size=(1200, 1200)), JPEG, 413),
        (b"x", {"content-type": "multipart/form-data"}, 400),
        (b"--b\r\n\r\n", {"content-type": "multipart/form-data; boundary=b"}, 400),
    ],
)
def test_bad_input_is_a_4xx_with_a_hint(service: Any, content: bytes, headers: dict[str, str], status: int) -> None:
    with service.client as client:
        assert error(client.post("/predict", content=content, headers=headers))[0] == status
        assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200


def test_a_large_body_is_refused_whether_its_length_is_declared_or_not(service: Any) -> None:
    large = b"\xff\xd8\xff" + b"x" * 3_000_000

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(large), 50_000):
            yield large[at : at + 50_000]

    with service.client as client:
        for content in (large, chunks()):
            assert error(client.post("/predict", content=content, headers=JPEG)) == (413, "too_large")


def test_a_declared_length_is_refused_before_the_body_comes(service: Any) -> None:
    with service.connect() as connection:
        head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 5000000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_wrong_routes_and_methods_are_told_so(service: Any) -> None:
    with service.client as client:
        assert error(client.get("/nowhere"))[0] == 404
        assert error(client.get("/../../etc/passwd"))[0] == 404
        assert error(client.get("/schema.json"))[0] == 404, "BentoML's own routes are not ours"
        refused = client.get("/predict")
        assert error(refused)[0] == 405
        assert refused.headers["allow"] == "POST"
        assert error(client.post("/docs"))[0] == 405
        assert client.head("/").status_code == 200
        assert client.head("/readyz").content == b""


def test_metrics_count_by_route_and_status_without_strangers_paths(service: Any) -> None:
    with service.client as client:
        before = client.get("/metrics").text
        client.post("/predict", content=picture(), headers=JPEG)
        client.post("/predict", content=b"hello", headers=JPEG)
        for i in range(5):
            client.get(f"/strange-{i}")
        after = client.get("/metrics")
    assert after.headers["content-type"].startswith("text/plain; version=")
    for line, more in {
        'pizzeria_requests_total{route="/predict",status="200"}': 1,
        'pizzeria_requests_total{route="/predict",status="415"}': 1,
        'pizzeria_requests_total{route="other",status="404"}': 5,
        'pizzeria_request_seconds_count{route="/predict"}': 2,
    }.items():
        assert figure(after.text, line) == figure(before, line) + more
    assert figure(after.text, "pizzeria_requests_in_flight") == 0
    assert "strange" not in after.text
    assert f'sha256="{service.release.sha256}"' in after.text


def test_each_prediction_is_in_the_log_soon(service: Any) -> None:
    with service.client as client:
        client.post("/predict?input_id=room-7.jpg&listing_id=L1", content=picture(230), headers=JPEG)
        client.post("/predict", content=b"hello", headers=JPEG)
    _until(lambda: "room-7.jpg" in set(service.logged()["input_id"]))
    frame = service.logged()
    row = frame[frame["input_id"] == "room-7.jpg"].iloc[0]
    assert (row["listing_id"], row["sha256"], row["pred:bed"]) == ("L1", service.release.sha256, 1)
    assert 0 < row["latency_ms"] < 30_000
    assert 0.8 < row["feature:brightness"] < 1


def test_the_documentation_names_every_route_and_class(service: Any) -> None:
    with service.client as client:
        page, description = client.get("/docs"), client.get("/openapi.json").json()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for words in ("POST</b> /predict", "POST</b> /verify", "GET</b> /readyz", "bed, sofa", "429", "0.2 MB"):
        assert words in page.text
    assert "{{" not in page.text
    assert description["openapi"].startswith("3.")


def test_the_service_imports_neither_torch_nor_pandas(service: Any) -> None:
    workers = psutil.Process(service.process.pid).children(recursive=True)
    assert workers
    for process in (psutil.Process(service.process.pid), *workers):
        files = " ".join(one.path for one in process.memory_maps())
        assert not [name for name in ("/torch/", "/pandas/", "/matplotlib/") if name in files]
    assert any("onnxruntime" in one.path for one in workers[0].memory_maps())


def test_rows_are_answered_and_refused_by_name(start: Any, tabular_bundle: Path) -> None:
    service = start(tabular_bundle, max_rows=3)
    with service.client as client:
        rows = [{"rooms": 2, "beds": 3, "row_id": "a"}, {"rooms": None, "beds": 1}]
        assert [one["value"] for one in client.post("/predict", json=rows).json()["predictions"]] == [5, 2]
        assert error(client.post("/predict", json=[{"rooms": 1}]))[0] == 422
        assert error(client.post("/predict", json=[{"rooms": 1, "beds": "x"}]))[0] == 422
        assert error(client.post("/predict", json=[rows[1]] * 4))[0] == 413
        bad = client.post("/predict", content=b"{", headers={"content-type": "application/json"})
        assert error(bad)[0] == 400
        assert error(client.post("/predict", content=picture(), headers=JPEG))[0] == 415
        assert "rooms" in client.get("/").text
    service.stop()
    frame = service.logged()
    assert frame["input_id"].tolist() == ["a", ""]
    assert frame["pred"].tolist() == [5, 2]


def test_more_requests_than_allowed_get_429_and_are_not_at_work(start: Any, slow_bundle: Path) -> None:
    service = start(slow_bundle, max_concurrency=2, parallel=1)
    with service.client as client, ThreadPoolExecutor(8) as pool:
        ask = lambda _: client.post("/predict", content=picture(), headers=JPEG)  # noqa: E731
        answers = list(pool.map(ask, range(8)))
        statuses = sorted(one.status_code for one in answers)
        assert statuses.count(200) >= 2
        assert statuses.count(429) >= 1
        assert set(statuses) == {200, 429}
        refused = next(one for one in answers if one.status_code == 429)
        assert refused.headers["retry-after"] == "1"
        assert error(refused) == (429, "busy")
        assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200
        assert figure(client.get("/metrics").text, "pizzeria_requests_in_flight") == 0


def test_slow_answers_and_slow_clients_are_given_up(start: Any, slower_bundle: Path) -> None:
    service = start(slower_bundle, timeout_s=0.05, max_concurrency=1)
    body = picture()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n"

    def trickle() -> Iterator[bytes]:
        yield picture()[:100]
        time.sleep(1)
        yield picture()[100:]

    with service.client as client:
        with service.connect() as connection:  # httpx sends a body after its head, and might be late with it
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b'"timeout"' in answer
        assert error(client.post("/predict", content=picture(), headers=JPEG)) == (429, "busy"), (
            "its thread still works"
        )
        _until(lambda: figure(client.get("/metrics").text, "pizzeria_requests_in_flight") == 0)
        assert error(client.post("/predict", content=trickle(), headers=JPEG)) == (408, "too_slow")


def test_sigterm_answers_what_is_at_work_and_writes_the_log(start: Any, slower_bundle: Path) -> None:
    service = start(slower_bundle, timeout_s=100)
    answers: list[int] = []
    with service.client as client:
        ask = threading.Thread(
            target=lambda: answers.append(
                client.post("/predict?input_id=last", content=picture(), headers=JPEG).status_code
            )
        )
        ask.start()
        _until(lambda: figure(client.get("/metrics").text, "pizzeria_requests_in_flight") == 1)
        workers = psutil.Process(service.process.pid).children(recursive=True)
        service.stop()
        ask.join()
    assert answers == [200]
    assert service.logged()["input_id"].tolist() == ["last"]
    assert not _alive(workers)


def test_workers_follow_a_killed_supervisor_and_keep_what_they_logged(start: Any, detection_bundle: Path) -> None:
    service = start(detection_bundle, workers=2)
    _until(lambda: len(_workers(service)) == 2)  # it is ready when the first one is
    workers = _workers(service)
    with service.client as client:
        client.post("/predict?input_id=one", content=picture(), headers=JPEG)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    _until(lambda: not _alive(workers))
    assert service.logged()["input_id"].tolist() == ["one"]


def test_a_worker_whose_supervisor_is_killed_while_it_starts_ends_too(detection_bundle: Path, tmp_path: Path) -> None:
    rendered = bentoml.render(_release(detection_bundle, tmp_path), "127.0.0.1", free_port())
    with subprocess.Popen(
        rendered.commands[0], env={**os.environ, **rendered.environment}, stderr=subprocess.DEVNULL
    ) as supervisor:
        _until(lambda: psutil.Process(supervisor.pid).children())
        workers = psutil.Process(supervisor.pid).children()
        supervisor.kill()
    _until(lambda: not _alive(workers))


def test_two_workers_count_together(start: Any, detection_bundle: Path) -> None:
    service = start(detection_bundle, workers=2)
    for _ in range(20):
        with service.client as client:
            assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200
    with service.client as client:
        text = client.get("/metrics").text
    assert figure(text, 'pizzeria_requests_total{route="/predict",status="200"}') == 20
    service.stop()
    assert len(service.logged()) == 20


def test_a_log_out_of_order_costs_no_answer(start: Any, detection_bundle: Path, tmp_path: Path) -> None:
    log, written = tmp_path / "log.sqlite", 'pizzeria_prediction_records_total{outcome="written"'
    service = start(detection_bundle, log=PredictionLog(options=sqlite.Options(path=str(log), busy_timeout_s=0.1)))
    with service.client as client:
        client.post("/predict", content=picture(), headers=JPEG)
        _until(lambda: figure(client.get("/metrics").text, written) == 1)
        with closing(sqlite3.connect(log, timeout=60)) as stranger:
            stranger.execute("BEGIN EXCLUSIVE")
            assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200
            _until(
                lambda: figure(client.get("/metrics").text, 'pizzeria_prediction_records_total{outcome="failed"') > 0
            )
            stranger.rollback()
        _until(lambda: figure(client.get("/metrics").text, written) == 2)


def test_a_service_that_cannot_load_its_model_ends_and_says_why(detection_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    release = _release(detection_bundle, tmp_path)
    rendered = bentoml.render(release, "127.0.0.1", free_port())
    environment = {**os.environ, **rendered.environment, "PIZZERIA_BUNDLE": str(tmp_path / "bundle")}
    ended = subprocess.run(
        rendered.commands[0], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert f"{tmp_path}/bundle" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "the service cannot start" in ended.stdout + ended.stderr


def test_render_is_pure_and_says_all_in_the_environment(detection_bundle: Path, tmp_path: Path) -> None:
    rendered = bentoml.render(_release(detection_bundle, tmp_path), "127.0.0.1", 3123)
    (command,) = rendered.commands
    assert command[:5] == [sys.executable, "-m", "bentoml", "serve", "pizzeria_plugins.servers.service:service"]
    assert command[command.index("--port") + 1] == "3123"
    assert rendered.environment["BENTOML_DO_NOT_TRACK"] == "True"
    assert rendered.environment["PIZZERIA_BUNDLE"] == str(detection_bundle)
    assert json.loads(rendered.environment["PIZZERIA_SERVICE"])["max_concurrency"] is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("cores", "rows", "processes", "places"), [(2, False, 1, 6), (2, True, 2, 6), (16, False, 4, 48)]
)
def test_workers_and_places_come_from_the_machine(
    monkeypatch: pytest.MonkeyPatch, cores: int, rows: bool, processes: int, places: int
) -> None:
    monkeypatch.setattr("pizzeria.inference.predictor.usable_cores", lambda: cores)
    settings = Settings("/b", 10, 40, 100, None, 30, rows=rows)
    assert (settings.processes, settings.concurrency) == (processes, places)
    assert settings.concurrency_of_worker * processes == places
    assert settings.parallel_of_worker * processes == cores
    assert Settings("/b", 10, 40, 100, 5, 30, workers=3, rows=rows).processes == 3


def test_rows_are_told_apart_when_a_service_is_rendered(detection_bundle: Path, tmp_path: Path) -> None:
    release = replace(_release(detection_bundle, tmp_path), task="tabular_regression")
    rendered = bentoml.render(release, "127.0.0.1", 3123)
    assert json.loads(rendered.environment["PIZZERIA_SERVICE"])["rows"] is True


def _release(bundle: Path, folder: Path) -> Release:
    return Release(
        name="amenities",
        bundle=bundle,
        sha256=open_bundle(bundle).sha256,
        serving=Serving(options=bentoml.Options(), log=PredictionLog(options=sqlite.Options())),
        server=bentoml,
        log_folder=folder / "log",
        state=folder / "state",
    )


def _workers(service: Any) -> list[psutil.Process]:
    found = []
    for one in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [one] if "--fd" in one.cmdline() else []
    return found


def _alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that run; one that nobody has waited for, or that goes while it is looked at, does not."""
    found = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
