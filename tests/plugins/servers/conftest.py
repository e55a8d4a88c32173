"""Small bundles with real ONNX models, and a service started from them as `bentoml serve` does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from pizzeria.contracts import Release
from pizzeria.inference.bundle import draft_bundle, open_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml

from ...ports import held_port

LONGEST_IDLE_S = 2.0
"""A connection that a test left idle for longer, as it was held up itself, may be closed by now: a service closes one
after 5 s, and after 3 s while it drains."""
SIZE = 32
CLASSES = ["bed", "sofa"]


def photo(brightness: int = 200, size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    """A room, of sorts."""
    image = Image.new("RGB", size, (brightness,) * 3)
    ImageDraw.Draw(image).rectangle((size[0] // 8, size[1] // 8, size[0] // 2, size[1] // 2), fill=(150, 40, 40))
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def _save(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any], path: Path) -> None:
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def detector(path: Path, size: int = SIZE, work: int = 0) -> None:
    """Always a bed and a sofa; the bed's score is the photo's brightness. `work` multiplies matrices to take time."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["bright"]),
        helper.make_node("Reshape", ["bright", "one"], ["first"]),
    ]
    constants = {
        "white": np.float32(255),
        "one": np.array([1], np.int64),
        "second": np.array([0.55], np.float32),
        "xyxy": np.array([[4, 4, 16, 12], [8, 8, 24, 20]], np.float32),
        "classes": np.array([0, 1], np.int64),
    }
    if work:
        constants |= {"heavy": np.full((1500, 1500), 1 / 1500, np.float32), "nothing": np.float32(0)}
        last = "heavy"
        for i in range(work):
            nodes.append(helper.make_node("Mul", [last, "bright"], [f"scaled{i}"]))
            nodes.append(helper.make_node("MatMul", [f"scaled{i}", "heavy"], [last := f"heavy{i}"]))
        nodes.append(helper.make_node("ReduceMean", [last], ["heat"], keepdims=0))
        nodes.append(helper.make_node("Mul", ["heat", "nothing"], ["cold"]))
        nodes.append(helper.make_node("Add", ["first", "cold"], ["bed"]))
    else:
        nodes.append(helper.make_node("Identity", ["first"], ["bed"]))
    nodes += [
        helper.make_node("Concat", ["bed", "second"], ["scores"], axis=0),
        helper.make_node("Identity", ["xyxy"], ["boxes"]),
        helper.make_node("Identity", ["classes"], ["labels"]),
    ]
    _save(
        nodes,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, size, size, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [2, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, [2]),
        ],
        constants,
        path,
    )


def classifier(path: Path, size: int = SIZE) -> None:
    """A bed in dark photos, a sofa in bright ones."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["means", "grey"], ["above"]),
        helper.make_node("Reshape", ["above", "shape"], ["column"]),
        helper.make_node("Mul", ["column", "slopes"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    constants = {
        "grey": np.float32(128),
        "shape": np.array([-1, 1], np.int64),
        "slopes": np.array([[-0.02, 0.02]], np.float32),
    }
    _save(
        nodes,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])],
        constants,
        path,
    )


def regressor(path: Path) -> None:
    """The sum of the numeric columns, standardised."""
    _save(
        [helper.make_node("ReduceSum", ["numeric", "axis"], ["values"], keepdims=0)],
        [helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["N"])],
        {"axis": np.array([1], np.int64)},
        path,
    )


def describe(task: str, **changes: Any) -> dict[str, Any]:
    photos = {"kind": "photos", "size": [SIZE, SIZE], "resize": "letterbox", "fill": 114}
    return {
        "name": "amenities",
        "task": task,
        "classes": CLASSES,
        "preprocessing": photos,
        "calibration": {"method": "none", "thresholds": {"bed": 0.5, "sofa": 0.4}},
        "metrics": {},
        "gate": [],
        "lineage": {},
        "versions": {},
    } | changes


def bundle_of(folder: Path, description: dict[str, Any], sample: tuple[str, bytes]) -> Path:
    """The bundle of `folder/model.onnx`, with its own answer to the sample as the golden one."""
    model = folder / "model.onnx"
    answer = answer_sample(Predictor(draft_bundle(description, model), 1), sample)
    write_bundle(folder / "bundle", description, model, sample, answer)
    return folder / "bundle"


@pytest.fixture(scope="session")
def detection_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detection")
    detector(folder / "model.onnx")
    return bundle_of(folder, describe("object_detection"), ("request.jpg", photo()))


@pytest.fixture(scope="session")
def slow_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes some tenths of a second for a photo."""
    folder = tmp_path_factory.mktemp("slow")
    detector(folder / "model.onnx", work=16)
    return bundle_of(folder, describe("object_detection"), ("request.jpg", photo()))


