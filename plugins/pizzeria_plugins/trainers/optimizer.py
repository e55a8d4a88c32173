"""The optimizer, and how a step's pace is set on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from pizzeria.errors import PluginError
from pizzeria_plugins.trainers.schedule import Pace


def make_optimizer(network: Any, options: Any) -> Optimizer:
    """AdamW or SGD over what is trainable; biases and norms are not decayed.

    Raises:
        PluginError: `backbone_rate` is wanted of a network that does not say which of it is the backbone.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    backbone = {id(parameter) for parameter in _backbone(network, options.backbone_rate)}
    groups = [
        {"params": params, "weight_decay": decay, "rate": rate}
        for rate, inside in ((1.0, False), (options.backbone_rate, True))
        for decay, wide in ((options.weight_decay, True), (0.0, False))
        if (params := [p for p in trainable if (id(p) in backbone) == inside and (p.ndim > 1) == wide])
    ]
    # Lightning cannot clip gradients for a fused optimizer that unscales float16 gradients itself.
    fused = options.precision != "16-mixed"
    if options.optimizer == "sgd":
        return SGD(groups, lr=options.learning_rate, momentum=0.9, nesterov=True, fused=fused)
    return AdamW(groups, lr=options.learning_rate, fused=fused)


def set_pace(optimizer: Optimizer, pace: Pace, learning_rate: float) -> None:
    """Set rate and momentum for the next step; a group's `rate` is its share of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * pace.rate * group["rate"]
        if pace.momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (pace.momentum, group["betas"][1])
        else:
            group["momentum"] = pace.momentum


def _backbone(network: Any, rate: float) -> Iterable[nn.Parameter]:
    """Parameters of the backbone, where they learn at a rate of their own."""
    if rate == 1:
        return []
    if not hasattr(network, "backbone_parameters"):
        raise PluginError(
            f"training.backbone_rate: the model does not say which of its weights are the backbone ({rate:g})",
            hint="leave it out, or give the network a method `backbone_parameters`",
        )
    found: Iterable[nn.Parameter] = network.backbone_parameters()
    return found
