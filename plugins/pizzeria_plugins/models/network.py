"""What a network offers to any trainer: the one contract between model plugins and trainer plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from pizzeria.predictions import Boxes


class Network(Protocol):
    """A `torch.nn.Module` that knows its own loss and how to turn its outputs into answers.

    Inputs, by task:
        photos: one tensor, uint8 [N, H, W, 3] RGB; mean and deviation are the network's own business.
        rows: `numeric` float32 [N, F] and `categorical` int64 [N, G], each left out where it would have no column.

    One with a backbone may also have `stem(*inputs) -> tuple[Tensor, ...]`, what the backbone makes of the inputs, and
    `from_stem(*tensors)`, what a call of the network makes of that: a call is `from_stem(*stem(*inputs))`. A trainer
    may then keep what a frozen backbone said of a photo, and go on from there. And it may have
    `backbone_parameters() -> Iterable[Parameter]`, for trainers that let it learn at a rate of its own, and
    `freeze(frozen: bool)`, for those that let it learn later than the rest.

    One whose loss weighs classes has `class_weights`, a `pizzeria_plugins.models.class_weights.ClassWeights`, which is
    told before a training how often each class is in the training split.

    Example:
        >>> def step(network, inputs, targets):
        ...     return sum(network.loss(network(*inputs), targets).values())
    """

    def __call__(self, *inputs: Tensor) -> Any:
        """Raw outputs, which only the two methods below need to understand."""

    def loss(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        """Named scalar losses, whose sum is to be made small.

        Args:
            outputs: What calling the network returned.
            targets: Detection: [N] dicts of `boxes` float32 [M, 4] (xyxy, network pixels) and `labels` int64 [M].
                Single-label: int64 [N]. Multi-label: float32 [N, C] of 0 and 1. Regression: float32 [N].
                Where a trainer mixes photos, both kinds of classification get float32 [N, C] of shares, 0 to 1.
        """

    def predict(self, outputs: Any) -> list[Boxes] | NDArray[np.float32]:
        """Detection: [N] boxes in network pixels. Regression: [N] values. Otherwise [N, C] probabilities."""
