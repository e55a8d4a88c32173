"""What becomes of a network's logits where it tells classes: their loss, their probabilities, its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from pizzeria_plugins.models.class_weights import ClassWeights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ClassLogits(nn.Module):
    """A network whose outputs are logits [N, C].

    Args:
        multilabel: Each class on its own, instead of just one of them.
        label_smoothing: Share of the truth that is spread evenly.
        class_weights: How much what is true of each class counts in the loss.
    """

    def __init__(self, *, multilabel: bool, label_smoothing: float, class_weights: ClassWeights) -> None:
        super().__init__()
        self.class_weights = class_weights
        self.multilabel = multilabel
        self.label_smoothing = label_smoothing

    def loss(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy; for multi-label the mean of each class's own, where weights are those of the positives."""
        weights, smoothing = self.class_weights.value, self.label_smoothing
        if not self.multilabel:
            return {"cross_entropy": functional.cross_entropy(outputs, targets, weights, label_smoothing=smoothing)}
        smooth = targets * (1 - smoothing) + smoothing / 2
        return {"cross_entropy": functional.binary_cross_entropy_with_logits(outputs, smooth, pos_weight=weights)}

    def probabilities(self, outputs: Tensor) -> Tensor:
        """[N, C] in [0, 1]."""
        return outputs.sigmoid() if self.multilabel else outputs.softmax(dim=1)

    @torch.no_grad()
    def predict(self, outputs: Tensor) -> NDArray[np.float32]:
        """[N, C] probabilities."""
        found: NDArray[np.float32] = self.probabilities(outputs).cpu().numpy()
        return found
