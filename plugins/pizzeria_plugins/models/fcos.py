"""An anchor-free detector (FCOS) made of a timm backbone and torchvision's own pyramid, head, matching and loss."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead
from torchvision.ops import clip_boxes_to_image

from pizzeria_plugins.models.class_weights import ClassWeights
from pizzeria_plugins.models.detector import Detector
from pizzeria_plugins.models.focal import Focal
from pizzeria_plugins.models.pyramid import Pyramid


class Raw(NamedTuple):
    """What the head says at each of the A places of all levels.

    Attributes:
        logits: [N, A, C].
        distances: [N, A, 4] from the place to the box's sides, in strides.
        centerness: [N, A, 1] logits.
        places: float32 [A, 4]: a square of one stride around each place.
        per_level: number of places of each level.
    """

    logits: Tensor
    distances: Tensor
    centerness: Tensor
    places: Tensor
    per_level: list[int]


class Head(FCOSHead):
    """torchvision's head, with a focal loss of ours, whose settings it does not let one choose."""

    def __init__(self, channels: int, classes: int, convs: int, focal: Focal) -> None:
        super().__init__(channels, 1, classes, convs)
        self.focal = focal

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        logits = head_outputs["cls_logits"]
        boxes: dict[str, Tensor] = super().compute_loss(
            targets, head_outputs | {"cls_logits": logits.detach()}, anchors, matched_idxs
        )
        matches = torch.stack([(matched >= 0).sum() for matched in matched_idxs]).sum().clamp(min=1)
        return boxes | {"classification": self.focal.sums(logits, targets, matched_idxs).sum() / matches}


class Fcos(Detector):
    """FCOS (https://arxiv.org/abs/2006.09214); see `Detector` for the options that all detectors have.

    Args:
        pyramid: Backbone and pyramid.
        strides: One level each, ascending.
        classes: C, all of them foreground.
        convs: Convolutions in each of the head's two branches.
        center_radius: A place is on a box if it lies in it and so many strides from its centre at most.
        focal: The loss of classes.
        class_weights: How much a box of each class counts in it.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        strides: tuple[int, ...],
        classes: int,
        convs: int,
        center_radius: float,
        focal: Focal,
        class_weights: ClassWeights,
        **selection: Any,
    ) -> None:
        super().__init__(**selection)
        head = Head(pyramid.out_channels, classes, convs, focal)
        # A box starts two strides wide on each side instead of empty, which saves the first epochs of a short training.
        nn.init.constant_(head.regression_head.bbox_reg.bias, 2.0)
        # torchvision's FCOS gives boxes to levels by anchor sizes: unless they equal the strides, nothing is learnt.
        anchors = AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides))
        self.fcos = FCOS(pyramid, classes, anchor_generator=anchors, head=head, center_sampling_radius=center_radius)
        self.strides = strides
        self.class_weights = class_weights

    def stem(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.fcos.backbone.maps(images))

    def from_stem(self, *maps: Tensor) -> Raw:
        features = list(self.fcos.backbone.levels(list(maps)).values())
        found = self.fcos.head(features)
        shapes = [(int(feature.shape[-2]), int(feature.shape[-1])) for feature in features]
        places = _places(shapes, self.strides).to(features[0].device)
        keys = ("cls_logits", "bbox_regression", "bbox_ctrness")
        return Raw(*(found[key].float() for key in keys), places, [height * width for height, width in shapes])

    def loss(self, outputs: Raw, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Focal loss of classes, GIoU loss of boxes, and centerness, each per matched place."""
        found = {
            "cls_logits": outputs.logits,
            "bbox_regression": outputs.distances,
            "bbox_ctrness": outputs.centerness,
        }
        places = [outputs.places] * len(targets)
        losses: dict[str, Tensor] = self.fcos.compute_loss(targets, found, places, outputs.per_level)
        return losses

    def decode(self, outputs: Raw) -> tuple[Tensor, Tensor]:
        boxes = self.fcos.box_coder.decode(outputs.distances, outputs.places)
        scores = torch.sqrt(outputs.logits.sigmoid() * outputs.centerness.sigmoid())
        return clip_boxes_to_image(boxes, self.size), scores


def _places(shapes: list[tuple[int, int]], strides: tuple[int, ...]) -> Tensor:
    """float32 [A, 4]: for each level, row by row, the square that a place of its map stands for."""
    levels = []
    for (height, width), stride in zip(shapes, strides, strict=True):
        top, left = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
        corner = torch.stack([left, top], dim=-1).reshape(-1, 2).float()
        levels.append(torch.cat([corner, corner + stride], dim=1))
    return torch.cat(levels)
