"""An anchor-free detector (FCOS) made of a timm backbone and torchvision's own pyramid, head, matching and loss."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead
from torchvision.ops import FeaturePyramidNetwork, batched_nms, clip_boxes_to_image

from pizzeria.predictions import Boxes
from pizzeria_plugins.models.backbone import FeatureMaps


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


class Pyramid(nn.Module):
    """Backbone and feature pyramid, in the form that torchvision's FCOS wants."""

    def __init__(self, maps: FeatureMaps, channels: int) -> None:
        super().__init__()
        self.maps = maps
        self.fpn = FeaturePyramidNetwork(maps.channels, channels)
        self.out_channels = channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return self.levels(self.maps(images))

    def levels(self, maps: list[Tensor]) -> OrderedDict[str, Tensor]:
        """The pyramid alone, over the backbone's maps."""
        return self.fpn(OrderedDict((str(level), feature) for level, feature in enumerate(maps)))


class Detector(nn.Module):
    """A network for object detection; see `pizzeria_plugins.models.network.Network`.

    Args:
        maps: The backbone.
        strides: One level each, ascending.
        size: Side of the photos in pixels.
        classes: C, all of them foreground.
        channels: Width of pyramid and head, a multiple of 32 (the head's group norm has 32 groups).
        convs: Convolutions in each of the head's two branches.
        score_floor: Boxes with a lower score are dropped.
        nms_iou: Of two boxes of one class that overlap by more, the lower goes.
        max_detections: At most so many boxes for each photo.
    """

    def __init__(
        self,
        maps: FeatureMaps,
        *,
        strides: tuple[int, ...],
        size: tuple[int, int],
        classes: int,
        channels: int,
        convs: int,
        score_floor: float,
        nms_iou: float,
        max_detections: int,
    ) -> None:
        super().__init__()
        head = FCOSHead(channels, 1, classes, convs)
        # A box starts two strides wide on each side instead of empty, which saves the first epochs of a short training.
        nn.init.constant_(head.regression_head.bbox_reg.bias, 2.0)
        # torchvision's FCOS gives boxes to levels by anchor sizes: unless they equal the strides, nothing is learnt.
        anchors = AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides))
        self.fcos = FCOS(Pyramid(maps, channels), classes, anchor_generator=anchors, head=head)
        self.strides = strides
        self.size = size
        self.score_floor = score_floor
        self.nms_iou = nms_iou
        self.max_detections = max_detections

    def forward(self, images: Tensor) -> Raw:
        """uint8 [N, H, W, 3] RGB to raw outputs, in float32 whatever the precision of the convolutions."""
        return self.from_stem(*self.stem(images))

    def stem(self, images: Tensor) -> tuple[Tensor, ...]:
        """uint8 [N, H, W, 3] RGB to the backbone's map [N, C, H / stride, W / stride] for each stride."""
        return tuple(self.fcos.backbone.maps(images))

    def from_stem(self, *maps: Tensor) -> Raw:
        """What `forward` says, from what `stem` made of the photos."""
        return self._head(list(self.fcos.backbone.levels(list(maps)).values()))

    def embed(self, images: Tensor) -> tuple[Raw, Tensor]:
        """Raw outputs, and the mean of the backbone's coarsest map over the photo: float [N, E]."""
        maps = self.stem(images)
        return self.from_stem(*maps), maps[-1].float().mean(dim=(2, 3))

    def _head(self, features: list[Tensor]) -> Raw:
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
        """Boxes [N, A, 4] xyxy within the photo, and scores [N, A, C] in [0, 1]."""
        boxes = self.fcos.box_coder.decode(outputs.distances, outputs.places)
        scores = torch.sqrt(outputs.logits.sigmoid() * outputs.centerness.sigmoid())
        return clip_boxes_to_image(boxes, self.size), scores

    @torch.no_grad()
    def predict(self, outputs: Raw) -> list[Boxes]:
        """The best boxes of each photo after non-maximum suppression within each class."""
        return [self._select(*pair) for pair in zip(*self.decode(outputs), strict=True)]

    def _select(self, boxes: Tensor, scores: Tensor) -> Boxes:
        place, label = torch.nonzero(scores > self.score_floor, as_tuple=True)
        boxes, scores = boxes[place], scores[place, label]
        keep = batched_nms(boxes, scores, label, self.nms_iou)[: self.max_detections]
        return Boxes(*(_numpy(found[keep]) for found in (boxes, scores, label)))


class Heads(nn.Module):
    """The part of a detector that goes through PyTorch's exporter: one photo in; boxes [A, 4], scores [A, C] and
    embedding [1, E] out."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw, embedding = self.detector.embed(images)
        boxes, scores = self.detector.decode(raw)
        return boxes[0], scores[0], embedding


def _places(shapes: list[tuple[int, int]], strides: tuple[int, ...]) -> Tensor:
    """float32 [A, 4]: for each level, row by row, the square that a place of its map stands for."""
    levels = []
    for (height, width), stride in zip(shapes, strides, strict=True):
        top, left = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
        corner = torch.stack([left, top], dim=-1).reshape(-1, 2).float()
        levels.append(torch.cat([corner, corner + stride], dim=1))
    return torch.cat(levels)


def _numpy(tensor: Tensor) -> Any:
    return tensor.cpu().numpy()
