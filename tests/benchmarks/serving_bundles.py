"""What the serving benchmarks serve: bundles of three tasks, and requests with the answers that they must get.

The networks are not trained, but no less work than trained ones: batch norm has seen the photos, and the last layers
are scaled so that the answers differ from photo to photo. Otherwise a server that mixes answers up would pass.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from pizzeria.inference.bundle import draft_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.resize import resize
from pizzeria.inference.sample import answer_sample
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import tabular_network, timm_classifier, timm_detector
from pizzeria_plugins.room_renderer import CLASSES
from pizzeria_plugins.room_renderer.listing import render_listings

BACKBONE = "mobilenetv3_small_100"
ROOMS = ("bathroom", "bedroom", "dining_room", "entrance_hall", "kitchen", "living_room")
PHOTO_SIZE = (640, 480)
PHOTO_BYTES = 64_000
PHOTOS = 12
ROWS = 1000


@dataclass(frozen=True)
class Case:
    """One task to be served.

    Attributes:
        name: classifier, detector or table.
        bundle: Folder of the bundle.
        content_type: Of the bodies.
        bodies: Requests of `POST /predict`.
        weights: The trained network's, for a server that runs PyTorch.
    """

    name: str
    bundle: Path
    content_type: str
    bodies: tuple[bytes, ...]
    weights: Path


def prepare(folder: Path, name: str) -> Case:
    """The case of that name; the folder keeps what it takes half a minute to export."""
    home = folder / name
    if not (home / "bundle").is_dir():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        if name == "table":
            _table(home)
        else:
            {"classifier": _classifier, "detector": _detector}[name](home, render_photos())
    bodies = sorted((home / "bodies").iterdir())
    content_type = "application/json" if name == "table" else "image/jpeg"
    return Case(name, home / "bundle", content_type, tuple(map(Path.read_bytes, bodies)), home / "model.safetensors")


def render_photos(count: int = PHOTOS) -> tuple[bytes, ...]:
    """Rendered rooms as JPEGs of 640x480 pixels and about 64 kB, like those of a phone set to small."""
    photos = [photo for listing in render_listings((count + 2) // 3, seed=3) for photo in listing.photos][:count]
    return tuple(_of_size(Image.open(BytesIO(photo.jpeg)), np.random.default_rng(i)) for i, photo in enumerate(photos))


def _classifier(folder: Path, photos: tuple[bytes, ...]) -> None:
    """mobilenetv3_small_100 at 224 pixels, six classes of rooms."""
    problem = _problem("image_classification", ROOMS, "accuracy")
    options = timm_classifier.Options(backbone=BACKBONE)
    how = {"kind": "photos", "size": [options.image_size] * 2, "resize": "crop", "fill": 114}
    torch.manual_seed(0)
    network = timm_classifier.build(options, problem, how, pretrained=True)
    pixels = _pixels(photos, how)
    _settle(network, pixels)
    last = network.body.get_classifier()
    with torch.no_grad():
        logits = network(pixels)
        factor = 2 / logits.std(0).mean()
        last.bias.sub_(logits.mean(0)).mul_(factor)
        last.weight.mul_(factor)
    _pack(folder, timm_classifier, options, problem, how, network, photos)


def _detector(folder: Path, photos: tuple[bytes, ...]) -> None:
    """FCOS on mobilenetv3_small_100 at 256 pixels, the eight amenities of the demo, some ten boxes for each photo."""
    problem = _problem("object_detection", CLASSES, "map_50")
    options = timm_detector.Options(backbone=BACKBONE)
    how = {"kind": "photos", "size": [options.image_size] * 2, "resize": "letterbox", "fill": 114}
    torch.manual_seed(0)
    network = timm_detector.build(options, problem, how, pretrained=True)
    pixels = _pixels(photos, how)
    _settle(network, pixels)
    _spread(network, pixels)
    _pack(folder, timm_detector, options, problem, how, network, photos)


def _table(folder: Path) -> None:
    """A price that goes up or down, from ten numbers and two categories, like the electricity market's."""
    problem = _problem("tabular_classification", ("down", "up"), "accuracy", target="move")
    options = tabular_network.Options()
    numeric = [{"name": f"demand_{i}", "median": 0.4, "mean": 0.5, "std": 0.29} for i in range(10)]
    categorical = [
        {"name": "day", "values": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
        {"name": "zone", "values": [f"zone {i}" for i in range(20)]},
    ]
    how = {"kind": "columns", "numeric": numeric, "categorical": categorical, "target": {"name": "move"}}
    torch.manual_seed(0)
    network = tabular_network.build(options, problem, how, pretrained=True).eval()
    bodies = tuple(_rows(how, seed) for seed in range(4))
    _pack(folder, tabular_network, options, problem, how, network, bodies)


def _problem(task: str, classes: tuple[str, ...], metric: str, target: str | None = None) -> Problem:
    success = [{"metric": metric, "at_least": 0.5}]
    return Problem(need="a benchmark", owner="benchmarks", task=task, classes=classes, target=target, success=success)


def _of_size(image: Image.Image, rng: np.random.Generator) -> bytes:
    pixels = np.asarray(image.convert("RGB").resize(PHOTO_SIZE, Image.Resampling.BICUBIC), np.float32)
    grained = Image.fromarray((pixels + rng.normal(0, 5, pixels.shape)).clip(0, 255).astype(np.uint8))
    found = b""
    for quality in range(95, 40, -1):
        stream = BytesIO()
        grained.save(stream, "JPEG", quality=quality)
        found = stream.getvalue()
        if len(found) <= PHOTO_BYTES:
            break
    return found


def _pixels(photos: tuple[bytes, ...], how: dict[str, Any]) -> torch.Tensor:
    opened = [Image.open(BytesIO(photo)).convert("RGB") for photo in photos]
    return torch.from_numpy(np.stack([resize(photo, how)[0] for photo in opened]))


def _settle(network: torch.nn.Module, pixels: torch.Tensor) -> None:
    """Give batch norm the statistics of these photos."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean over all passes
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(pixels)
    network.eval()


def _spread(network: Any, pixels: torch.Tensor) -> None:
    """Make two in a thousand of a detector's places likely to show something, as training does."""
    head = network.fcos.head
    last, sides = head.classification_head.cls_logits, head.regression_head.bbox_reg
    seen: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda module, inputs, output: seen.append(output.movedim(1, -1).flatten(0, -2)))
    with torch.no_grad():
        network(pixels)
        hook.remove()
        logits = torch.cat(seen)
        factor = 4 / logits.std(0)
        last.weight.mul_(factor.view(-1, 1, 1, 1))
        last.bias.sub_(logits.quantile(0.998, dim=0)).mul_(factor)
        sides.weight.mul_(3)
        sides.bias.fill_(2)  # in strides


