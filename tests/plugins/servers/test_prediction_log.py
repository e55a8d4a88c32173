"""Services whose prediction log is in trouble: answers go on, what is lost is counted and shown, the log catches up."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pizzeria.inference.records import new_prediction_id
from pizzeria.spec.stages import PredictionLog
from pizzeria_plugins.prediction_logs import parquet, postgresql, sqlite

from ..prediction_logs.conftest import ADDRESS, PASSWORD, Server, database, server, small_disk
from .conftest import Start, photo

__all__ = ["database", "server"]
JPEG = {"content-type": "image/jpeg"}
METRIC = 'pizzeria_prediction_records_total{outcome="%s"}'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=2) as folder:
        yield folder


def until(condition: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    handle = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(handle, bytes(4096)):
            pass
    os.close(handle)
    return disk / "ballast"


def predict(client: httpx.Client, count: int = 1, brightness: int = 200) -> list[str]:
    """Send photos, all of which are answered; their prediction ids."""
    ids = []
    for n in range(count):
        answer = client.post(f"/predict?input_id={n}", content=photo(brightness), headers=JPEG)
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["prediction_id"])
    return ids


def figure(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " "))


def log_of(client: httpx.Client) -> dict[str, Any]:
    state: dict[str, Any] = client.get("/readyz").json()["log"]
    return state


def test_a_full_disk_costs_no_answer_is_counted_and_made_good(start: Start, detection_bundle: Path, disk: Path) -> None:
    options = sqlite.Options(path=str(disk / "log.sqlite"))
    service = start(detection_bundle, log=PredictionLog(options=options, photos=True))
    with service.client as client:
        ids = predict(client, 3)
        until(lambda: figure(client, METRIC % "written") == 3)
        ballast = fill(disk)
        ids += predict(client, 40)
        until(lambda: figure(client, METRIC % "failed") > 0)
        ids += predict(client, 5)
        until(lambda: (state := log_of(client))["trouble"] and state["waiting"] > 0, lambda: log_of(client))
        assert log_of(client)["dropped"] == 0
        assert figure(client, "pizzeria_prediction_log_trouble") == 1
        ballast.unlink()
        until(lambda: log_of(client) == {"waiting": 0, "dropped": 0, "trouble": False})
        assert figure(client, METRIC % "written") == 48
    service.stop()
    assert sqlite.read(options, disk)["prediction_id"].tolist() == ids
    assert sqlite.photo(options, disk, ids[20]) == photo()


def test_a_lost_database_costs_no_answer_is_counted_and_made_good(
    start: Start, detection_bundle: Path, database: postgresql.Options, server: Server
) -> None:
    log = PredictionLog(use="postgresql", options=database)
    service = start(detection_bundle, log=log, workers=2)
    with service.client as client:
        ids = predict(client, 3)
        until(lambda: figure(client, METRIC % "written") == 3)
        server.stop()
        for _ in range(4):  # new connections, so that both workers have records
            with service.client as other:
                ids += predict(other, 5)
        until(lambda: figure(client, METRIC % "failed") > 0)
        until(lambda: (state := log_of(client))["trouble"] and state["waiting"] > 0, lambda: log_of(client))
        server.start()
        ids += predict(client, 2)
        until(lambda: figure(client, METRIC % "written") == 25, lambda: client.get("/metrics").text)
        until(lambda: log_of(client) == {"waiting": 0, "dropped": 0, "trouble": False})
    service.stop()
    assert sorted(postgresql.read(database, Path())["prediction_id"]) == sorted(ids)
    assert PASSWORD not in service.output.read_text()
    assert "the prediction log is in trouble" in service.output.read_text()


def test_sigterm_writes_what_waits_into_parts(start: Start, detection_bundle: Path) -> None:
    options = parquet.Options(batch_s=600)
    service = start(detection_bundle, log=PredictionLog(use="parquet", options=options, photos=True))
    with service.client as client:
        ids = predict(client, 12)
    assert parquet.read(options, service.release.log_folder).empty, "it is not time yet"
    service.stop()
    assert sorted(parquet.read(options, service.release.log_folder)["prediction_id"]) == sorted(ids)
    assert parquet.photo(options, service.release.log_folder, ids[7]) == photo()
    assert len(list(service.release.log_folder.rglob("predictions/*.parquet"))) == 1


def test_sigterm_in_trouble_ends_the_service_and_says_what_is_lost(
    start: Start, detection_bundle: Path, database: postgresql.Options, server: Server
) -> None:
    service = start(detection_bundle, log=PredictionLog(use="postgresql", options=database))
    with service.client as client:
        server.stop()
        predict(client, 4)
        until(lambda: log_of(client)["trouble"])
    service.stop()
    assert "4 prediction records are lost" in service.output.read_text()


def test_what_is_to_be_left_out_never_reaches_the_log(start: Start, detection_bundle: Path) -> None:
    log = PredictionLog(options=sqlite.Options(), redact=("input_id", "feature:brightness"))
    service = start(detection_bundle, log=log)
    with service.client as client:
        client.post("/predict?input_id=Annas-kitchen&listing_id=42", content=photo(), headers=JPEG)
    service.stop()
    frame = service.logged()
    assert frame["input_id"].tolist() == [""]
    assert frame["listing_id"].tolist() == ["42"]
    assert "feature:brightness" not in frame
    assert "feature:contrast" in frame
    assert b"Annas-kitchen" not in b"".join(path.read_bytes() for path in service.release.log_folder.iterdir())


def test_what_is_too_old_is_deleted_by_the_service(start: Start, detection_bundle: Path, tmp_path: Path) -> None:
    options = sqlite.Options(path=str(tmp_path / "log.sqlite"))
    now = datetime.now(UTC)
    ages = {"young": timedelta(hours=11), "old": timedelta(hours=13)}
    sqlite.writer(options, tmp_path)(
        [
            {
                "timestamp": (now - age).isoformat(timespec="milliseconds"),
                "sha256": "aa",
                "prediction_id": new_prediction_id(),
                "input_id": name,
                "photo": b"photo",
            }
            for name, age in ages.items()
        ]
    )
    start(detection_bundle, log=PredictionLog(options=options, keep="12h"))
    until(lambda: sqlite.read(options, tmp_path)["input_id"].tolist() == ["young"])


def test_a_worker_that_was_killed_leaves_no_waiting_records_behind(start: Start, detection_bundle: Path) -> None:
    options = parquet.Options(batch_s=600)
    service = start(detection_bundle, log=PredictionLog(use="parquet", options=options))
    worker = service.worker
    with service.client as client:
        predict(client, 3)
    worker.kill()
    worker.wait(60)

    def answers() -> bool:
        try:
            with service.client as client:
                return log_of(client) == {"waiting": 0, "dropped": 0, "trouble": False}
        except httpx.TransportError:
            return False

    until(answers)


def test_no_log_is_no_log(start: Start, detection_bundle: Path) -> None:
    service = start(detection_bundle, unlogged=True)
    with service.client as client:
        predict(client)
        assert "log" not in client.get("/readyz").json()
    service.stop()
    assert not service.release.log_folder.exists()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (PredictionLog(use="postgresql", options=postgresql.Options(dsn_from=ADDRESS)), f"has no {ADDRESS}"),
        (PredictionLog(use="parquet", options=parquet.Options(url="nowhere://x")), "Protocol not known"),
        (PredictionLog(options=sqlite.Options(), redact=("feature:prise",)), "no record has 'feature:prise'"),
    ],
    ids=["address", "store", "redaction"],
)
def test_a_log_that_cannot_work_ends_the_start_and_says_why(
    start: Start, detection_bundle: Path, monkeypatch: pytest.MonkeyPatch, log: PredictionLog, said: str
) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    with pytest.raises(AssertionError, match="the service cannot start") as ended:
        start(detection_bundle, log=log)
    assert said in str(ended.value)
