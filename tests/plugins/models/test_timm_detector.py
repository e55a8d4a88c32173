from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from pizzeria.errors import PluginError, TrainingError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import timm_detector

PREPROCESSING = {"kind": "photos", "size": [128, 128], "resize": "letterbox", "fill": 114}
PROBLEM = Problem(
    need="test",
    owner="test",
    task="object_detection",
    classes=("bed", "sofa", "sink"),
    success=({"metric": "map_50", "at_least": 0.5},),
)


def options(**more: object) -> timm_detector.Options:
    return timm_detector.Options(**({"image_size": 128, "fpn_channels": 32, "head_convs": 1} | more))


def lively(settings: timm_detector.Options) -> torch.nn.Module:
    """A network whose scores differ from place to place, as a trained one's do."""
    torch.manual_seed(0)
    network = timm_detector.build(settings, PROBLEM, PREPROCESSING, pretrained=True)
    with torch.no_grad():
        fcos = settings.head == "fcos"
        head = network.fcos.head if fcos else network.retina.head
        head.classification_head.cls_logits.weight.mul_(60 if fcos else 10)
        head.classification_head.cls_logits.bias.add_(0 if fcos else 2)
        head.regression_head.bbox_reg.weight.mul_(30 if fcos else 2)
    network.train()
    network(photos(8))  # gives batch norm some statistics
    return network.eval()


def photos(count: int) -> torch.Tensor:
    rng = np.random.default_rng(count)
    coarse = rng.integers(0, 255, (count, 16, 16, 3), dtype=np.uint8)
    return torch.from_numpy(coarse.repeat(8, axis=1).repeat(8, axis=2))


@pytest.mark.parametrize(
    ("backbone", "head", "strides"),
    [
        ("mobilenetv3_small_050", "fcos", (8, 16)),
        ("test_resnet", "fcos", (8, 16, 32, 64)),
        ("test_resnet", "retinanet", (16, 32)),
    ],
)
def test_the_exported_graph_answers_as_the_network(
    tmp_path: Path, backbone: str, head: str, strides: tuple[int, ...]
) -> None:
    settings = options(backbone=backbone, head=head, strides=strides, score_floor=0.2)
    network = lively(settings)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "weights.safetensors")
    timm_detector.export(settings, PROBLEM, PREPROCESSING, tmp_path / "weights.safetensors", tmp_path / "model.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "weights.safetensors"]

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [("images", [1, 128, 128, 3], "tensor(uint8)")]
    assert [o.name for o in session.get_outputs()] == ["boxes", "scores", "labels", "embedding"]
    total = 0
    for photo in photos(6):
        with torch.no_grad():
            expected = network.predict(network(photo[None]))[0]
        boxes, scores, labels, embedding = session.run(None, {"images": photo[None].numpy()})
        with torch.no_grad():
            coarsest = network.stem(photo[None])[-1]
        np.testing.assert_allclose(embedding, coarsest.mean(dim=(2, 3)), atol=1e-4)
        np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
        # Scores that differ by less than rounding may change places.
        assert len(boxes) == len(expected.xyxy)
        for box, score, label in zip(expected.xyxy, expected.scores, expected.labels, strict=True):
            far = np.abs(boxes - box).max(axis=1) + 1e3 * np.abs(scores - score) + 1e3 * (labels != label)
            assert far.min() < 0.1
        assert (boxes.dtype, scores.dtype, labels.dtype) == (np.float32, np.float32, np.int64)
        assert boxes.min(initial=0) >= 0
        assert boxes.max(initial=0) <= 128
        assert (np.diff(scores) <= 0).all()
        total += len(scores)
    assert total > 20


def test_each_anchor_of_a_retinanet_learns_the_box_that_it_overlaps() -> None:
    """The loss falls to where boxes come out as they should, on one photo that is learnt by heart."""
    torch.manual_seed(0)
    network = timm_detector.build(
        options(backbone="test_resnet", head="retinanet", strides=(16, 32), anchors={"size": 3}),
        PROBLEM,
        PREPROCESSING,
        pretrained=True,
    )
    truth = [{"boxes": torch.tensor([[16.0, 16, 56, 56], [60, 40, 124, 124]]), "labels": torch.tensor([0, 2])}]
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    network.train()
    photo = photos(1)
    for _ in range(60):
        optimizer.zero_grad()
        losses = network.loss(network(photo), truth)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    assert set(losses) == {"classification", "bbox_regression"}
    with torch.no_grad():
        found = network.predict(network(photo))[0]
    for box, label in zip(truth[0]["boxes"].numpy(), (0, 2), strict=True):
        best = np.abs(found.xyxy[found.labels == label] - box).max(axis=1).min()
        assert best < 4


def test_options_of_the_other_head_are_refused() -> None:
    for wrong, said in (
        ({"anchors": {"size": 2}}, "the head fcos has none"),
        ({"head": "retinanet", "center_radius": 2.0}, "the head retinanet has none"),
        ({"head": "retinanet", "head_convs": 5}, "4 at most"),
        ({"head": "retinanet", "anchors": {"positive_iou": 0.3}}, "write a smaller one"),
        ({"head": "retinanet", "anchors": {"ratios": (1.0, -1.0)}}, "above 0"),
    ):
        with pytest.raises(ValidationError, match=said):
            options(**wrong)


def test_a_photo_without_any_box_gives_empty_arrays(tmp_path: Path) -> None:
    settings = options(score_floor=0.999, strides=(16, 32))
    network = timm_detector.build(settings, PROBLEM, PREPROCESSING, pretrained=True).eval()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "w.safetensors")
    timm_detector.export(settings, PROBLEM, PREPROCESSING, tmp_path / "w.safetensors", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    photo = photos(1)
    boxes, scores, labels, _ = session.run(None, {"images": photo.numpy()})
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))
    with torch.no_grad():
        found = network.predict(network(photo))[0]
    assert (found.xyxy.shape, found.scores.shape, found.labels.shape) == ((0, 4), (0,), (0,))