def _rows(how: dict[str, Any], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    columns = {column["name"]: rng.random(ROWS).round(6).tolist() for column in how["numeric"]}
    for column in how["categorical"]:
        columns[column["name"]] = rng.choice(column["values"], ROWS).tolist()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json.dumps({"rows": rows}).encode()


def _pack(
    folder: Path,
    plugin: Any,
    options: Any,
    problem: Problem,
    how: dict[str, Any],
    network: torch.nn.Module,
    bodies: tuple[bytes, ...],
) -> None:
    weights, model = folder / "model.safetensors", folder / "model.onnx"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
    plugin.export(options, problem, how, weights, model)
    calibration: dict[str, Any] = {"method": "none"}
    if problem.task == "object_detection":
        calibration["thresholds"] = dict.fromkeys(problem.classes, 0.5)
    description = {
        "name": folder.name,
        "task": problem.task,
        "classes": list(problem.classes),
        "preprocessing": how,
        "calibration": calibration,
        "metrics": {},
        "gate": [],
        "lineage": {},
        "versions": {},
    }
    sample = ("request.json" if how["kind"] == "columns" else "request.jpg", bodies[0])
    answer = answer_sample(Predictor(draft_bundle(description, model), 1), sample)
    (folder / "bodies").mkdir()
    for number, body in enumerate(bodies):
        (folder / "bodies" / f"{number:02d}").write_bytes(body)
    write_bundle(folder / "bundle", description, model, sample, answer)
