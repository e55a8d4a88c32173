"""A small multi-label bundle that says of a photo's red, green and blue that they are a bed, a sofa and a tv."""

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

from pizzeria.inference.bundle import draft_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample

CLASSES = ["bed", "sofa", "tv"]


def colour_model(path: Path) -> Path:
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["probabilities"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 32, 32, 3])
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])]
    white = onnx.numpy_helper.from_array(np.float32(255), "white")
    graph = helper.make_graph(nodes, "test", [images], outputs, [white])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def picture(red: int, green: int, blue: int) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (48, 32), (red, green, blue)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "bundle", **calibration: Any) -> Path:
        model = colour_model(tmp_path / f"{name}.onnx")
        description = {
            "name": name,
            "task": "multilabel_classification",
            "classes": CLASSES,
            "preprocessing": {"kind": "photos", "size": [32, 32], "resize": "letterbox", "fill": 114},
            "calibration": {"method": "none", "thresholds": dict.fromkeys(CLASSES, 0.5), **calibration},
            "metrics": {},
            "gate": [],
            "lineage": {},
            "versions": {},
        }
        request = ("request.jpg", picture(200, 100, 50))
        golden = answer_sample(Predictor(draft_bundle(description, model), 1), request)
        write_bundle(tmp_path / name, description, model, request, golden)
        return tmp_path / name

    return make


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """200 listings of three photos each; of listing 7 one photo is broken, of 8 all, and 9 has none."""
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    lines = ["listing_id,declared"]
    for i in range(200):
        lines.append(f"L{i:03d},bed;tv;jacuzzi")
        for n in range(3):
            data = picture(*rng.integers(0, 256, 3).tolist())
            broken = (i == 7 and n == 1) or i == 8
            if i != 9:
                (photos / f"L{i:03d}_{n}.jpg").write_bytes(data[:200] if broken else data)
    table = tmp_path / "listings.csv"
    table.write_text("\n".join(lines) + "\n")
    return table