def test_max_detections_is_kept_by_network_and_options() -> None:
    network = lively(options(max_detections=5, score_floor=0.01))
    with torch.no_grad():
        found = network.predict(network(photos(2)))
    assert [len(boxes.scores) for boxes in found] == [5, 5]


def test_small_boxes_go_to_fine_levels_and_every_box_is_matched() -> None:
    network = timm_detector.build(options(), PROBLEM, PREPROCESSING, pretrained=True)
    outputs = network(photos(1))
    fine, middle, _ = outputs.per_level
    assert outputs.places[0].tolist() == [0, 0, 8, 8]
    assert outputs.places[fine].tolist() == [0, 0, 16, 16]
    assert outputs.places[fine + middle].tolist() == [0, 0, 32, 32]
    matched = []
    network.fcos.head.compute_loss = lambda targets, found, places, rows: matched.extend(rows) or {}
    boxes = torch.tensor([[10.0, 10, 40, 40], [0, 0, 128, 128]])
    network.loss(outputs, [{"boxes": boxes, "labels": torch.tensor([0, 1])}])
    places = [torch.nonzero(matched[0] == row).flatten() for row in (0, 1)]
    assert len(places[0])
    assert places[0].max() < fine
    assert len(places[1])
    assert places[1].min() >= fine


def test_a_photo_without_truth_has_a_loss() -> None:
    network = timm_detector.build(options(), PROBLEM, PREPROCESSING, pretrained=True)
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    losses = network.loss(network(photos(2)), [empty, empty])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert float(losses["bbox_regression"].detach()) == 0


def test_a_frozen_backbone_stays_as_it_is() -> None:
    network = timm_detector.build(options(freeze_backbone=True), PROBLEM, PREPROCESSING, pretrained=True).train()
    before = {name: value.clone() for name, value in network.fcos.backbone.maps.state_dict().items()}
    truth = {"boxes": torch.tensor([[10.0, 10, 40, 40]]), "labels": torch.tensor([0])}
    sum(network.loss(network(photos(1)), [truth]).values()).backward()
    assert all(parameter.grad is None for parameter in network.fcos.backbone.maps.parameters())
    assert network.fcos.head.classification_head.cls_logits.weight.grad is not None
    assert all(torch.equal(value, before[name]) for name, value in network.fcos.backbone.maps.state_dict().items())


def test_an_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(PluginError, match="timm has no model 'mobilnetv3_smal_100'") as caught:
        timm_detector.build(options(backbone="mobilnetv3_smal_100"), PROBLEM, PREPROCESSING, pretrained=True)
    assert "mobilenetv3_small_100" in caught.value.hint


def test_a_stride_that_the_backbone_lacks_is_refused() -> None:
    for strides in ((64, 128), (16, 64), (8, 24)):
        with pytest.raises(PluginError, match="strides 2, 4, 8, 16, 32") as caught:
            timm_detector.build(options(strides=strides), PROBLEM, PREPROCESSING, pretrained=True)
        assert "such as [8, 16, 32]" in caught.value.hint
    with pytest.raises(ValidationError, match="strides must ascend"):
        options(strides=(16, 8))


def test_weights_come_from_a_local_file(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(1)
    source = timm.create_model("mobilenetv3_small_050")
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    settings = options(backbone="mobilenetv3_small_050", weights=str(tmp_path / "w.safetensors"))
    assert timm_detector.inputs(settings) == [tmp_path / "w.safetensors"]
    network = timm_detector.build(settings, PROBLEM, PREPROCESSING, pretrained=True)
    assert torch.equal(network.fcos.backbone.maps.body.conv_stem.weight, source.conv_stem.weight)
    again = timm_detector.build(settings, PROBLEM, PREPROCESSING, pretrained=False)
    assert not torch.equal(again.fcos.backbone.maps.body.conv_stem.weight, source.conv_stem.weight)


def test_weights_that_are_absent_or_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no file at"):
        timm_detector.build(options(weights=str(tmp_path / "no.pth")), PROBLEM, PREPROCESSING, pretrained=True)
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(TrainingError, match=r"is not for mobilenetv3_small_100: it lacks conv_stem\.weight"):
        timm_detector.build(options(weights=str(tmp_path / "w.safetensors")), PROBLEM, PREPROCESSING, pretrained=True)


@pytest.mark.parametrize(("backbone", "mean"), [("tf_efficientnet_lite0", 0.5), ("mobilenetv2_100", 0.485)])
def test_each_backbone_gets_its_own_mean(backbone: str, mean: float) -> None:
    network = timm_detector.build(options(backbone=backbone), PROBLEM, PREPROCESSING, pretrained=True)
    normalize = network.fcos.backbone.maps.normalize
    assert float(normalize.mean[0, 0]) == pytest.approx(mean * 255)
    plain = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)
    assert float(normalize(plain)[0, 0, 0, 0]) == pytest.approx((1 - mean) / (0.5 if mean == 0.5 else 0.229), rel=1e-5)
