"""Model `timm_detector`: a timm backbone, a feature pyramid and an anchor-free head (FCOS)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models.weights import BackboneOptions, files

if TYPE_CHECKING:
    from pizzeria_plugins.models.fcos import Detector

TASKS = frozenset({"object_detection"})
TAKES = "photos"


class Options(BackboneOptions):
    """Options of `timm_detector`."""

    image_size: int = Field(default=256, ge=64, le=2048, multiple_of=32, description="Side of the photos in pixels.")
    freeze_backbone: bool = Field(default=False, description="Train pyramid and head only.")
    strides: tuple[int, ...] = Field(
        default=(8, 16, 32), min_length=1, description="Strides of the feature maps that boxes are found on, ascending."
    )
    fpn_channels: int = Field(default=64, ge=32, multiple_of=32, description="Width of the pyramid and the head.")
    head_convs: int = Field(default=2, ge=0, le=8, description="Convolutions in each branch of the head.")
    max_detections: int = Field(default=100, ge=1, le=1000, description="At most so many boxes for each photo.")
    nms_iou: float = Field(
        default=0.5, gt=0, lt=1, description="Of two boxes of one class that overlap by more than this, the lower goes."
    )
    score_floor: float = Field(default=0.05, gt=0, lt=1, description="Boxes with a lower score are never returned.")

    @field_validator("strides")
    @classmethod
    def _ascending(cls, strides: tuple[int, ...]) -> tuple[int, ...]:
        if list(strides) != sorted(set(strides)):
            raise ValueError(f"strides must ascend, such as [8, 16, 32]; found {list(strides)}")
        return strides


def inputs(options: Options) -> Sequence[Path]:
    """Files whose content decides what `build` returns."""
    return files(options.weights)


def build(options: Options, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> Detector:
    """The network.

    Args:
        options: The `model` section.
        problem: Its classes decide the outputs.
        preprocessing: Its `size` [H, W] decides where boxes are clipped.
        pretrained: Whether to read `options.weights`; not when trained weights are about to be loaded.

    Raises:
        PluginError: timm has no such backbone, or it has no feature map of a wanted stride.
        TrainingError: the weights cannot be read.
    """
    import torch

    from pizzeria_plugins.models.backbone import FeatureMaps
    from pizzeria_plugins.models.fcos import Detector

    height, width = preprocessing["size"]
    maps = FeatureMaps(
        options.backbone,
        options.strides,
        options.image_size,
        options.weights if pretrained else None,
        frozen=options.freeze_backbone,
    )
    detector = Detector(
        maps,
        strides=options.strides,
        size=(height, width),
        classes=len(problem.classes),
        channels=options.fpn_channels,
        convs=options.head_convs,
        score_floor=options.score_floor,
        nms_iou=options.nms_iou,
        max_detections=options.max_detections,
    )
    return detector.to(memory_format=torch.channels_last)


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: uint8 [1, H, W, 3] in, `boxes`, `scores`, `labels` after suppression and `embedding` out."""
    import torch

    from pizzeria_plugins.models.fcos import Heads
    from pizzeria_plugins.models.nms_graph import append_suppression
    from pizzeria_plugins.models.onnx_export import load_weights, save, trace

    detector = build(options, problem, preprocessing, pretrained=False)
    load_weights(detector, weights)
    example = torch.zeros(1, *preprocessing["size"], 3, dtype=torch.uint8)
    model = trace(Heads(detector), (example,), inputs=["images"], outputs=["all_boxes", "all_scores", "embedding"])
    save(append_suppression(model, options.score_floor, options.nms_iou, options.max_detections), path)
