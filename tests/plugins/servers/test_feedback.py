"""`POST /feedback` on real services: what was accepted is kept, whatever becomes of the service, and nobody waits."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from pizzeria import scaffolding
from pizzeria.client import Client
from pizzeria.errors import RequestError
from pizzeria.spec.stages import PredictionLog
from pizzeria_plugins.prediction_logs import lines, postgresql, sqlite
from pizzeria_plugins.servers.settings import Settings
from pizzeria_plugins.servers.worker import Worker

from ..prediction_logs.conftest import Server, database, server
from .conftest import Service, Start, photo

__all__ = ["database", "server"]
JPEG = {"content-type": "image/jpeg"}


def predict(client: httpx.Client, name: str = "a.jpg") -> str:
    answer = client.post(f"/predict?input_id={name}", content=photo(), headers=JPEG)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["prediction_id"]
    return found


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code, error
    assert error["hint"]
    return str(error["message"])


def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_label_is_there_before_the_answer_and_outlives_kill_9(start: Start, detection_bundle: Path) -> None:
    service = start(detection_bundle)
    with service.client as client:
        name = predict(client)
        box = {"class": "sofa", "x_min": 1, "y_min": 2, "x_max": 30, "y_max": 40}
        until(lambda: len(service.logged()) == 1)
        answer = client.post("/feedback", json={"prediction_id": name, "boxes": [box], "source": "Anna"})
        for process in (service.worker, service.process):
            os.kill(process.pid, signal.SIGKILL)
    service.process.wait(60)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    [label] = sqlite.labels(sqlite.Options(), service.release.log_folder)
    assert (label.name, label.source) == (name, "feedback: Anna")
    assert label.says()["boxes"] == [box]
    frame = service.logged()
    assert frame[["true:bed", "true:sofa"]].iloc[0].tolist() == [0, 1]


def test_two_workers_take_the_same_labels_at_once(
    start: Start, detection_bundle: Path, database: postgresql.Options
) -> None:
    service = start(detection_bundle, log=PredictionLog(use="postgresql", options=database), workers=2)
    with service.client as client:
        ids = [predict(client, f"{i}.jpg") for i in range(6)]
    at = "2026-05-01T12:00:00Z"
    failures: list[str] = []

    def send(turn: int) -> None:
        for name in ids[turn % 6 :] + ids[: turn % 6]:
            with service.client as own:  # a connection of its own, so that both workers get some
                answer = own.post("/feedback", json=[{"prediction_id": name, "classes": ["bed"], "at": at}])
                while answer.status_code == 429:
                    time.sleep(0.05)
                    answer = own.post("/feedback", json=[{"prediction_id": name, "classes": ["bed"], "at": at}])
                if answer.status_code != 202:
                    failures.append(answer.text)

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with service.client as client:
        text = client.get("/metrics").text
    assert 'pizzeria_labels_total{outcome="new"} 6.0' in text
    assert 'pizzeria_labels_total{outcome="same"} 18.0' in text
    service.stop()
    assert len(postgresql.labels(database, Path())) == 6
    frame = postgresql.read(database, Path())
    assert frame["true:bed"].tolist() == [1] * 6


def test_a_log_in_trouble_takes_no_label_says_so_and_slows_no_answer(
    start: Start, detection_bundle: Path, database: postgresql.Options, server: Server
) -> None:
    service = start(detection_bundle, log=PredictionLog(use="postgresql", options=database))
    with service.client as client:
        name = predict(client)
        server.stop()
        answer = client.post("/feedback", json={"prediction_id": name, "classes": ["bed"]})
        assert "does not take labels now" in refused(answer, 503, "log_in_trouble")
        assert answer.headers["retry-after"] == "1"
        predict(client)
        assert 'outcome="failed"} 1.0' in client.get("/metrics").text
        server.start()
        assert client.post("/feedback", json={"prediction_id": name, "classes": ["bed"]}).status_code == 202


def test_answers_go_on_while_labels_wait_for_a_locked_file(start: Start, detection_bundle: Path) -> None:
    import sqlite3

    service = start(detection_bundle)
    with service.client as client:
        name = predict(client)
        until(lambda: len(service.logged()) == 1)
        holder = sqlite3.connect(service.release.log_folder / "predictions.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        answers: list[int] = []

        def send() -> None:
            with service.client as own:
                answers.append(own.post("/feedback", json={"prediction_id": name, "classes": []}).status_code)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(12):  # more than there are places for labels or threads for answers
            predict(client, f"{i}.jpg")
        assert answers == [], "none was accepted that is not kept"
        holder.execute("ROLLBACK")
        holder.close()
        for thread in threads:
            thread.join()
        assert answers == [202] * 4
    assert len(sqlite.labels(sqlite.Options(), service.release.log_folder)) == 1


def test_what_is_wrong_is_told_and_nothing_of_the_request_is_kept(service: Service) -> None:
    with service.client as client:
        name = predict(client)
        good = {"prediction_id": name, "classes": ["bed"]}

        def send(*labels: Any) -> httpx.Response:
            return client.post("/feedback", json=list(labels))

        assert refused(send(good, good | {"classes": ["beds"]}), 422, "unknown_class").startswith(
            "labels[1].classes[0]"
        )
        assert "did you mean bed?" in send(good | {"classes": ["beds"]}).json()["error"]["hint"]
        refused(send(good, {"prediction_id": name, "value": 3}), 422, "unknown_form")
        refused(send({"prediction_id": f"{name}/0", "classes": []}), 422, "bad_id")
        refused(send({"prediction_id": name.upper() + "x", "classes": []}), 422, "bad_id")
        refused(send(*[good] * 1001), 413, "too_many_labels")
        refused(client.post("/feedback?source=me", json=good), 422, "unknown_key")
        refused(client.post("/feedback", content=b"a,b", headers={"content-type": "text/csv"}), 415, "wrong_type")
        refused(client.post("/feedback", content=json.dumps(good).encode()), 415, "wrong_type")
        refused(client.put("/feedback", json=good), 405, "wrong_method")
    labels = sqlite.labels(sqlite.Options(), service.release.log_folder)
    assert name not in {label.name for label in labels}


def test_rows_are_named_by_their_number(tabular_service: Service) -> None:
    with Client(tabular_service.url) as client:
        answers = client.predict_rows([{"rooms": 3, "beds": 2}, {"rooms": 1, "beds": 1}])["predictions"]
        labels = [{"prediction_id": answers[1]["prediction_id"], "value": 120}]
        assert client.feedback(labels) == {"accepted": 1}
        with pytest.raises(RequestError, match="names no row") as caught:
            client.feedback([{"prediction_id": answers[0]["prediction_id"].partition("/")[0], "value": 1}])
        assert caught.value.code == "bad_id"
    until(lambda: answers[1]["prediction_id"] in set(tabular_service.logged()["prediction_id"]))
    frame = tabular_service.logged().set_index("prediction_id")
    assert frame["true"][answers[1]["prediction_id"]] == 120


KEY = "a key of sixteen letters"


def test_keys_redaction_and_lines(start: Start, detection_bundle: Path) -> None:
    log = PredictionLog(use="lines", options=lines.Options(), redact=("input_id",))
    service = start(detection_bundle, log=log, keys_from="KEYS", environment={"KEYS": KEY})
    with service.client as client:
        label = {"prediction_id": "019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12", "classes": ["bed"]}
        refused(client.post("/feedback", json=label), 401, "no_key")
        client.headers["x-api-key"] = KEY
        assert client.post("/feedback", json=label).status_code == 202
        told = refused(client.post("/feedback", json={"input_id": "Anna.jpg", "classes": []}), 422, "bad_id")
        assert told == "labels[0].input_id: this service keeps no input ids"
    service.stop()
    output = service.output.read_text()
    assert '"pizzeria":"label"' in output
    assert "Anna" not in output


def worker_of(bundle: Path, **settings: Any) -> Worker:
    """A worker in this process, as a function has it."""
    worker = Worker(Settings(str(bundle), 10, 40, 100, 16, 30, platform="a test", **settings))
    worker.open()
    return worker


def ask(worker: Worker) -> tuple[int, Any]:
    label = {"prediction_id": "019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12", "classes": ["bed"]}
    kind = {"Content-Type": "application/json"}
    answer = worker.answer("POST", "/feedback", kind, json.dumps(label).encode(), 0)
    return answer.status, json.loads(answer.body)["error"]


def test_without_a_log_or_the_route(detection_bundle: Path) -> None:
    worker = worker_of(detection_bundle, log=None)
    status, error = ask(worker)
    assert (status, error["code"]) == (409, "no_log")
    assert "/feedback" in json.loads(worker.pages.answer("/openapi.json", {}).body)["paths"]
    assert b"Labels of a request" in worker.pages.answer("/docs", {}).body
    worker.close()
    worker = worker_of(detection_bundle, log=None, feedback=False)
    status, error = ask(worker)
    assert (status, error["message"]) == (404, "this service takes no feedback")
    assert "/feedback" not in json.loads(worker.pages.answer("/openapi.json", {}).body)["paths"]
    worker.close()


def test_a_log_that_keeps_no_labels_says_so(
    detection_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin of the working folder, as somebody wrote it before there were labels."""
    template = Path(scaffolding.__file__).parent / "plugin_templates" / "prediction_log.py.txt"
    file = tmp_path / "plugins" / "prediction_logs" / "ours.py"
    file.parent.mkdir(parents=True)
    file.write_text(template.read_text().replace("plugin_name", "ours"))
    monkeypatch.chdir(tmp_path)
    worker = worker_of(detection_bundle, log="ours", log_folder=str(tmp_path))
    status, error = ask(worker)
    assert (status, error["code"]) == (501, "keeps_no_labels")
    assert "'ours' keeps no labels" in error["message"]
    worker.close()
