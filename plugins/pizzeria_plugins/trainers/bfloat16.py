"""bfloat16 on a CPU: whether it has any, and which layers stay in float32 all the same.

With AVX512-BF16, convolutions take a third to a half of their time in float32. Not so depthwise ones, whose
backward pass takes up to ten times as long with strides or with kernels of 5 x 5, and group norm (PyTorch 2.15).
docs/performance.md has the figures.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 numbers itself (AVX512-BF16 or AMX), instead of widening them first."""
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def keep_slow_layers_wide(network: nn.Module) -> None:
    """Let those layers that bfloat16 makes slower on a CPU take and give float32, also under autocast.

    Example:
        >>> depthwise = nn.Conv2d(8, 8, 3, groups=8)
        >>> keep_slow_layers_wide(depthwise)
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     print(depthwise(torch.zeros(1, 8, 4, 4, dtype=torch.bfloat16)).dtype)
        torch.float32
    """
    for module in network.modules():
        depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
        if depthwise or isinstance(module, nn.GroupNorm):
            module.register_forward_pre_hook(_widen)
            module.register_forward_hook(_narrow_again, always_call=True)


_ENTERED: list[Any] = []
"""Autocast regions that a wide layer has opened; layers of this kind hold no others."""


def _widen(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    region = torch.autocast("cpu", enabled=False)
    region.__enter__()
    _ENTERED.append(region)
    return tuple(tensor.float() for tensor in inputs)


def _narrow_again(module: nn.Module, inputs: Any, output: Any) -> None:
    if _ENTERED:
        _ENTERED.pop().__exit__(None, None, None)
