"""The optimizer, and how a step's pace is set on it."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from pizzeria_plugins.trainers.schedule import Pace


def make_optimizer(network: nn.Module, options: Any) -> Optimizer:
    """AdamW or SGD over what is trainable; biases and norms are not decayed."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # Lightning cannot clip gradients for a fused optimizer that unscales float16 gradients itself.
    fused = options.precision != "16-mixed"
    if options.optimizer == "sgd":
        return SGD(groups, lr=options.learning_rate, momentum=0.9, nesterov=True, fused=fused)
    return AdamW(groups, lr=options.learning_rate, fused=fused)


def set_pace(optimizer: Optimizer, pace: Pace, learning_rate: float) -> None:
    """Set rate and momentum for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * pace.rate
        if pace.momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (pace.momentum, group["betas"][1])
        else:
            group["momentum"] = pace.momentum
