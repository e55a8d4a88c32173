"""Learning rate and momentum as a pure function of the step, so that a resumed training needs no state for them."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Shape = Literal["one_cycle", "cosine", "constant"]

START = 1 / 25
"""Where one_cycle's climb starts, as a share of the highest rate; its end is ten thousand times lower."""


class Pace(NamedTuple):
    """What the optimizer goes by in one step.

    Attributes:
        rate: Share of the highest learning rate, 0 to 1.
        momentum: Replaces SGD's momentum or Adam's first beta; None leaves it as it is.
    """

    rate: float
    momentum: float | None = None


def pace(shape: Shape, step: int, total: int, warmup: int) -> Pace:
    """The pace of one step.

    Args:
        shape: `one_cycle` (Smith): up along a cosine, down to almost nothing along another one, momentum the other
            way round. `cosine`: up along a line, down to 0 along a cosine. `constant`: up along a line, then level.
        step: 0 to total - 1.
        total: Steps of the whole training.
        warmup: Steps of the climb.

    Example:
        >>> [round(pace("cosine", step, 4, 1).rate, 2) for step in range(4)]
        [1.0, 1.0, 0.75, 0.25]
    """
    if shape == "one_cycle":
        if step < warmup:
            up = _ease(step / warmup)
            return Pace(START + (1 - START) * up, 0.95 - 0.1 * up)
        down = _ease((step - warmup) / max(1, total - warmup))
        return Pace(1 - (1 - START / 1e4) * down, 0.85 + 0.1 * down)
    if step < warmup:
        return Pace((step + 1) / warmup)
    return Pace(1 - _ease((step - warmup) / max(1, total - warmup)) if shape == "cosine" else 1.0)


def warmup_steps(shape: Shape, epochs: float | None, steps_per_epoch: int, total: int) -> int:
    """Steps of the climb; without a wish 30% of the training for one_cycle, one epoch for cosine, none for constant."""
    if epochs is not None:
        return min(total, round(epochs * steps_per_epoch))
    return {"one_cycle": round(0.3 * total), "cosine": min(total // 2, steps_per_epoch), "constant": 0}[shape]


def ema_decay(wanted: float | Literal["auto"] | None, total: int) -> float | None:
    """Decay of the average of the weights; `auto`: it forgets within the last twentieth of all steps, at most 10,000.

    Example:
        >>> ema_decay("auto", 2000)
        0.99
    """
    if wanted != "auto":
        return wanted
    return 1 - 1 / min(10_000, max(2, total / 20))


def _ease(share: float) -> float:
    """0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * min(1.0, share))) / 2
