"""Any timm backbone serves every image task: small members of many families, with random weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from pizzeria.errors import PluginError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import timm_classifier, timm_detector
from pizzeria_plugins.models.backbone import Embedder
from pizzeria_plugins.models.feature_maps import Level, levels_of
from pizzeria_plugins.models.pyramid import plan

FAMILIES = (
    "test_byobnet",
    "test_convnext",
    "test_efficientnet",
    "test_mambaout",
    "test_nfnet",
    "test_resnet",
    "test_vit",
    "edgenext_xx_small",
    "levit_128s",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035",
    "tf_efficientnet_lite0",
)
EXPORTED = ("test_mambaout", "test_vit")
"""Maps with the channels last, and a single stride. Others are exported by the tests of the models themselves."""
SIZE = 64
PREPROCESSING = {"kind": "photos", "size": [SIZE, SIZE], "resize": "letterbox", "fill": 114}


def problem(task: str) -> Problem:
    metric = "map_50" if task == "object_detection" else "f1"
    return Problem(need="t", owner="t", task=task, classes=("a", "b"), success=({"metric": metric, "at_least": 0.5},))


def detector(backbone: str, **more: object) -> timm_detector.Options:
    given = {"image_size": SIZE, "head_convs": 0, "fpn_channels": 32, "score_floor": 0.008}
    return timm_detector.Options(**(given | {"backbone": backbone} | more))


def photos(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 255, (count, SIZE, SIZE, 3), dtype=np.uint8))


def gradients(network: Any, targets: Any) -> set[str]:
    """Names of the parameters that one step of training would change."""
    network.train()
    torch.stack(list(network.loss(network(photos(2)), targets).values())).sum().backward()
    return {name for name, parameter in network.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("backbone", FAMILIES)
def test_detectors_classifiers_and_embeddings_work_with_it(backbone: str) -> None:
    torch.manual_seed(0)
    found = timm_detector.build(detector(backbone), problem("object_detection"), PREPROCESSING, pretrained=True)
    box = {"boxes": torch.tensor([[4.0, 4, 40, 40]]), "labels": torch.tensor([1])}
    named = gradients(found, [box, box])
    assert any(".body." in name for name in named)
    assert any(".head." in name for name in named)
    found.eval()
    with torch.no_grad():
        outputs, through = found(photos(2)), found.from_stem(*found.stem(photos(2)))
    assert outputs.per_level == [64, 16, 4]
    torch.testing.assert_close(outputs.logits, through.logits)

    kind = problem("image_classification")
    options = timm_classifier.Options(backbone=backbone, image_size=SIZE)
    classifier = timm_classifier.build(options, kind, PREPROCESSING, pretrained=True)
    assert gradients(classifier, torch.tensor([0, 1]))
    assert classifier.eval().predict(classifier(photos(2))).shape == (2, 2)
    assert Embedder(backbone, SIZE, None, None)(photos(2)).shape[0] == 2


@pytest.mark.parametrize("backbone", EXPORTED)
def test_both_are_exported_with_it(tmp_path: Path, backbone: str) -> None:
    torch.manual_seed(0)
    weights, onnx = tmp_path / "w.safetensors", tmp_path / "m.onnx"
    for model, options, kind in (
        (timm_detector, detector(backbone), problem("object_detection")),
        (timm_classifier, timm_classifier.Options(backbone=backbone, image_size=SIZE), problem("image_classification")),
    ):
        network = model.build(options, kind, PREPROCESSING, pretrained=True).eval()
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
        model.export(options, kind, PREPROCESSING, weights, onnx)
        answers = onnxruntime.InferenceSession(onnx).run(None, {"images": photos(1).numpy()})
        with torch.no_grad():
            expected = network.predict(network(photos(1)))
        if model is timm_classifier:
            np.testing.assert_allclose(answers[0], expected, atol=1e-5)
        else:
            assert len(answers[1])
            np.testing.assert_allclose(answers[1], expected[0].scores, atol=1e-5)


def test_missing_levels_are_made() -> None:
    assert levels_of("vit_tiny_patch16_224", SIZE) == (Level(11, 16),)  # the last of twelve blocks
    assert plan("test_vit", SIZE, (8, 16, 32)) == ((8,), (16,), (32,))
    assert plan("test_resnet", SIZE, (16, 32, 64, 128)) == ((), (16, 32), (64, 128))
    assert plan("eva02_tiny_patch14_224", 224, (7, 14, 28)).own == (14,)


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (
            detector("eva02_tiny_patch14_224", image_size=224),
            "feature maps have the strides 14",
            r"such as \[7, 14, 28\]",
        ),
        (detector("pit_ti_224", image_size=224), "27 places wide instead of 28", "padded convolutions"),
        (detector("test_resnet", strides=(4, 16, 128)), "cannot be had", "twice the one before"),
        (detector("resmlp_12_224", image_size=224, strides=(8,)), "cannot be had", r"such as \[8, 16, 32\]"),
    ],
)
def test_what_cannot_work_is_refused_with_the_fix(options: timm_detector.Options, said: str, hint: str) -> None:
    size = {"size": [options.image_size, options.image_size]}
    with pytest.raises(PluginError, match=said) as caught:
        timm_detector.build(options, problem("object_detection"), size, pretrained=True)
    assert re.search(hint, caught.value.hint)


def test_a_classifier_refuses_a_size_that_its_backbone_does_not_take() -> None:
    options = timm_classifier.Options(backbone="test_vit", image_size=100)
    with pytest.raises(PluginError, match="takes no photos of 100 px") as caught:
        timm_classifier.build(options, problem("image_classification"), {"size": [100, 100]}, pretrained=True)
    assert "another model.image_size" in caught.value.hint
