"""EfficientDet made of a timm backbone and the parts of the library `effdet`: BiFPN, heads, anchors, matching, loss."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import clip_boxes_to_image

from pizzeria_plugins.models.class_weights import ClassWeights
from pizzeria_plugins.models.detector import Detector
from pizzeria_plugins.models.feature_maps import FeatureMaps
from pizzeria_plugins.models.focal import Focal
from pizzeria_plugins.models.pyramid import Finer, Plan

with warnings.catch_warnings():
    # It compiles its matcher with TorchScript, which PyTorch calls deprecated.
    warnings.simplefilter("ignore")
    from effdet.anchors import AnchorLabeler, Anchors, decode_box_outputs, get_feat_sizes
    from effdet.config import default_detection_model_configs
    from effdet.efficientdet import BiFpn, HeadNet, Interpolate2d, _init_weight
    from effdet.loss import _box_loss

_GREATEST_CODE = math.log(1000 / 16)
"""A box is at most so many times (e to this) as wide or high as its anchor, as torchvision has it."""


class Raw(NamedTuple):
    """What the heads say of each of the A anchors of all levels.

    Attributes:
        logits: [N, A, C].
        codes: [N, A, 4] from the anchor to the box, as effdet has them: y, x, height, width.
        size: Height and width of the photos in pixels.
    """

    logits: Tensor
    codes: Tensor
    size: tuple[int, int]


class AnchorShapes(NamedTuple):
    """The anchors of all levels.

    Attributes:
        levels: The first and the last, as powers of two.
        size: Side of the smallest square one, in strides.
        scales: How many sizes, evenly spread over an octave.
        ratios: Heights over widths.
    """

    levels: tuple[int, int]
    size: float
    scales: int
    ratios: tuple[float, ...]


class EfficientDet(Detector):
    """EfficientDet (https://arxiv.org/abs/1911.09070); see `Detector` for the options that all detectors have.

    Args:
        maps: The backbone.
        levels: Where the levels come from; the coarser ones are the BiFPN's own business.
        channels: Width of the BiFPN and the heads.
        cells: Times that the BiFPN goes up and down.
        convs: Convolutions in each head.
        classes: C, all of them foreground.
        anchors: The anchors.
        box_weight: How much the loss of boxes counts beside that of classes.
        focal: The loss of classes.
        class_weights: How much a box of each class counts in it.
    """

    def __init__(
        self,
        maps: FeatureMaps,
        levels: Plan,
        *,
        channels: int,
        cells: int,
        convs: int,
        classes: int,
        anchors: AnchorShapes,
        box_weight: float,
        focal: Focal,
        class_weights: ClassWeights,
        **selection: Any,
    ) -> None:
        super().__init__(**selection)
        self.maps = maps
        self.finer = Finer(maps, levels.finer) if levels.finer or maps.plain else None
        first, last = anchors.levels
        config = default_detection_model_configs()
        config.update(
            image_size=self.size,
            min_level=first,
            max_level=last,
            num_levels=last - first + 1,
            num_classes=classes,
            num_scales=anchors.scales,
            aspect_ratios=list(anchors.ratios),
            fpn_channels=channels,
            fpn_cell_repeats=cells,
            box_class_repeats=convs,
            pad_type="",
            redundant_bias=False,
            # effdet's own momentum, 0.01, is for trainings of 300 epochs: after 200 steps it still knows the first.
            norm_kwargs={"eps": 1e-3, "momentum": 0.1},
        )
        widths = self.finer.channels if self.finer else maps.channels
        self.fpn = BiFpn(config, [{"num_chs": width} for width in widths])
        self.class_net = HeadNet(config, num_outputs=classes)
        self.box_net = HeadNet(config, num_outputs=4)
        for part in ("fpn", "class_net", "box_net"):
            for name, module in getattr(self, part).named_modules(prefix=part):
                _init_weight(module, name)
        sizes = get_feat_sizes(self.size, last)
        self._enlarging = [
            (module, sizes.index(tuple(module.size))) for module in self.fpn.modules() if type(module) is Interpolate2d
        ]
        self.classes = classes
        self.anchors = anchors
        self._made: dict[tuple[int, int], Tensor] = {}
        self._anchors_for(self.size)  # those of other sizes are made when they are wanted
        self.box_weight = box_weight
        self.focal = focal
        self.class_weights = class_weights

    def stem(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.maps(images))

    def from_stem(self, *maps: Tensor) -> Raw:
        levels = list(maps) if self.finer is None else self.finer(list(maps))
        height, width = (side * self.maps.strides[0] for side in maps[0].shape[-2:])
        self._expect((height, width))
        features = self.fpn(levels)
        # Each head goes over the levels with an activation that changes them in place.
        logits = _flat(self.class_net(list(features)), self.classes)
        return Raw(logits, _flat(self.box_net(list(features)), 4), (height, width))

    def _anchors_for(self, size: tuple[int, int]) -> Tensor:
        """float32 [A, 4]: y_min, x_min, y_max, x_max."""
        if size not in self._made:
            self._made[size] = _generator(self.anchors, size).boxes
        return self._made[size]

    def _expect(self, size: tuple[int, int]) -> None:
        """Let the BiFPN enlarge maps as photos of this size want it: effdet's are for one size."""
        sizes = get_feat_sizes(size, self.anchors.levels[1])
        for module, level in self._enlarging:
            module.size = sizes[level]

    def loss(self, outputs: Raw, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Focal loss of classes and Huber loss of boxes, each per matched anchor, weighed as effdet does it."""
        labeler = _labeler(self.anchors, outputs.size, self.classes, outputs.logits.device)
        boxes = [target["boxes"][:, [1, 0, 3, 2]] for target in targets]
        by_level = labeler.batch_label_anchors(boxes, [target["labels"] + 1 for target in targets])
        classes = torch.cat([level.flatten(1) for level in by_level[0]], dim=1)
        codes = torch.cat([level.reshape(len(targets), -1, 4) for level in by_level[1]], dim=1)
        matches = by_level[2].sum() + 1.0
        every = [{"labels": torch.arange(self.classes, device=classes.device)}] * len(targets)
        return {
            "classification": self.focal.sums(outputs.logits, every, list(classes)).sum() / matches,
            "bbox_regression": self.box_weight * _box_loss(outputs.codes, codes, matches),
        }

    def decode(self, outputs: Raw) -> tuple[Tensor, Tensor]:
        count, places, _ = outputs.codes.shape
        anchors = self._anchors_for(outputs.size).to(outputs.codes.device)
        shifts, sides = outputs.codes.split(2, dim=2)
        codes = torch.cat([shifts, sides.clamp(max=_GREATEST_CODE)], dim=2).reshape(-1, 4)
        boxes = decode_box_outputs(codes, anchors.repeat(count, 1), output_xyxy=True).reshape(count, places, 4)
        return clip_boxes_to_image(boxes, outputs.size), outputs.logits.sigmoid()


def _flat(levels: list[Tensor], values: int) -> Tensor:
    """[N, A K, H, W] of each level to float32 [N, A, K] of all; a place's anchors follow each other, as effdet's do."""
    return torch.cat([level.permute(0, 2, 3, 1).reshape(len(level), -1, values) for level in levels], dim=1).float()


@functools.lru_cache(maxsize=64)
def _labeler(shapes: AnchorShapes, size: tuple[int, int], classes: int, device: torch.device) -> AnchorLabeler:
    """What gives boxes to anchors; no part of a network, as effdet's cannot be copied."""
    return AnchorLabeler(_generator(shapes, size).to(device), classes)


def _generator(shapes: AnchorShapes, size: tuple[int, int]) -> Anchors:
    first, last = shapes.levels
    widths_over_heights = [1 / ratio for ratio in shapes.ratios]
    return Anchors(first, last, shapes.scales, widths_over_heights, shapes.size, size)
