from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from pizzeria.inference import saliency as module
from pizzeria.inference.bundle import draft_bundle
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.photos import Photo
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.saliency import CELLS, FEWEST_MASKS, MASKS, mask, saliency

SIZE = 64
LEFT, TOP, RIGHT, BOTTOM = 36, 10, 52, 26
"""The part of the network's image that the graph looks at."""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Predictor]:
    """A graph whose classes are: as bright as one part of the image, as dark as it, and neither."""

    def make(resize: str = "crop", task: str = "image_classification") -> Predictor:
        nodes = [
            helper.make_node("Slice", ["images", "start", "end", "axes"], ["part"]),
            helper.make_node("Cast", ["part"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Div", ["mean", "white"], ["bright"]),
            helper.make_node("Unsqueeze", ["bright", "axis"], ["first"]),
            helper.make_node("MatMul", ["first", "slopes"], ["sloped"]),
            helper.make_node("Add", ["sloped", "offsets"], ["probabilities"]),
        ]
        constants = {
            "start": np.array([TOP, LEFT], np.int64),
            "end": np.array([BOTTOM, RIGHT], np.int64),
            "axes": np.array([1, 2], np.int64),
            "axis": np.array([1], np.int64),
            "white": np.float32(255),
            "slopes": np.array([[0.9, -0.9, 0]], np.float32),
            "offsets": np.array([0, 0.9, 0.1], np.float32),
        }
        stored = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
        output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])
        graph = helper.make_graph(nodes, "test", [images], [output], stored)
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "model.onnx"
        )
        classes = ["bright", "dark", "neither"]
        calibration: dict[str, Any] = {"method": "none"}
        if task == "multilabel_classification":
            calibration["thresholds"] = dict.fromkeys(classes, 0.5)
        description: dict[str, Any] = {
            "name": "parts",
            "task": task,
            "classes": classes,
            "preprocessing": {"kind": "photos", "size": [SIZE, SIZE], "resize": resize, "fill": 114},
            "calibration": calibration,
            **{"metrics": {}, "gate": [], "lineage": {}, "versions": {}},
        }
        return Predictor(draft_bundle(description, tmp_path / "model.onnx"), threads=1)

    return make


def dark_photo(size: tuple[int, int], light: tuple[int, int, int, int]) -> Photo:
    """Dark noise, with one part (left, top, right, bottom) in white."""
    pixels = np.random.default_rng(0).integers(0, 60, (size[1], size[0], 3)).astype(np.uint8)
    pixels[light[1] : light[3], light[0] : light[2]] = 255
    return Photo(Image.fromarray(pixels), *size)


def check_points_at(found: np.ndarray, left: float, top: float, right: float, bottom: float) -> None:
    """The map's greatest value lies within, and its mean within is far above that of its corners."""
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert left <= x < right
    assert top <= y < bottom
    assert found.max() == 255
    within = found[round(top) : round(bottom), round(left) : round(right)].mean()
    tall, wide = found.shape[0] // 8, found.shape[1] // 8
    corners = [
        found[rows, columns]
        for rows in (slice(tall), slice(-tall, None))
        for columns in (slice(wide), slice(-wide, None))
    ]
    assert within > 190
    assert max(corner.mean() for corner in corners) < 110


def test_the_map_points_at_what_the_network_looks_at(make: Any) -> None:
    photo = dark_photo((SIZE, SIZE), (LEFT, TOP, RIGHT, BOTTOM))
    found = saliency(make(), photo, 0)
    assert (found.map.shape, found.map.dtype, found.masks) == ((SIZE, SIZE), np.uint8, MASKS)
    check_points_at(found.map, LEFT, TOP, RIGHT, BOTTOM)
    against = saliency(make(), photo, 1).map  # where it speaks against a class, the map is lowest
    np.testing.assert_allclose(against, 255 - found.map.astype(int), atol=1)


def test_a_letterboxed_photo_is_mapped_whole(make: Any) -> None:
    times = 400 / SIZE  # 400 x 250 lies in 64 x 40 pixels of the network's image
    light = tuple(round(edge * times) for edge in (LEFT, TOP, RIGHT, BOTTOM))
    found = saliency(make("letterbox"), dark_photo((400, 250), light), 0).map
    assert found.shape == (140, 224)
    small = 224 / 400
    check_points_at(found, light[0] * small, light[1] * small, light[2] * small, light[3] * small)


def test_what_a_crop_leaves_out_matters_nothing(make: Any) -> None:
    # The middle 100 x 100 of 200 x 100 pixels are what the network sees.
    scale = 100 / SIZE
    light = (50 + round(LEFT * scale), round(TOP * scale), 50 + round(RIGHT * scale), round(BOTTOM * scale))
    found = saliency(make(), dark_photo((200, 100), light), 0).map
    assert found.shape == (100, 200)
    assert not found[:, :50].any()
    assert not found[:, 150:].any()
    check_points_at(found[:, 50:150], light[0] - 50, light[1], light[2] - 50, light[3])


def test_a_photo_that_was_decoded_smaller_is_mapped_in_its_own_shape(make: Any) -> None:
    large = dark_photo((1200, 800), (600, 100, 900, 400))
    smaller = Photo(large.image.reduce(4), 1200, 800)
    whole, reduced = (saliency(make("letterbox"), photo, 0).map for photo in (large, smaller))
    assert whole.shape == reduced.shape == (149, 224)
    assert np.abs(whole.astype(int) - reduced).mean() < 3


