from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import timm_classifier, timm_probe
from pizzeria_plugins.models.backbone import Embedder

BACKBONE = {"backbone": "test_resnet", "image_size": 64}


def problem(task: str) -> Problem:
    return Problem(
        need="test", owner="test", task=task, classes=("a", "b", "c"), success=({"metric": "f1", "at_least": 0.5},)
    )


@pytest.mark.parametrize(("task", "hidden"), [("image_classification", 0), ("multilabel_classification", 16)])
def test_the_exported_graph_answers_as_backbone_and_head(tmp_path: Path, task: str, hidden: int) -> None:
    options = timm_probe.Options(**BACKBONE, hidden=hidden)
    embedder = Embedder("test_resnet", 64, None, None)
    preprocessing = {"kind": "photos", "size": [64, 64], "resize": "crop", "embedding": embedder.width}
    torch.manual_seed(1)
    probe = timm_probe.build(options, problem(task), preprocessing, pretrained=True)
    probe.train()(torch.randn(64, embedder.width) * 3 + 1)  # so that the statistics are not those of a new network
    probe.eval()
    save_file({k: v.contiguous() for k, v in probe.state_dict().items()}, tmp_path / "w.safetensors")
    timm_probe.export(options, problem(task), preprocessing, tmp_path / "w.safetensors", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    for count in (1, 3):
        photos = np.random.default_rng(0).integers(0, 255, (count, 64, 64, 3), dtype=np.uint8)
        found, embedding = session.run(["probabilities", "embedding"], {"images": photos})
        expected = embedder(torch.from_numpy(photos))
        np.testing.assert_allclose(embedding, expected.numpy(), atol=1e-4)
        np.testing.assert_allclose(found, probe.predict(probe(expected)), atol=1e-4)


def test_an_embedding_is_what_goes_into_the_last_layer_of_the_classifier() -> None:
    torch.manual_seed(0)
    classifier = timm_classifier.build(
        timm_classifier.Options(**BACKBONE), problem("image_classification"), {"size": [64, 64]}, pretrained=True
    ).eval()
    embedder = Embedder("test_resnet", 64, None, None)
    embedder.body.load_state_dict(classifier.body.state_dict(), strict=False)
    photos = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8)
    torch.testing.assert_close(embedder(photos), classifier.embed(photos)[1].detach())


def test_random_weights_are_always_the_same_and_disturb_nothing() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other = (Embedder("test_resnet", 64, None, None) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