@pytest.fixture(scope="session")
def slower_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes seconds for a photo: time enough to see it at work, and to do something meanwhile."""
    folder = tmp_path_factory.mktemp("slower")
    detector(folder / "model.onnx", work=32)
    return bundle_of(folder, describe("object_detection"), ("request.jpg", photo()))


@pytest.fixture(scope="session")
def classification_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classification")
    classifier(folder / "model.onnx")
    description = describe("image_classification", calibration={"method": "none"})
    return bundle_of(folder, description, ("request.jpg", photo()))


@pytest.fixture(scope="session")
def tabular_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tabular")
    regressor(folder / "model.onnx")
    columns = [{"name": name, "median": 1, "mean": 0, "std": 1} for name in ("rooms", "beds")]
    target = {"name": "price", "mean": 0, "std": 1}
    description = describe(
        "tabular_regression",
        name="prices",
        classes=[],
        preprocessing={"kind": "columns", "numeric": columns, "categorical": [], "target": target},
        calibration={"method": "none"},
    )
    sample = json.dumps({"rows": [{"rooms": 2, "beds": 1}]}).encode()
    return bundle_of(folder, description, ("request.json", sample))


def mixture(path: Path) -> None:
    """How likely `up` is grows with the sum of two numbers and a category's code."""
    nodes = [
        helper.make_node("Cast", ["categorical"], ["codes"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["numeric", "codes"], ["all"], axis=1),
        helper.make_node("ReduceSum", ["all", "axis"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "slopes"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    inputs = [
        helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("categorical", TensorProto.INT64, ["N", 1]),
    ]
    constants = {"axis": np.array([1], np.int64), "slopes": np.array([[-1e-3, 1e-3]], np.float32)}
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])]
    _save(nodes, inputs, outputs, constants, path)


@pytest.fixture(scope="session")
def mixed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classifies rows of a number, a time and a text."""
    folder = tmp_path_factory.mktemp("mixed")
    mixture(folder / "model.onnx")
    numeric = [
        {"name": "demand", "median": 0, "mean": 0, "std": 1},
        {"name": "at", "median": 1.7e9, "mean": 1.7e9, "std": 1e7, "time": True},
    ]
    how = {
        "kind": "columns",
        "numeric": numeric,
        "categorical": [{"name": "day", "values": ["mon", "tue"]}],
        "target": {"name": "direction"},
    }
    description = describe(
        "tabular_classification", classes=["down", "up"], preprocessing=how, calibration={"method": "none"}
    )
    sample = json.dumps({"rows": [{"demand": 2, "at": "2024-05-31T12:00:00Z", "day": "tue"}]}).encode()
    return bundle_of(folder, description, ("request.json", sample))


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    url: str
    port: int
    release: Release
    output: Path
    processor_s: float
    """What its start took of the processor."""

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    @property
    def worker(self) -> psutil.Process:
        """The process that answers."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(one for one in children if "--fd" in one.cmdline())

    def logged(self) -> Any:
        return sqlite.read(sqlite.Options(), self.release.log_folder)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


Start = Callable[..., Service]


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Start services, and stop them in the end."""
    services: list[Service] = []
    ports = contextlib.ExitStack()

    def start(
        bundle: Path,
        *,
        log: PredictionLog | None = None,
        unlogged: bool = False,
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> Service:
        own = {key: options.pop(key) for key in list(options) if key in bentoml.Options.model_fields}
        state = folder / f"state-{len(services)}"
        kept = None if unlogged else log or PredictionLog(options=sqlite.Options())
        serving = Serving(log=kept, options=bentoml.Options(**own), **options)
        release = Release(
            name="amenities",
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=serving,
            server=bentoml,
            log_folder=state / "log",
            state=state,
        )
        port = ports.enter_context(held_port())
        rendered = bentoml.render(release, "127.0.0.1", port)
        state.mkdir()
        output = state / "service.log"
        begun = time.monotonic()
        with open(output, "wb") as stream:
            process = subprocess.Popen(
                rendered.commands[0],
                env={**os.environ, **rendered.environment, **(environment or {})},
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        service = Service(process, f"http://127.0.0.1:{port}", port, release, output, 0)
        services.append(service)
        with service.client as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/readyz").status_code == 200:
                        break
                assert process.poll() is None, output.read_text()
                assert time.monotonic() - begun < 180, output.read_text()
                time.sleep(0.05)
        service.processor_s = _processor_s(process.pid)
        return service

    try:
        with ports:
            yield start
    finally:
        for service in services:
            if service.process.poll() is None:
                service.stop()


def _processor_s(pid: int) -> float:
    """Seconds of the processor that a process and all below it took until now."""
    supervisor, took = psutil.Process(pid), 0.0
    for one in (supervisor, *supervisor.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            took += times.user + times.system
    return took


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as function:
        yield function


@pytest.fixture(scope="module")
def start_many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for services that several tests share."""
    with starting(tmp_path_factory.mktemp("services")) as function:
        yield function


@pytest.fixture(scope="session")
def make_release() -> Callable[..., Release]:
    """A release of a bundle that nobody has started."""

    def make(bundle: Path, folder: Path, **options: Any) -> Release:
        log = PredictionLog(options=sqlite.Options())
        return Release(
            name="amenities",
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=Serving(options=bentoml.Options(), **{"log": log, **options}),
            server=bentoml,
            log_folder=folder / "log",
            state=folder / "state",
        )

    return make


@pytest.fixture(scope="session")
def service(detection_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One detection service for all tests that do not need their own."""
    with starting(tmp_path_factory.mktemp("service")) as function:
        yield function(detection_bundle, max_body_mb=0.2, max_megapixels=1)


@pytest.fixture(scope="session")
def tabular_service(tabular_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service of rows for all tests that do not need their own."""
    with starting(tmp_path_factory.mktemp("tabular-service")) as function:
        yield function(tabular_bundle, max_rows=50)
