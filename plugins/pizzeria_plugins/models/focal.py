"""Focal loss of a detector's classes, with torchvision's own formula."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from pizzeria_plugins.models.class_weights import ClassWeights

IGNORED = -2
"""torchvision's mark of an anchor that is neither near a box nor far from all."""


class Focal(NamedTuple):
    """Lin et al., https://arxiv.org/abs/1708.02002: what is easy to tell counts little.

    Attributes:
        alpha: Share of the loss that places on a box have; 1 - alpha is the background's. 0 to 1.
        gamma: How fast a place counts less as it is told more surely; 0 is plain cross-entropy.
        weights: How much a box of each class counts.
    """

    alpha: float
    gamma: float
    weights: ClassWeights

    def sums(self, logits: Tensor, targets: list[dict[str, Tensor]], matched: list[Tensor]) -> Tensor:
        """The loss of each photo, summed over places and classes.

        Args:
            logits: [N, A, C].
            targets: [N] with `labels` int64 [M].
            matched: [N] int64 [A]: the box of each place; -1 for the background, `IGNORED` for none of both.

        Returns:
            float32 [N].
        """
        hits = torch.zeros_like(logits)
        counted = torch.ones_like(logits[..., :1])
        for number, (target, boxes) in enumerate(zip(targets, matched, strict=True)):
            places = torch.nonzero(boxes >= 0).flatten()
            hits[number, places, target["labels"][boxes[places]]] = 1
            counted[number, boxes == IGNORED] = 0
        loss = sigmoid_focal_loss(logits, hits, self.alpha, self.gamma)
        weights = 1 + hits * (self.weights.value - 1)
        return (loss * weights * counted).sum(dim=(1, 2))