def test_the_same_photo_gets_the_same_map(make: Any) -> None:
    photo = dark_photo((90, 70), (50, 10, 70, 30))
    first, second = (saliency(make(), photo, 0) for _ in range(2))
    assert (first.map == second.map).all()
    assert first.png() == second.png()


def plain_mask(number: int, height: int, width: int) -> list[list[float]]:
    """Bilinear interpolation between the centres of cells, pixel by pixel."""
    cells, (down, right) = module._grid(number)

    def near(at: float, moved: float, pixels: int) -> tuple[int, int, float]:
        place = min(max((at + 0.5) * CELLS / pixels + moved - 0.5, 0), CELLS)
        low = min(int(place), CELLS - 1)
        return low, low + 1, place - low

    out = []
    for y in range(height):
        row = []
        top, bottom, v = near(y, down, height)
        for x in range(width):
            left, rightmost, u = near(x, right, width)
            upper = cells[top][left] * (1 - u) + cells[top][rightmost] * u
            lower = cells[bottom][left] * (1 - u) + cells[bottom][rightmost] * u
            row.append(float(upper * (1 - v) + lower * v))
        out.append(row)
    return out


def test_the_map_is_what_the_paper_defines(make: Any) -> None:
    """The mean of all masks, each weighted with the probability under it, one after the other."""
    predictor, photo = make(), dark_photo((SIZE, SIZE), (20, 5, 45, 40))
    pixels = np.asarray(photo.image).astype(float)
    mean = pixels.mean(axis=(0, 1))
    total, count = np.zeros((SIZE, SIZE)), 40
    for number in range(count // 2):
        one = np.array(plain_mask(number, SIZE, SIZE))
        for shown in (one, 1 - one):
            image = np.array(
                [
                    [p * m + mean * (1 - m) for p, m in zip(*rows, strict=True)]
                    for rows in zip(pixels, shown, strict=True)
                ]
            )
            probability = predictor.network(np.rint(image).astype(np.uint8)[None]).probabilities[0, 0]
            total += shown * float(probability) / count
    expected = (total - total.min()) / (total.max() - total.min()) * 255
    found = saliency(predictor, photo, 0, masks=count)
    assert found.masks == count
    np.testing.assert_allclose(found.map, expected, atol=2)


def test_masks_cover_all_pixels_alike() -> None:
    masks = np.stack([mask(number, 30, 50) for number in range(400)])
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert np.abs(masks.mean(axis=0) - 0.5).max() < 0.1
    assert (mask(3, 30, 50) == masks[3]).all()
    assert not (masks[0] == masks[1]).all()


def test_without_time_few_masks_must_do(make: Any) -> None:
    found = saliency(make(), dark_photo((SIZE, SIZE), (LEFT, TOP, RIGHT, BOTTOM)), 0, timeout_s=0)
    assert found.masks == FEWEST_MASKS
    y, _ = np.unravel_index(found.map.argmax(), found.map.shape)
    assert TOP - 8 <= y < BOTTOM + 8


@pytest.mark.parametrize(("size", "shape"), [((1, 1), (1, 1)), ((3, 900), (224, 1)), ((2000, 2), (1, 224))])
def test_odd_shapes_are_mapped(make: Any, size: tuple[int, int], shape: tuple[int, int]) -> None:
    for resize in ("crop", "letterbox"):
        assert saliency(make(resize), Photo(Image.new("RGB", size, "red"), *size), 0, masks=2).map.shape == shape


def test_where_all_parts_are_alike_none_matters(make: Any) -> None:
    assert not saliency(make(), Photo(Image.new("RGB", (100, 80), "white"), 100, 80), 0).map.any()
    assert not saliency(make(), dark_photo((SIZE, SIZE), (LEFT, TOP, RIGHT, BOTTOM)), 2).map.any()


@pytest.mark.parametrize("task", ["image_classification", "multilabel_classification"])
def test_on_the_wire(make: Any, task: str) -> None:
    contract = Contract(make(task=task), Limits(explain_s=60))
    stream = BytesIO()
    dark_photo((160, 120), (87, 18, 119, 50)).image.save(stream, "PNG")
    reply = contract.answer("POST", "/predict?explain=true", {"Content-Type": "image/png"}, stream.getvalue())
    said = json.loads(reply.body)["explanation"]
    assert (said["class"], said["method"], said["masks"]) == ("bright", "rise", MASKS)
    image = Image.open(BytesIO(base64.b64decode(said["image"])))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (160, 120))
    plain = contract.answer("POST", "/predict", {"Content-Type": "image/png"}, stream.getvalue())
    assert "explanation" not in json.loads(plain.body)


def test_one_explanation_at_a_time_and_answers_do_not_wait(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = Contract(make(), Limits())
    stream = BytesIO()
    Image.new("RGB", (60, 40), "white").save(stream, "PNG")

    def ask(query: str) -> Any:
        return contract.answer("POST", f"/predict{query}", {"Content-Type": "image/png"}, stream.getvalue())

    meanwhile = []

    def explain(*_: Any) -> dict[str, str]:
        meanwhile.extend([ask("?explain=true"), ask("")])
        return {}

    monkeypatch.setattr("pizzeria.inference.contract.explain_photo", explain)
    assert ask("?explain=true").status == 200
    assert [reply.status for reply in meanwhile] == [429, 200]
    monkeypatch.undo()
    assert ask("?explain=true").status == 200


def test_boxes_need_no_map(make_predictor: Any, jpeg: Any) -> None:
    contract = Contract(make_predictor("object_detection"), Limits())
    reply = contract.answer("POST", "/predict?explain=true", {"Content-Type": "image/jpeg"}, jpeg())
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (422, "no_explanation")
