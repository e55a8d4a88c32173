"""The BentoML server on the target `local`: what `pizzeria deploy` does."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pizzeria.conformance import tiny_bundles
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import local, processes

from ...ports import held_port
from .conftest import LONGEST_IDLE_S

pytestmark = pytest.mark.slow

KINDS = ("keep-alive", "one connection for each request")


class Silent:
    def say(self, text: str) -> None:
        pass


@pytest.fixture
def options() -> Iterator[local.Options]:
    with held_port() as port:
        yield local.Options(port=port)


@pytest.fixture
def release(tmp_path: Path, options: local.Options) -> Iterator[Callable[[Path], Release]]:
    state = tmp_path / "state"
    state.mkdir()

    log = PredictionLog(options=sqlite.Options())

    def make(bundle: Path) -> Release:
        return Release(
            name="amenities",
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=Serving(log=log, options=bentoml.Options(workers=2), max_concurrency=100),
            server=bentoml,
            log_folder=tmp_path / "log",
            state=state,
        )

    yield make
    local.remove("amenities", options, state)
    assert processes.others(state / "amenities") == []
    assert local.status("amenities", options, state).state == "absent"


class Load:
    """Clients of both kinds that predict all the time; a keep-alive one opens a new connection only when told to."""

    def __init__(self, port: int, bundle: Path) -> None:
        self._port = port
        self._body = open_bundle(bundle).sample_request()[1]
        self._done = threading.Event()
        self.found: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(kind,)) for kind in KINDS for _ in range(2)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, kind: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        answered = time.monotonic()
        with contextlib.closing(connection):
            while not self._done.is_set():
                if time.monotonic() - answered > LONGEST_IDLE_S:
                    connection.close()
                try:
                    connection.request("POST", "/predict", self._body, {"Content-Type": "image/jpeg"})
                    answer = connection.getresponse()
                    body = json.loads(answer.read())
                    if answer.status == 200:
                        self.found[body["model"]] += 1
                    else:
                        self.failures.append(f"{kind}: {answer.status} {body}")
                except (OSError, http.client.HTTPException, ValueError) as error:
                    self.failures.append(f"{kind}: {error!r}")
                    connection.close()
                answered = time.monotonic()
                if kind != KINDS[0]:
                    connection.close()
                time.sleep(0.03)


def test_no_request_is_lost_while_bundles_take_turns(
    release: Callable[[Path], Release], options: local.Options, tmp_path: Path
) -> None:
    older, newer = release(tiny_bundles.OLDER), release(tiny_bundles.NEWER)
    first = local.apply(older, options, Silent())
    keeper = _record(tmp_path)["keeper"]
    with Load(options.port, tiny_bundles.OLDER) as load:
        for one in (newer, older):
            before = _record(tmp_path)
            done = local.apply(one, options, Silent())
            assert (done.state, done.sha256, done.address) == ("live", one.sha256, first.address)
            assert processes.marked(before["token"]) == []
        wrong = release(tiny_bundles.answers_otherwise(tmp_path / "otherwise"))
        with pytest.raises(DeploymentError, match=rf"(?s)golden.*The one before, {older.sha256[:12]}, goes on serving"):
            local.apply(wrong, options, Silent())
    assert load.failures == []
    assert set(load.found) == {older.sha256, newer.sha256}
    assert _record(tmp_path)["keeper"] == keeper

    def logged() -> dict[str, int]:
        return dict(sqlite.read(sqlite.Options(), tmp_path / "log")["sha256"].value_counts())

    deadline = time.monotonic() + 60  # the one that serves writes its records a little later
    while logged() != dict(load.found) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert logged() == dict(load.found), "every answer is logged, each with its bundle"


def test_a_killed_supervisor_or_command_changes_nothing_for_long(
    release: Callable[[Path], Release], options: local.Options, tmp_path: Path
) -> None:
    older, newer, state = release(tiny_bundles.OLDER), release(tiny_bundles.NEWER), tmp_path / "state"
    local.apply(older, options, Silent())
    old = _record(tmp_path)

    # The command that deploys, while the newer one loads its model.
    fork = multiprocessing.get_context("fork")
    command = fork.Process(target=local.apply, args=(newer, options, Silent()))
    command.start()
    _until(lambda: processes.others(state / "amenities", (old["token"], old["keeper_token"])))
    command.kill()
    command.join()
    _until(lambda: not processes.others(state / "amenities", (old["token"], old["keeper_token"])))
    assert _record(tmp_path) == old
    assert local.status("amenities", options, state).sha256 == older.sha256

    # The supervisor: its workers go, and the keeper starts another one.
    assert len(processes.marked(old["token"])) == 3
    os.kill(old["pid"], signal.SIGKILL)
    _until(lambda: _record(tmp_path)["pid"] != old["pid"])
    _until(lambda: not processes.marked(old["token"]))
    now = local.status("amenities", options, state)
    assert (now.state, now.sha256) == ("live", older.sha256)
    assert "started again 1 times" in now.detail
    assert local.apply(newer, options, Silent()).sha256 == newer.sha256


def _record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "state" / "amenities" / "deployment.json").read_text())
    return found


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
