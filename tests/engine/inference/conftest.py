"""Small ONNX models and the bundles around them, for real predictions."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from pizzeria.inference.bundle import Bundle, draft_bundle, open_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample

CLASSES = ["bed", "sofa", "tv"]
SIZE = 64


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], **constants: np.ndarray) -> Path:
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _photos(batch: str | int) -> Any:
    return helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, SIZE, SIZE, 3])


def detector(path: Path) -> Path:
    """Three fixed boxes in network pixels, whose scores are 0.9, 0.6 and 0.3 times the mean of all pixels / 255."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["light"]),
        helper.make_node("Mul", ["best", "light"], ["scores"]),
        helper.make_node("Identity", ["where"], ["boxes"]),
        helper.make_node("Identity", ["which"], ["labels"]),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [3, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [3]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, [3]),
    ]
    return _save(
        path,
        nodes,
        [_photos(1)],
        outputs,
        white=np.float32(255),
        best=np.array([0.9, 0.6, 0.3], np.float32),
        where=np.array([[8, 4, 24, 20], [0, 0, 64, 64], [0, 50, 64, 64]], np.float32),
        which=np.array([0, 2, 0], np.int64),
    )


def colour_model(path: Path, softmax: bool) -> Path:
    """The mean red, green and blue / 255 as the probabilities of three classes, with or without softmax."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["share" if softmax else "probabilities"]),
        *([helper.make_node("Softmax", ["share"], ["probabilities"])] if softmax else []),
    ]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])]
    return _save(path, nodes, [_photos("N")], outputs, white=np.float32(255))


def tabular(path: Path, classify: bool) -> Path:
    """The sum of two numeric inputs and one category's code: the value, or a score against 0 in a softmax."""
    nodes = [
        helper.make_node("Cast", ["categorical"], ["codes"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["numeric", "codes"], ["all"], axis=1),
        helper.make_node("ReduceSum", ["all", "axis"], ["sum" if classify else "values"], keepdims=int(classify)),
    ]
    shape: list[Any] = ["N"]
    if classify:
        nodes += [
            helper.make_node("Mul", ["sum", "none"], ["zero"]),
            helper.make_node("Concat", ["zero", "sum"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ]
        shape = ["N", 2]
    inputs = [
        helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("categorical", TensorProto.INT64, ["N", 1]),
    ]
    name = "probabilities" if classify else "values"
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    return _save(path, nodes, inputs, outputs, axis=np.array([1], np.int64), none=np.float32(0))


def photo(colour: Any = "white", size: tuple[int, int] = (128, 96), kind: str = "JPEG") -> bytes:
    """An encoded photo of one colour."""
    stream = BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def describe(task: str, **changes: Any) -> dict[str, Any]:
    """A description that fits the models above."""
    photos = {"kind": "photos", "size": [SIZE, SIZE], "resize": "letterbox", "fill": 114}
    columns = {
        "kind": "columns",
        "numeric": [
            {"name": "price", "median": 2.0, "mean": 1.0, "std": 2.0},
            {"name": "demand", "median": 0.0, "mean": 0.0, "std": 1.0},
        ],
        "categorical": [{"name": "day", "values": ["mon", "tue"]}],
        "target": {"name": "up"},
    }
    thresholds = {"bed": 0.5, "sofa": 0.5, "tv": 0.7}
    by_task: dict[str, dict[str, Any]] = {
        "object_detection": {"calibration": {"method": "none", "thresholds": thresholds}},
        "multilabel_classification": {"calibration": {"method": "none", "thresholds": thresholds}},
        "image_classification": {"preprocessing": photos | {"resize": "crop"}},
        "tabular_classification": {"preprocessing": columns, "classes": ["down", "up"]},
        "tabular_regression": {"preprocessing": columns, "classes": []},
    }
    plain: dict[str, Any] = {
        "name": "amenities",
        "task": task,
        "classes": CLASSES,
        "preprocessing": photos,
        "calibration": {"method": "none"},
        "metrics": {"map_50": 0.9},
        "gate": [],
        "lineage": {},
        "versions": {},
    }
    return plain | by_task[task] | changes


ROW = {"price": 3, "demand": 0.5, "day": "tue"}


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """Write and open a bundle for a task; keywords change its description."""

    def make(task: str, folder: str = "bundle", **changes: Any) -> Bundle:
        path = tmp_path / f"{folder}.onnx"
        if task == "object_detection":
            detector(path)
        elif task.startswith("tabular"):
            tabular(path, classify=task == "tabular_classification")
        else:
            colour_model(path, softmax=task == "image_classification")
        description = describe(task, **changes)
        rows = b'{"rows": [{"price": 3, "demand": 0.5, "day": "tue"}]}'
        request = ("request.json", rows) if task.startswith("tabular") else ("a.JPEG", photo())
        answer = answer_sample(Predictor(draft_bundle(description, path), threads=1), request)
        write_bundle(tmp_path / folder, description, path, request, answer)
        return open_bundle(tmp_path / folder)

    return make


@pytest.fixture
def make_predictor(make_bundle: Callable[..., Bundle]) -> Callable[..., Predictor]:
    """The same, loaded."""
    return lambda task, **changes: Predictor(make_bundle(task, **changes), threads=1)


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """`photo`, for the tests."""
    return photo
