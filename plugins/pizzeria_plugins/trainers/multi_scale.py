"""Photos of another size from batch to batch, for models that take any."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pizzeria.errors import PluginError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.trainers.lightning import SIZE_STEP


def random_size(size: tuple[int, int], spread: float, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a batch: `size` times a factor between 1 - spread and 1 + spread, in steps of `SIZE_STEP`.

    Example:
        >>> sizes = {random_size((256, 256), 0.25, np.random.default_rng(seed)) for seed in range(100)}
        >>> sorted(height for height, width in sizes)
        [192, 224, 256, 288, 320]
    """
    return _scaled(size, rng.uniform(1 - spread, 1 + spread)) if spread else size


def refuse_fixed_size(network: Any, problem: Problem, size: tuple[int, int], spread: float) -> None:
    """Try the smallest and the largest photos before any work.

    Raises:
        PluginError: the network cannot be trained with them.
    """
    device = next(network.parameters()).device
    network.eval()
    for factor in (1 - spread, 1 + spread):
        height, width = _scaled(size, factor)
        images = torch.zeros(1, height, width, 3, dtype=torch.uint8, device=device)
        try:
            with torch.no_grad():
                network.loss(network(images), _made_up_target(problem, device))
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise PluginError(
                f"training.multi_scale: the model cannot be trained with photos of {height} x {width} px: "
                f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}",
                hint="training.multi_scale: 0, or a convolutional model.backbone, which takes any size",
            ) from error
    network.train()


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    height, width = (max(SIZE_STEP, SIZE_STEP * round(side * factor / SIZE_STEP)) for side in size)
    return height, width


def _made_up_target(problem: Problem, device: torch.device) -> Any:
    if problem.task == "object_detection":
        box = torch.tensor([[4.0, 4.0, 28.0, 28.0]], device=device)
        return [{"boxes": box, "labels": torch.zeros(1, dtype=torch.int64, device=device)}]
    if problem.task == "multilabel_classification":
        return torch.zeros(1, len(problem.classes), device=device)
    return torch.zeros(1, dtype=torch.int64, device=device)
