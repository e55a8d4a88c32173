"""A detector with anchors (RetinaNet) made of a timm backbone and torchvision's own pyramid, head and matching."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import clip_boxes_to_image

from pizzeria_plugins.models.class_weights import ClassWeights
from pizzeria_plugins.models.detector import Detector
from pizzeria_plugins.models.focal import Focal
from pizzeria_plugins.models.pyramid import Pyramid

MAX_CONVS = 4
"""Convolutions that torchvision's head has in each of its branches."""


class Raw(NamedTuple):
    """What the head says of each of the A anchors of all levels.

    Attributes:
        logits: [N, A, C].
        offsets: [N, A, 4] from the anchor to the box, as torchvision's `BoxCoder` has them.
        anchors: float32 [A, 4].
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor


class Head(RetinaNetHead):
    """torchvision's head as its `retinanet_resnet50_fpn_v2` has it (group norm, GIoU loss), of any depth up to four
    convolutions, with a focal loss of ours, whose settings it does not let one choose."""

    def __init__(self, channels: int, anchors: int, classes: int, convs: int, focal: Focal) -> None:
        super().__init__(channels, anchors, classes, norm_layer=partial(nn.GroupNorm, 32))
        self.regression_head._loss_type = "giou"
        for branch in (self.classification_head, self.regression_head):
            branch.conv = branch.conv[:convs]
        self.focal = focal

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        sums = self.focal.sums(head_outputs["cls_logits"], targets, matched_idxs)
        matches = torch.stack([(matched >= 0).sum().clamp(min=1) for matched in matched_idxs])
        return {
            "classification": (sums / matches).mean(),
            "bbox_regression": self.regression_head.compute_loss(targets, head_outputs, anchors, matched_idxs),
        }


class Anchors(NamedTuple):
    """The anchors at each place of a level.

    Attributes:
        size: Side of the smallest square one, in strides.
        scales: How many sizes, evenly spread over an octave.
        ratios: Heights over widths.
        positive_iou: An anchor stands for the box that it overlaps by so much; each box has its nearest anyway.
        negative_iou: One that overlaps none by so much is background; between both it does not count.
    """

    size: float
    scales: int
    ratios: tuple[float, ...]
    positive_iou: float
    negative_iou: float


class Retina(Detector):
    """RetinaNet (https://arxiv.org/abs/1708.02002); see `Detector` for the options that all detectors have.

    Args:
        pyramid: Backbone and pyramid.
        strides: One level each, ascending.
        classes: C, all of them foreground.
        convs: Convolutions in each of the head's two branches, at most `MAX_CONVS`.
        anchors: The anchors.
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
        anchors: Anchors,
        focal: Focal,
        class_weights: ClassWeights,
        **selection: Any,
    ) -> None:
        super().__init__(**selection)
        octave = [2 ** (number / anchors.scales) for number in range(anchors.scales)]
        sizes = tuple(tuple(anchors.size * stride * part for part in octave) for stride in strides)
        self.retina = RetinaNet(
            pyramid,
            classes,
            anchor_generator=AnchorGenerator(sizes, (anchors.ratios,) * len(strides)),
            head=Head(pyramid.out_channels, anchors.scales * len(anchors.ratios), classes, convs, focal),
            fg_iou_thresh=anchors.positive_iou,
            bg_iou_thresh=anchors.negative_iou,
        )
        self.strides = strides
        self.class_weights = class_weights

    def stem(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.retina.backbone.maps(images))

    def from_stem(self, *maps: Tensor) -> Raw:
        features = list(self.retina.backbone.levels(list(maps)).values())
        found = self.retina.head(features)
        shapes = [[int(feature.shape[-2]), int(feature.shape[-1])] for feature in features]
        anchors = self._anchors(shapes).to(features[0].device)
        return Raw(found["cls_logits"].float(), found["bbox_regression"].float(), anchors)

    def _anchors(self, shapes: list[list[int]]) -> Tensor:
        """float32 [A, 4], centred on the places: torchvision has them in the corners, half a stride away."""
        generator = self.retina.anchor_generator
        levels = generator.grid_anchors(shapes, [[stride, stride] for stride in self.strides])
        return torch.cat([level + stride / 2 for level, stride in zip(levels, self.strides, strict=True)])

    def loss(self, outputs: Raw, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Focal loss of classes and GIoU loss of boxes, each per matched anchor of a photo."""
        found = {"cls_logits": outputs.logits, "bbox_regression": outputs.offsets}
        losses: dict[str, Tensor] = self.retina.compute_loss(targets, found, [outputs.anchors] * len(targets))
        return losses

    def decode(self, outputs: Raw) -> tuple[Tensor, Tensor]:
        count, places, _ = outputs.offsets.shape
        boxes = self.retina.box_coder.decode_single(
            outputs.offsets.reshape(-1, 4), outputs.anchors.repeat(count, 1)
        ).reshape(count, places, 4)
        return clip_boxes_to_image(boxes, self.size), outputs.logits.sigmoid()
