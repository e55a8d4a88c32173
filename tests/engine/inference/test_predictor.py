from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from pizzeria.errors import BundleError, RequestError
from pizzeria.inference.bundle import Bundle, draft_bundle, open_bundle, zip_bundle
from pizzeria.inference.photos import Photo
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.records import predictions_in, unpack
from pizzeria.inference.rows import to_columns
from pizzeria.inference.sample import check_sample

Make = Callable[..., Predictor]


def photo(image: Image.Image) -> Photo:
    return Photo(image, *image.size)


def test_boxes_come_back_in_original_pixels_with_calibrated_confidence(make_predictor: Make) -> None:
    maps = {name: {"x": [0, 1], "y": [0, 0.5]} for name in ("bed", "sofa", "tv")}
    thresholds = {"bed": 0.4, "sofa": 0.4, "tv": 0.4}
    calibration = {"method": "isotonic", "maps": maps, "thresholds": thresholds}
    predictor = make_predictor("object_detection", calibration=calibration)
    answer = predictor.photo(photo(Image.new("RGB", (128, 64), "white")))
    assert answer.boxes is not None
    light = (255 + 114) / 2 / 255  # half of the network's image is padding
    np.testing.assert_allclose(answer.boxes.scores, np.array([0.9, 0.6]) * light, atol=1e-5)
    np.testing.assert_allclose(answer.boxes.xyxy, [[16, 8, 48, 40], [0, 0, 128, 64]])  # the third lay in the padding
    np.testing.assert_allclose(answer.probabilities, [0.45 * light, 0, 0.3 * light], atol=1e-5)
    assert answer.wire()["boxes"] == []
    assert not answer.wire()["presence"]["bed"]["present"]


def test_the_wire_tells_only_boxes_above_their_threshold(make_predictor: Make) -> None:
    predictor = make_predictor("object_detection")
    wire = predictor.photo(photo(Image.new("RGB", (128, 128), "white"))).wire()
    assert wire["boxes"] == [
        {"class": "bed", "confidence": 0.9, "score": 0.9, "x_min": 16, "y_min": 8, "x_max": 48, "y_max": 40}
    ]
    assert wire["presence"] == {
        "bed": {"probability": 0.9, "present": True},
        "sofa": {"probability": 0.0, "present": False},
        "tv": {"probability": 0.6, "present": False},
    }
    assert (wire["width"], wire["height"], wire["model"]) == (128, 128, predictor.bundle.sha256)
    json.dumps(wire, allow_nan=False)


def test_a_record_is_flat(make_predictor: Make) -> None:
    record = make_predictor("object_detection").photo(photo(Image.new("RGB", (128, 128), "white"))).record()
    assert record["sha256"]
    assert record["feature:brightness"] == 1.0
    assert (record["p:bed"], record["pred:bed"], record["pred:tv"]) == (0.9, 1, 0)
    assert all(isinstance(value, str | int | float) for value in record.values())


def test_a_classifier_says_its_class(make_predictor: Make) -> None:
    predictor = make_predictor("image_classification")
    answer = predictor.photo(photo(Image.new("RGB", (90, 40), (0, 255, 0))))
    wire = answer.wire()
    assert wire["class"] == "sofa"
    assert sum(wire["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert wire["probability"] == wire["probabilities"]["sofa"]
    assert answer.record()["pred"] == "sofa"


def test_multilabel_says_presence_without_boxes(make_predictor: Make) -> None:
    wire = make_predictor("multilabel_classification").photo(photo(Image.new("RGB", (64, 64), (255, 0, 204)))).wire()
    assert "boxes" not in wire
    assert [wire["presence"][name]["present"] for name in ("bed", "sofa", "tv")] == [True, False, True]


def test_rows_are_classified_and_recorded(make_predictor: Make) -> None:
    predictor = make_predictor("tabular_classification")
    rows = [{"price": 3, "demand": 0.5, "day": "tue"}, {"price": None, "demand": -9, "day": None, "row_id": 7}]
    first, second = predictor.rows(rows)
    assert first.wire()["class"] == "up"
    assert first.wire()["probability"] == pytest.approx(1 / (1 + np.exp(-3.5)), abs=1e-5)
    assert second.record()["pred"] == "down"
    assert {k: v for k, v in second.record().items() if k.startswith("feature:")} == {
        "feature:price": None,
        "feature:demand": -9.0,
        "feature:day": None,
    }


def test_regression_gives_values_for_more_rows_than_one_batch(make_predictor: Make) -> None:
    predictor = make_predictor("tabular_regression")
    answers = predictor.rows([{"price": i, "demand": 0, "day": "mon"} for i in range(5000)])
    assert answers[3].wire() == {"value": 2.0}
    assert answers[-1].record()["pred"] == pytest.approx((4999 - 1) / 2 + 1)
    assert predictor.rows([]) == []
    with pytest.raises(RequestError, match=r"rows\[0\]\.price"):
        predictor.rows([{"price": "x", "demand": 0, "day": "mon"}])


def test_threads_get_the_same_answers(make_predictor: Make) -> None:
    predictor = make_predictor("object_detection")
    photos = [photo(Image.new("RGB", (100, 100), (i * 10,) * 3)) for i in range(20)]
    alone = [predictor.photo(one).wire() for one in photos]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: predictor.photo(one).wire(), photos)) == alone


