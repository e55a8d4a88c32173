"""Model `timm_detector`: a timm backbone, a feature pyramid, and torchvision's head of FCOS or RetinaNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models.class_weights_option import check as check
from pizzeria_plugins.models.detector_options import AnchorOptions, DetectorOptions, export_detector
from pizzeria_plugins.models.weights import files

if TYPE_CHECKING:
    from pizzeria_plugins.models.detector import Detector

TASKS = frozenset({"object_detection"})
TAKES = "photos"
_CENTER_RADIUS = 1.5
_RETINANET_CONVS = 4


class Anchors(AnchorOptions):
    """The anchors of a RetinaNet, and which of them stand for a box."""

    positive_iou: float = Field(
        default=0.5, gt=0, lt=1, description="An anchor that overlaps a box by so much stands for it."
    )
    negative_iou: float = Field(
        default=0.4, gt=0, lt=1, description="One that overlaps none by so much is background; between, it is ignored."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Anchors:
        if self.negative_iou > self.positive_iou:
            raise ValueError(
                f"negative_iou is {self.negative_iou}, above positive_iou, which is {self.positive_iou}; write a "
                "smaller one"
            )
        return self


class Options(DetectorOptions):
    """Options of `timm_detector`."""

    head: Literal["fcos", "retinanet"] = Field(
        default="fcos", description="fcos: one box at each place. retinanet: one for each anchor of a place."
    )
    strides: tuple[int, ...] = Field(
        default=(8, 16, 32),
        min_length=1,
        description="Strides of the levels that boxes are found on, ascending. What the backbone lacks is made: finer "
        "ones of its finest map, and coarser ones, such as 64, of the level before.",
    )
    fpn_channels: int = Field(default=64, ge=32, multiple_of=32, description="Width of the pyramid and the head.")
    head_convs: int = Field(
        default=2, ge=0, le=8, description="Convolutions in each branch of the head; of retinanet at most 4."
    )
    center_radius: float | None = Field(
        default=None,
        gt=0,
        description=f"fcos: strides around a box's centre in which places stand for it; null: {_CENTER_RADIUS}.",
    )
    anchors: Anchors | None = Field(default=None, description="retinanet: its anchors; null: the usual nine.")

    @field_validator("strides")
    @classmethod
    def _ascending(cls, strides: tuple[int, ...]) -> tuple[int, ...]:
        if list(strides) != sorted(set(strides)) or strides[0] < 1:
            raise ValueError(f"strides must ascend, such as [8, 16, 32]; found {list(strides)}")
        return strides

    @model_validator(mode="after")
    def _of_the_head(self) -> Options:
        if self.head == "fcos" and self.anchors is not None:
            raise ValueError("anchors: the head fcos has none; leave them out, or write head: retinanet")
        if self.head == "retinanet" and self.center_radius is not None:
            raise ValueError("center_radius: the head retinanet has none; leave it out, or write head: fcos")
        if self.head == "retinanet" and self.head_convs > _RETINANET_CONVS:
            raise ValueError(
                f"head_convs: the head retinanet has {_RETINANET_CONVS} at most, and {self.head_convs} are asked for"
            )
        return self


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
        PluginError: timm has no such backbone, or the wanted strides cannot be had from it.
        TrainingError: the weights cannot be read.
    """
    import torch

    from pizzeria_plugins.models import fcos, retinanet
    from pizzeria_plugins.models.class_weights import ClassWeights
    from pizzeria_plugins.models.feature_maps import FeatureMaps
    from pizzeria_plugins.models.focal import Focal
    from pizzeria_plugins.models.pyramid import Pyramid, plan

    height, width = preprocessing["size"]
    levels = plan(options.backbone, options.image_size, options.strides)
    weights = options.weights if pretrained else None
    maps = FeatureMaps(options.backbone, levels.own, options.image_size, weights, frozen=options.freeze_backbone)
    pyramid = Pyramid(maps, levels, options.fpn_channels)
    class_weights = ClassWeights(options.class_weights, problem.classes)
    shared: dict[str, Any] = {
        "strides": options.strides,
        "classes": len(problem.classes),
        "convs": options.head_convs,
        "focal": Focal(options.focal_alpha, options.focal_gamma, class_weights),
        "class_weights": class_weights,
        "size": (height, width),
    } | options.selection
    detector: Detector
    if options.head == "fcos":
        detector = fcos.Fcos(pyramid, center_radius=options.center_radius or _CENTER_RADIUS, **shared)
    else:
        anchors = retinanet.Anchors(**(options.anchors or Anchors()).model_dump())
        detector = retinanet.Retina(pyramid, anchors=anchors, **shared)
    return detector.to(memory_format=torch.channels_last)


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: uint8 [1, H, W, 3] in, `boxes`, `scores`, `labels` after suppression and `embedding` out."""
    detector = build(options, problem, preprocessing, pretrained=False)
    export_detector(detector, options, preprocessing, weights, path)
