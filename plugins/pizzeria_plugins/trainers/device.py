"""Which device and precision `auto` stands for."""

from __future__ import annotations

import torch


def device_name(accelerator: str) -> str:
    """`cpu`, `cuda` or `mps`."""
    if accelerator != "auto":
        return accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision_name(precision: str, device: str) -> str:
    """A precision by Lightning's names."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
