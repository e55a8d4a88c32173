"""What each tracker was told is read back with the tracker's own tools; a run that goes on is the same run there."""

from __future__ import annotations

import csv
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pizzeria.conformance.plugins import PluginSuite
from pizzeria.contracts import TrackedRun
from pizzeria.tracking.telling import Teller
from pizzeria_plugins.trackers import csv as csv_tracker
from pizzeria_plugins.trackers import mlflow, tensorboard


class TestCsv(PluginSuite):
    kind, plugin = "trackers", "csv"


class TestTensorboard(PluginSuite):
    kind, plugin = "trackers", "tensorboard"


class TestMlflow(PluginSuite):
    kind, plugin = "trackers", "mlflow"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text("name: rooms\n")
    return path


def quietly(work: Callable[[], Any]) -> Any:
    """Libraries warn of their own insides when they are first imported; a run's thread does not stop at that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


def told(run: TrackedRun, spec: Path, epochs: range) -> None:
    def tell() -> None:
        run.parameters({"model.use": "timm_probe", "training.seed": 0, "training.start": None})
        for epoch in epochs:
            run.metrics({"train_loss": 1 / epoch, "validation_f1": 0.1 * epoch}, epoch)
        run.lineage({"run": "rooms-1", "stage.train": "f00d", "bundle": "beef"})
        run.metrics({"test_f1": 0.75}, epochs[-1])
        run.file(spec)
        run.close("finished")

    quietly(tell)


def test_csv_holds_each_epoch_once(tmp_path: Path, spec: Path) -> None:
    options = csv_tracker.Options(folder=str(tmp_path / "csv"))
    folder = tmp_path / "csv" / "rooms" / "rooms-1"
    told(quietly(lambda: csv_tracker.begin(options, "rooms", "rooms-1")), spec, range(1, 3))
    again = quietly(lambda: csv_tracker.begin(options, "rooms", "rooms-1"))
    assert again.steps == 0  # it begins anew, and is told all
    told(again, spec, range(1, 5))
    with (folder / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "4"]
    assert [row["train_loss"] for row in rows if row["train_loss"]] == ["1.0", "0.5", str(1 / 3), "0.25"]
    assert rows[-1]["test_f1"] == "0.75"
    said = yaml.safe_load((folder / "hparams.yaml").read_text())
    assert (said["model.use"], said["training.start"]) == ("timm_probe", None)
    assert said["lineage"] == {"run": "rooms-1", "stage.train": "f00d", "bundle": "beef"}
    assert (folder / "spec.yaml").read_text() == "name: rooms\n"


def test_tensorboard_goes_on_with_the_same_curves(tmp_path: Path, spec: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = tensorboard.Options(folder=str(tmp_path / "board"))
    first = quietly(lambda: tensorboard.begin(options, "rooms", "rooms-1"))
    assert first.steps == 0
    told(first, spec, range(1, 3))
    again = quietly(lambda: tensorboard.begin(options, "rooms", "rooms-1"))
    assert again.steps == 2
    told(again, spec, range(3, 5))
    folder = tmp_path / "board" / "rooms" / "rooms-1"
    events = EventAccumulator(str(folder)).Reload()
    losses = events.Scalars("train_loss")
    assert [one.step for one in losses] == [1, 2, 3, 4]
    assert events.Scalars("test_f1")[-1].value == pytest.approx(0.75)
    texts = events.Tags()["tensors"]
    assert {"lineage/text_summary", "spec.yaml/text_summary"} <= set(texts)
    assert b"beef" in events.Tensors("lineage/text_summary")[-1].tensor_proto.string_val[0]
    assert yaml.safe_load((folder / "hparams.yaml").read_text())["model.use"] == "timm_probe"
    assert (folder / "spec.yaml").exists()


def test_mlflow_goes_on_with_the_same_run(tmp_path: Path, spec: Path) -> None:
    from mlflow.tracking import MlflowClient

    options = mlflow.Options(folder=str(tmp_path / "ml"))
    first = quietly(lambda: mlflow.begin(options, "rooms", "rooms-1"))
    assert first.steps == 0
    told(first, spec, range(1, 3))
    other = quietly(lambda: mlflow.begin(options, "rooms", "rooms-2"))
    quietly(lambda: other.close("killed"))
    again = quietly(lambda: mlflow.begin(options, "rooms", "rooms-1"))
    client = MlflowClient(f"sqlite:///{tmp_path}/ml/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'rooms'")
    runs = {one.data.tags["pizzeria.run"]: one for one in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == {"rooms-1": "RUNNING", "rooms-2": "KILLED"}
    assert again.steps == 2
    told(again, spec, range(3, 5))

    run = client.get_run(runs["rooms-1"].info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "rooms-1"
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(one.step, one.value) for one in history] == [(epoch, 1 / epoch) for epoch in range(1, 5)]
    assert run.data.metrics["test_f1"] == 0.75
    assert run.data.params == {"model.use": "timm_probe", "training.seed": "0", "training.start": "None"}
    assert (run.data.tags["pizzeria.stage.train"], run.data.tags["pizzeria.bundle"]) == ("f00d", "beef")
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["spec.yaml"]
    assert Path(client.download_artifacts(run.info.run_id, "spec.yaml", str(tmp_path))).read_text() == "name: rooms\n"


BEGINS = """
import sys
from pizzeria_plugins.trackers import mlflow

