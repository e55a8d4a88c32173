"""Model `efficientdet`: a timm backbone with the weighted pyramid (BiFPN) and heads of EfficientDet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models.class_weights_option import check as check
from pizzeria_plugins.models.detector_options import AnchorOptions, DetectorOptions, export_detector
from pizzeria_plugins.models.weights import files

if TYPE_CHECKING:
    from pizzeria_plugins.models.effdet_network import EfficientDet

TASKS = frozenset({"object_detection"})
TAKES = "photos"


class Options(DetectorOptions):
    """Options of `efficientdet`; the defaults are those of EfficientDet-D0, for smaller photos."""

    strides: tuple[int, ...] = Field(
        default=(8, 16, 32, 64),
        min_length=2,
        description="Strides of the levels that boxes are found on: powers of two, each twice the one before; 128 too "
        "for photos of 512 px and more. Coarser ones than the backbone has are made, and finer ones.",
    )
    fpn_channels: int = Field(default=64, ge=8, multiple_of=8, description="Width of the pyramid and the heads.")
    fpn_cells: int = Field(default=3, ge=1, le=8, description="Times that the pyramid is gone through, up and down.")
    head_convs: int = Field(default=3, ge=1, le=8, description="Separable convolutions in each head.")
    anchors: AnchorOptions = Field(default=AnchorOptions(), description="The boxes that are started from.")
    focal_gamma: float = Field(
        default=1.5, ge=0, le=10, description="Focal loss: how fast a place counts less as it is told more surely."
    )
    box_weight: float = Field(
        default=50.0, gt=0, le=1000, description="How much the loss of boxes counts beside that of classes."
    )

    @field_validator("strides")
    @classmethod
    def _powers(cls, strides: tuple[int, ...]) -> tuple[int, ...]:
        doubling = all(b == 2 * a for a, b in pairwise(strides))
        if strides[0] < 2 or strides[0].bit_count() != 1 or not doubling:
            raise ValueError(
                "strides must be powers of two, each twice the one before, such as [8, 16, 32, 64]; found "
                f"{list(strides)}"
            )
        return strides


def inputs(options: Options) -> Sequence[Path]:
    """Files whose content decides what `build` returns."""
    return files(options.weights)


def build(options: Options, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> EfficientDet:
    """The network.

    Args:
        options: The `model` section.
        problem: Its classes decide the outputs.
        preprocessing: Its `size` [H, W] decides the anchors, and where boxes are clipped.
        pretrained: Whether to read `options.weights`; not when trained weights are about to be loaded.

    Raises:
        PluginError: timm has no such backbone, or the wanted strides cannot be had from it.
        TrainingError: the weights cannot be read.
    """
    import torch

    from pizzeria_plugins.models.class_weights import ClassWeights
    from pizzeria_plugins.models.effdet_network import AnchorShapes, EfficientDet
    from pizzeria_plugins.models.feature_maps import FeatureMaps
    from pizzeria_plugins.models.focal import Focal
    from pizzeria_plugins.models.pyramid import plan

    height, width = preprocessing["size"]
    levels = plan(options.backbone, options.image_size, options.strides)
    weights = options.weights if pretrained else None
    class_weights = ClassWeights(options.class_weights, problem.classes)
    first, last = (options.strides[end].bit_length() - 1 for end in (0, -1))
    detector = EfficientDet(
        FeatureMaps(options.backbone, levels.own, options.image_size, weights, frozen=options.freeze_backbone),
        levels,
        channels=options.fpn_channels,
        cells=options.fpn_cells,
        convs=options.head_convs,
        classes=len(problem.classes),
        anchors=AnchorShapes((first, last), options.anchors.size, options.anchors.scales, options.anchors.ratios),
        box_weight=options.box_weight,
        focal=Focal(options.focal_alpha, options.focal_gamma, class_weights),
        class_weights=class_weights,
        size=(height, width),
        **options.selection,
    )
    return detector.to(memory_format=torch.channels_last)


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: uint8 [1, H, W, 3] in, `boxes`, `scores`, `labels` after suppression and `embedding` out."""
    detector = build(options, problem, preprocessing, pretrained=False)
    export_detector(detector, options, preprocessing, weights, path)
