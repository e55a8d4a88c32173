"""Which device and precision `auto` stands for."""

from __future__ import annotations

import torch

from pizzeria_plugins.trainers.bfloat16 import cpu_has_bfloat16


def device_name(accelerator: str) -> str:
    """`cpu`, `cuda` or `mps`."""
    if accelerator != "auto":
        return accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision_name(precision: str, device: str, *, photos: bool) -> str:
    """A precision by Lightning's names.

    Args:
        photos: Whether photos are learnt from: convolutions lose nothing by bfloat16 and gain much, and the small
            networks on rows and embeddings the other way round.
    """
    if precision != "auto":
        return precision
    if device == "cpu":
        return "bf16-mixed" if photos and cpu_has_bfloat16() else "32-true"
    return "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