def test_a_zip_answers_as_its_folder(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    folder = make_bundle("object_detection")
    zip_bundle(tmp_path / "bundle", tmp_path / "a.zip")
    white = photo(Image.new("RGB", (80, 60), "white"))
    answers = [Predictor(b, threads=1).photo(white).wire() for b in (folder, open_bundle(tmp_path / "a.zip"))]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("task", ["object_detection", "image_classification", "tabular_classification"])
def test_the_golden_request_is_answered_again(make_predictor: Make, task: str) -> None:
    check_sample(make_predictor(task))


def test_another_golden_answer_is_noticed(make_predictor: Make, tmp_path: Path) -> None:
    predictor = make_predictor("object_detection")
    answer = predictor.bundle.sample_answer()
    answer["presence"]["bed"]["probability"] += 0.1
    path = tmp_path / "bundle/sample/answer.json"
    path.write_text(json.dumps(answer))
    manifest = tmp_path / "bundle/manifest.json"
    import hashlib

    hashes = json.loads(manifest.read_text()) | {"sample/answer.json": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(hashes))
    with pytest.raises(BundleError, match=r"presence\.bed\.probability is"):
        check_sample(Predictor(open_bundle(tmp_path / "bundle"), threads=1))


def test_a_model_of_another_task_is_refused(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    bundle = make_bundle("image_classification")
    description = bundle.description | {
        "task": "object_detection",
        "calibration": {"method": "none", "thresholds": dict.fromkeys(bundle.classes, 0.5)},
    }
    with pytest.raises(BundleError, match="gives probabilities, where object_detection takes images and gives boxes"):
        Predictor(draft_bundle(description, tmp_path / "bundle.onnx"))
    (tmp_path / "broken.onnx").write_bytes(b"\x00\x01")
    with pytest.raises(BundleError, match="cannot be loaded"):
        Predictor(draft_bundle(bundle.description, tmp_path / "broken.onnx"))


def test_serving_needs_numpy_pillow_and_onnxruntime_alone(make_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    make_bundle("object_detection")
    stream = BytesIO()
    Image.new("RGB", (64, 64), "white").save(stream, "PNG")
    (tmp_path / "photo.png").write_bytes(stream.getvalue())
    code = """
import pkgutil, sys
from pathlib import Path
import pizzeria.inference
for module in pkgutil.iter_modules(pizzeria.inference.__path__):
    __import__(f"pizzeria.inference.{module.name}")
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.openapi import describe
from pizzeria.inference.predictor import Predictor
bundle = open_bundle(Path(sys.argv[1]))
describe(bundle)
found = Contract(Predictor(bundle, 1), Limits()).answer("POST", "/predict", {}, Path(sys.argv[2]).read_bytes())
assert found.status == 200, found
heavy = "torch pandas pydantic great_expectations nannyml bentoml sklearn scipy omegaconf hydra plotly onnx".split()
print(sorted(set(heavy) & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "bundle"), str(tmp_path / "photo.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_table_is_answered_as_its_rows_are(make_predictor: Make) -> None:
    rng = np.random.default_rng(0)
    rows = [{"price": p, "demand": d, "day": "tue"} for p, d in rng.normal(size=(300, 2)).tolist()]
    rows[7]["price"] = None
    for task in ("tabular_classification", "tabular_regression"):
        predictor = make_predictor(task, folder=task)
        answer = predictor.columns(to_columns(rows, predictor.bundle.preprocessing))
        alone = predictor.rows(rows)
        assert answer.wire() == [one.wire() for one in alone]
        record = answer.record() | {"prediction_id": "01"}
        assert predictions_in(record) == 300
        assert list(unpack(record)) == [one.record() | {"prediction_id": f"01/{i}"} for i, one in enumerate(alone)]
        assert np.isnan(record["columns"]["feature:price"][7])
        assert list(unpack(record))[7]["feature:price"] is None
        if answer.probabilities is not None:
            expected = [round(float(p), 6) for p in answer.probabilities[:, 1]]
            assert [one["probabilities"]["up"] for one in answer.wire()] == expected


def test_a_network_that_overflows_says_nothing_of_a_photo(make_predictor: Make, tmp_path: Path) -> None:
    bundle = make_predictor("multilabel_classification").bundle
    model = onnx.load_from_string(bundle.read("model.onnx"))
    [white] = [one for one in model.graph.initializer if one.name == "white"]
    white.CopyFrom(onnx.numpy_helper.from_array(np.float32(0), "white"))
    onnx.save(model, tmp_path / "broken.onnx")
    broken = Predictor(draft_bundle(bundle.description, tmp_path / "broken.onnx"), threads=1)
    for colour in ("white", "black"):  # one is infinite, and one no number at all
        with pytest.raises(RequestError, match="no finite answer") as caught:
            broken.photo(photo(Image.new("RGB", (128, 128), colour)))
        assert caught.value.status == 422
