"""Options that all detectors have, and how they are exported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from pizzeria.spec.section import Section
from pizzeria_plugins.models.class_weights_option import ClassWeightsOption
from pizzeria_plugins.models.weights import BackboneOptions

if TYPE_CHECKING:
    from pizzeria_plugins.models.detector import Detector


class DetectorOptions(BackboneOptions):
    """A backbone, how photos come to it, and which boxes are kept."""

    image_size: int = Field(default=256, ge=64, le=2048, multiple_of=32, description="Side of the photos in pixels.")
    freeze_backbone: bool = Field(default=False, description="Train what stands on the backbone only.")
    class_weights: ClassWeightsOption
    focal_alpha: float = Field(
        default=0.25, gt=0, lt=1, description="Focal loss: share of boxes in it; the rest is the background's."
    )
    focal_gamma: float = Field(
        default=2.0, ge=0, le=10, description="Focal loss: how fast a place counts less as it is told more surely."
    )
    max_detections: int = Field(default=100, ge=1, le=1000, description="At most so many boxes for each photo.")
    nms_iou: float = Field(
        default=0.5, gt=0, lt=1, description="Of two boxes of one class that overlap by more than this, the lower goes."
    )
    score_floor: float = Field(default=0.05, gt=0, lt=1, description="Boxes with a lower score are never returned.")

    @property
    def selection(self) -> dict[str, Any]:
        """Which boxes a detector keeps, as `Detector` takes it."""
        return self.model_dump(include={"score_floor", "nms_iou", "max_detections"})


class AnchorOptions(Section):
    """The boxes that a detector with anchors starts from at each place of a level."""

    size: float = Field(default=4.0, gt=0, le=64, description="Side of the smallest square one, in strides.")
    scales: int = Field(default=3, ge=1, le=8, description="Sizes, evenly spread over an octave.")
    ratios: tuple[float, ...] = Field(default=(0.5, 1.0, 2.0), min_length=1, description="Heights over widths.")

    @field_validator("ratios")
    @classmethod
    def _positive(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if min(ratios) <= 0:
            raise ValueError(f"ratios must be above 0, such as [0.5, 1, 2]; found {list(ratios)}")
        return ratios


def export_detector(
    detector: Detector, options: DetectorOptions, preprocessing: Mapping[str, Any], weights: Path, path: Path
) -> None:
    """Write `model.onnx`: uint8 [1, H, W, 3] in, `boxes`, `scores`, `labels` after suppression and `embedding` out."""
    import torch

    from pizzeria_plugins.models.detector import Heads
    from pizzeria_plugins.models.nms_graph import append_suppression
    from pizzeria_plugins.models.onnx_export import load_weights, save, trace

    load_weights(detector, weights)
    example = torch.zeros(1, *preprocessing["size"], 3, dtype=torch.uint8)
    model = trace(Heads(detector), (example,), inputs=["images"], outputs=["all_boxes", "all_scores", "embedding"])
    save(append_suppression(model, options.score_floor, options.nms_iou, options.max_detections), path)
