"""A service whose predictions are kept in a real PostgreSQL, from its spec to the end of its days."""

from __future__ import annotations

import csv
import random
import time
from pathlib import Path

import pytest

from pizzeria_plugins.prediction_logs import postgresql

from ..plugins.prediction_logs import conftest as prediction_logs
from ..plugins.prediction_logs.conftest import ADDRESS, Server
from .conftest import open_kitchen

pytestmark = pytest.mark.slow
server = prediction_logs.server


def _rows(path: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["a", "b", "kind", "price"])
        for _ in range(count):
            a, b, kind = chance.random(), chance.random(), chance.choice("xyz")
            writer.writerow([f"{a:.3f}", f"{b:.3f}", kind, f"{3 * a + b + (kind == 'x') + chance.gauss(0, 0.1):.3f}"])


def test_from_the_spec_to_monitoring(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_kitchen(tmp_path)
    _rows(tmp_path / "rows.csv", 600, 1)
    _rows(tmp_path / "today.csv", 80, 2)

    def run(*arguments: str, code: int = 0) -> str:
        done = place.run(*arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    run("init", "--data", "rows.csv", "--target", "price")
    spec = tmp_path / "conf" / "experiment" / "rows.yaml"
    spec.write_text(f"{spec.read_text()}\nserving:\n  log: {{use: postgresql, dsn_from: {ADDRESS}, schema: kitchen}}\n")
    run("run", "experiment=rows", "training.max_epochs=3", "--until", "package")
    try:
        told = run("deploy", "rows", code=6)
        assert f"the service cannot start: serving.log.dsn_from: the environment has no {ADDRESS}" in told
        monkeypatch.setenv(ADDRESS, server.address)
        run("deploy", "rows")
        run("predict", "--url", place.address, "today.csv", "--out", "answers.csv")
        kept = postgresql.Options(dsn_from=ADDRESS, schema="kitchen")
        until = time.monotonic() + 60
        while len(postgresql.read(kept, Path())) < 80:  # the log is written behind the answers
            assert time.monotonic() < until
            time.sleep(0.1)
        assert "80 predictions judged" in run("monitor", "rows")
        assert "live" in run("status")
    finally:
        assert "is stopped" in run("stop", "rows")
