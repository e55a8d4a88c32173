from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from pizzeria.errors import PluginError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import timm_classifier
from pizzeria_plugins.models.classifier import Probabilities

PREPROCESSING = {"kind": "photos", "size": [64, 64], "resize": "crop", "fill": 114}


def problem(task: str) -> Problem:
    return Problem(
        need="test", owner="test", task=task, classes=("a", "b", "c"), success=({"metric": "f1", "at_least": 0.5},)
    )


def options(**more: object) -> timm_classifier.Options:
    return timm_classifier.Options(**({"backbone": "test_resnet", "image_size": 64} | more))


@pytest.mark.parametrize("task", ["image_classification", "multilabel_classification"])
def test_the_exported_graph_answers_as_the_network(tmp_path: Path, task: str) -> None:
    torch.manual_seed(0)
    network = timm_classifier.build(options(), problem(task), PREPROCESSING, pretrained=True).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w.safetensors")
    timm_classifier.export(options(), problem(task), PREPROCESSING, tmp_path / "w.safetensors", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for count in (1, 5):
        photos = np.random.default_rng(0).integers(0, 255, (count, 64, 64, 3), dtype=np.uint8)
        found, embedding = session.run(["probabilities", "embedding"], {"images": photos})
        with torch.no_grad():
            expected = network.predict(network(torch.from_numpy(photos)))
            logits = network._last_layer()(torch.from_numpy(embedding))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(network.predict(logits), expected, atol=1e-4)
        if task == "image_classification":
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_label_smoothing_asks_for_less_certainty() -> None:
    sure = torch.tensor([[9.0, -9.0, -9.0]])
    for task, truth in (
        ("image_classification", torch.tensor([0])),
        ("multilabel_classification", torch.tensor([[1.0, 0, 0]])),
    ):
        plain, smooth = (
            timm_classifier.build(options(label_smoothing=s), problem(task), PREPROCESSING, pretrained=True)
            for s in (0, 0.2)
        )
        assert float(plain.loss(sure, truth)["cross_entropy"]) < 0.01
        assert float(smooth.loss(sure, truth)["cross_entropy"]) > 0.5


def test_dropout_and_freezing_work() -> None:
    network = timm_classifier.build(
        options(dropout=0.9, freeze_backbone=True), problem("image_classification"), PREPROCESSING, pretrained=True
    ).train()
    photos = torch.randint(0, 255, (4, 64, 64, 3), dtype=torch.uint8)
    assert not torch.equal(network(photos), network(photos)) or network.body.drop_rate == 0.9
    network.loss(network(photos), torch.tensor([0, 1, 2, 0]))["cross_entropy"].backward()
    trained = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert trained == {"body.fc.weight", "body.fc.bias"}
    assert not network.body.conv1.training


def test_an_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(PluginError, match="timm has no model 'resnet8'"):
        timm_classifier.build(
            options(backbone="resnet8"), problem("image_classification"), PREPROCESSING, pretrained=True
        )


def test_a_model_whose_head_is_not_its_last_layer_goes_without_embeddings(tmp_path: Path) -> None:
    network = timm_classifier.build(options(), problem("image_classification"), PREPROCESSING, pretrained=True).eval()
    photos = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8)
    assert network.embeds(photos)
    # Not the input of the last layer, which wants as many numbers as the backbone has channels.
    network.body.forward_head = lambda features, pre_logits=False: features.mean(dim=(2, 3))[:, :3]
    assert not network.embeds(photos)
    assert Probabilities(network, photos).outputs == ["probabilities"]
    assert len(Probabilities(network, photos)(photos)) == 1
