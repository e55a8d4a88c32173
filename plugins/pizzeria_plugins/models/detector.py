"""What all detectors share: from photos to a backbone's maps, and from scored boxes to the best ones."""

from __future__ import annotations

import abc
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from pizzeria.predictions import Boxes
from pizzeria_plugins.models.feature_maps import FeatureMaps


class Detector(nn.Module, abc.ABC):
    """A network for object detection; see `pizzeria_plugins.models.network.Network`.

    Args:
        size: Height and width of the photos in pixels.
        score_floor: Boxes with a lower score are dropped.
        nms_iou: Of two boxes of one class that overlap by more, the lower goes.
        max_detections: At most so many boxes for each photo.
    """

    def __init__(self, *, size: tuple[int, int], score_floor: float, nms_iou: float, max_detections: int) -> None:
        super().__init__()
        self.size = size
        self.score_floor = score_floor
        self.nms_iou = nms_iou
        self.max_detections = max_detections

    @abc.abstractmethod
    def stem(self, images: Tensor) -> tuple[Tensor, ...]:
        """uint8 [N, H, W, 3] RGB to the backbone's maps [N, C, H / stride, W / stride], the finest first."""

    @abc.abstractmethod
    def from_stem(self, *maps: Tensor) -> Any:
        """Raw outputs from the backbone's maps, in float32 whatever the precision of the convolutions."""

    @abc.abstractmethod
    def loss(self, outputs: Any, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Named losses."""

    @abc.abstractmethod
    def decode(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """Boxes [N, A, 4] xyxy within the photo, and scores [N, A, C] in [0, 1]."""

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Those of the timm model."""
        return [parameter for maps in self._maps() for parameter in maps.body.parameters()]

    def freeze(self, frozen: bool) -> None:
        """Let the timm model's weights stay as they are, or learn."""
        for maps in self._maps():
            maps.freeze(frozen)

    def forward(self, images: Tensor) -> Any:
        """uint8 [N, H, W, 3] RGB to raw outputs."""
        return self.from_stem(*self.stem(images))

    def embed(self, images: Tensor) -> tuple[Any, Tensor]:
        """Raw outputs, and the mean of the backbone's coarsest map over the photo: float [N, E]."""
        maps = self.stem(images)
        return self.from_stem(*maps), maps[-1].float().mean(dim=(2, 3))

    @torch.no_grad()
    def predict(self, outputs: Any) -> list[Boxes]:
        """The best boxes of each photo after non-maximum suppression within each class."""
        return [self._select(*pair) for pair in zip(*self.decode(outputs), strict=True)]

    def _maps(self) -> list[FeatureMaps]:
        return [module for module in self.modules() if isinstance(module, FeatureMaps)]

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


def _numpy(tensor: Tensor) -> Any:
    return tensor.cpu().numpy()
