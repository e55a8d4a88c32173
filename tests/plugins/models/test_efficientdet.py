import copy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from pizzeria.errors import PluginError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import efficientdet
from pizzeria_plugins.models.effdet_network import _labeler

PREPROCESSING = {"kind": "photos", "size": [128, 128], "resize": "letterbox", "fill": 114}
PROBLEM = Problem(
    need="test",
    owner="test",
    task="object_detection",
    classes=("bed", "sofa", "sink"),
    success=({"metric": "map_50", "at_least": 0.5},),
)
TRUTH = [{"boxes": torch.tensor([[16.0, 16, 56, 56], [60, 40, 124, 124]]), "labels": torch.tensor([0, 2])}]


def options(**more: object) -> efficientdet.Options:
    small = {"backbone": "test_resnet", "image_size": 128, "fpn_channels": 32, "fpn_cells": 1, "head_convs": 1}
    return efficientdet.Options(**(small | more))


def build(settings: efficientdet.Options) -> torch.nn.Module:
    torch.manual_seed(0)
    return efficientdet.build(settings, PROBLEM, PREPROCESSING, pretrained=True)


def photos(count: int, side: int = 128) -> torch.Tensor:
    coarse = np.random.default_rng(count).integers(0, 255, (count, side // 8, side // 8, 3), dtype=np.uint8)
    return torch.from_numpy(coarse.repeat(8, axis=1).repeat(8, axis=2))


def test_the_exported_graph_answers_as_the_network(tmp_path: Path) -> None:
    settings = options(backbone="test_vit", strides=(16, 32), score_floor=0.2)
    network = build(settings)
    with torch.no_grad():
        network.class_net.predict.conv_pw.bias.add_(2)
    network.train()
    network(photos(8))  # gives batch norm some statistics
    network.eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w.safetensors")
    efficientdet.export(settings, PROBLEM, PREPROCESSING, tmp_path / "w.safetensors", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [("images", [1, 128, 128, 3], "tensor(uint8)")]
    assert [o.name for o in session.get_outputs()] == ["boxes", "scores", "labels", "embedding"]
    total = 0
    for photo in photos(4):
        with torch.no_grad():
            expected = network.predict(network.from_stem(*network.stem(photo[None])))[0]
            coarsest = network.stem(photo[None])[-1]
        boxes, scores, labels, embedding = session.run(None, {"images": photo[None].numpy()})
        np.testing.assert_allclose(embedding, coarsest.mean(dim=(2, 3)), atol=1e-4)
        np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
        for box, score, label in zip(expected.xyxy, expected.scores, expected.labels, strict=True):
            assert (
                np.abs(boxes - box).max(axis=1) + 1e3 * np.abs(scores - score) + 1e3 * (labels != label)
            ).min() < 0.1
        total += len(scores)
    assert total > 20


def test_it_learns_photos_by_heart_also_when_it_is_a_copy() -> None:
    network = copy.deepcopy(build(options(strides=(16, 32, 64))))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    network.train()
    photo, truth = photos(2), TRUTH * 2
    for _ in range(80):
        optimizer.zero_grad()
        torch.stack(list(network.loss(network(photo), truth).values())).sum().backward()
        optimizer.step()
    with torch.no_grad():
        found = network.predict(network(photo))[0]
    for box, label in zip(TRUTH[0]["boxes"].numpy(), (0, 2), strict=True):
        assert np.abs(found.xyxy[found.labels == label] - box).max(axis=1).min() < 4


def test_the_loss_is_effdets_own() -> None:
    from effdet.loss import loss_fn

    network = build(options(strides=(16, 32, 64), focal_alpha=0.3, focal_gamma=1.2, box_weight=20.0)).eval()
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    truth = [*TRUTH, empty]
    with torch.no_grad():
        outputs = network(photos(2))
        levels = network.fpn(list(network.stem(photos(2))))
        heads = network.class_net(list(levels)), network.box_net(list(levels))
        found = network.loss(outputs, truth)
    labeler = _labeler(network.anchors, (128, 128), 3, torch.device("cpu"))
    targets = labeler.batch_label_anchors(
        [target["boxes"][:, [1, 0, 3, 2]] for target in truth], [target["labels"] + 1 for target in truth]
    )
    settings = {"num_classes": 3, "alpha": 0.3, "gamma": 1.2, "delta": 0.1, "box_loss_weight": 20.0}
    total, classes, _ = loss_fn(*heads, *targets, **settings)
    torch.testing.assert_close(found["classification"], classes)
    torch.testing.assert_close(sum(found.values()), total)


def test_photos_of_another_size_are_learnt_from_and_answered() -> None:
    network = build(options(strides=(8, 16, 32, 64)))
    for side in (96, 160, 128):
        outputs = network(photos(1, side))
        assert outputs.size == (side, side)
        assert outputs.logits.shape[1] == 9 * sum((-(-side // stride)) ** 2 for stride in (8, 16, 32, 64))
        assert all(torch.isfinite(loss) for loss in network.loss(outputs, TRUTH).values())
        with torch.no_grad():
            assert network.decode(outputs)[0].max() <= side


def test_a_frozen_backbone_and_class_weights() -> None:
    network = build(options(freeze_backbone=True, class_weights={"bed": 4.0})).train()
    torch.stack(list(network.loss(network(photos(1)), TRUTH).values())).sum().backward()
    assert all(parameter.grad is None for parameter in network.backbone_parameters())
    assert network.class_net.predict.conv_pw.weight.grad is not None
    assert network.class_weights.value.tolist() == [4, 1, 1]


def test_strides_that_cannot_be_had_are_refused() -> None:
    for strides in ((8, 24), (16, 8), (7, 14), (8, 32)):
        with pytest.raises(ValidationError, match="powers of two, each twice the one before"):
            options(strides=strides)
    with pytest.raises(PluginError, match="whose feature maps have the strides 14"):
        build(options(backbone="eva02_tiny_patch14_224", image_size=224))