mlflow.prepare()
print("ready", flush=True)
sys.stdin.readline()
run = mlflow.begin(mlflow.Options(folder="ml"), "rooms", sys.argv[1])
run.metrics({"train_loss": 0.5}, 1)
run.close("finished")
"""


def test_two_runs_may_begin_at_once_with_an_mlflow_that_is_new(tmp_path: Path) -> None:
    """As members of a sweep do; each of them would lay out the file."""
    from mlflow.tracking import MlflowClient

    both = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", BEGINS, name],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("rooms-1", "rooms-2")
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    told = [one.communicate(timeout=300)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    client = MlflowClient(f"sqlite:///{tmp_path}/ml/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'rooms'")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(one.data.tags["pizzeria.run"] for one in runs) == ["rooms-1", "rooms-2"]


NOBODY_IS_ASKED = """
import sys
from pathlib import Path

asked = []
sys.addaudithook(lambda event, seen: asked.append((event, seen)) if event in ("socket.connect", "socket.getaddrinfo",
    "socket.sendto", "urllib.Request") else None)
from pizzeria_plugins.trackers import csv, mlflow, tensorboard

for plugin in (csv, mlflow, tensorboard):
    run = plugin.begin(plugin.Options(), "rooms", "rooms-1")
    run.parameters({"a": 1})
    run.metrics({"train_loss": 0.5}, 1)
    run.file(Path("spec.yaml"))
    run.close("finished")

import threading
import mlflow.telemetry

assert mlflow.telemetry.get_telemetry_client() is None
assert not [one.name for one in threading.enumerate() if "elemetry" in one.name]
print(asked)
"""


def test_nothing_phones_home(tmp_path: Path, spec: Path) -> None:
    """An audit hook sees every connection, look-up and request that Python makes; telemetry wished for is off too."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NOBODY_IS_ASKED],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_server_that_is_down_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # at once, instead of after some seconds
    options = mlflow.Options(tracking_uri="http://127.0.0.1:9")

    class Lines:
        say = staticmethod(lines.append)

    teller = quietly(lambda: Teller("mlflow", mlflow.prepare, lambda: mlflow.begin(options, "r", "r-1"), [], Lines()))
    teller.tell(lambda run: run.metrics({"train_loss": 1.0}, 1))
    teller.start()
    assert not quietly(lambda: teller.end(60))
    assert len(lines) == 1
    assert lines[0].startswith("tracking: mlflow failed, and the run goes on without it: MlflowException")


@pytest.mark.parametrize(
    ("uri", "said"), [("http://me:secret@server:5000", "MLFLOW_TRACKING_PASSWORD"), ("server", "no address")]
)
def test_an_address_with_a_password_or_none_is_refused(uri: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        mlflow.Options(tracking_uri=uri)
    assert mlflow.Options(tracking_uri="http://server:5000").tracking_uri == "http://server:5000"
