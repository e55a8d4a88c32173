"""Makes the tiny bundles that ship in `pizzeria/conformance/bundles`; run it to make them anew.

They are committed, so that a plugin's author needs neither `onnx` nor a training run.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from pizzeria.conformance.tiny_bundles import FOLDER
from pizzeria.inference.bundle import draft_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample

SIZE = 32
SOFA = {"older": 0.55, "newer": 0.75}
"""How sure each is of a sofa, so that their answers tell them apart."""


def make(name: str, folder: Path) -> None:
    """A detector that always sees a bed, as sure as the photo is bright, and a sofa."""
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / "model.onnx"
        _save(model, SOFA[name])
        description = {
            "name": "conformance",
            "task": "object_detection",
            "classes": ["bed", "sofa"],
            "preprocessing": {"kind": "photos", "size": [SIZE, SIZE], "resize": "letterbox", "fill": 114},
            "calibration": {"method": "none", "thresholds": {"bed": 0.5, "sofa": 0.4}},
            "metrics": {},
            "gate": [],
            "lineage": {},
            "versions": {},
        }
        sample = ("request.jpg", _photo())
        answer = answer_sample(Predictor(draft_bundle(description, model), 1), sample)
        write_bundle(folder, description, model, sample, answer)


def _save(path: Path, sofa: float) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["bright"]),
        helper.make_node("Reshape", ["bright", "one"], ["bed"]),
        helper.make_node("Concat", ["bed", "sofa"], ["scores"], axis=0),
        helper.make_node("Identity", ["xyxy"], ["boxes"]),
        helper.make_node("Identity", ["classes"], ["labels"]),
    ]
    constants: dict[str, Any] = {
        "white": np.float32(255),
        "one": np.array([1], np.int64),
        "sofa": np.array([sofa], np.float32),
        "xyxy": np.array([[4, 4, 16, 12], [8, 8, 24, 20]], np.float32),
        "classes": np.array([0, 1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [2, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, [2]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _photo() -> bytes:
    """A room, of sorts."""
    image = Image.new("RGB", (64, 48), (200, 200, 200))
    ImageDraw.Draw(image).rectangle((8, 6, 32, 24), fill=(150, 40, 40))
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    return stream.getvalue()


if __name__ == "__main__":
    for one in SOFA:
        shutil.rmtree(FOLDER / one, ignore_errors=True)
        make(one, FOLDER / one)
