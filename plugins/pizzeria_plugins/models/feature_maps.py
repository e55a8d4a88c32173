"""Feature maps of any timm backbone: which it has, and which of them a detector takes."""

from __future__ import annotations

import functools
from typing import NamedTuple

from torch import Tensor, nn

from pizzeria.errors import PluginError
from pizzeria_plugins.models.backbone import UNFIT, Normalize, channels_first, create, first_line, statistics, try_out


class Level(NamedTuple):
    """One of a backbone's feature maps.

    Attributes:
        index: By which timm knows it.
        stride: Pixels of the photo from one place of the map to the next.
    """

    index: int
    stride: int


class FeatureMaps(nn.Module):
    """A timm backbone that gives feature maps.

    Attributes:
        strides: Of each map, ascending.
        channels: Of each map.
        plain: Whether the backbone has maps of one stride alone, as a vision transformer has.

    Args:
        name: timm model.
        strides: Of the maps to give; see `levels_of` for those that there are.
        size: Side of the photos in pixels.
        weights: See `pizzeria_plugins.models.weights`.
        frozen: Whether its weights stay as they are; `freeze` says otherwise later.
    """

    def __init__(self, name: str, strides: tuple[int, ...], size: int, weights: str | None, *, frozen: bool) -> None:
        super().__init__()
        levels = levels_of(name, size)
        by_stride = {level.stride: level.index for level in levels}
        self.strides = strides
        self.plain = len(levels) == 1
        self.body = create(
            name, size, weights, features_only=True, out_indices=tuple(by_stride[stride] for stride in strides)
        )
        self.channels: list[int] = self.body.feature_info.channels()
        self.normalize = Normalize(*statistics(self.body))
        self._keeps_statistics = frozen
        self.freeze(frozen)

    def freeze(self, frozen: bool) -> None:
        """Let the weights stay as they are, or learn."""
        self.body.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> FeatureMaps:
        """A backbone that was frozen keeps its batch-norm statistics, also when it learns later: small batches of a
        short training would only spoil them."""
        super().train(mode)
        if self._keeps_statistics:
            self.body.eval()
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """uint8 [N, H, W, 3] to one float map [N, C, H / stride, W / stride] for each stride."""
        return channels_first(self.body, self.body(self.normalize(images)))


@functools.lru_cache(maxsize=32)
def levels_of(name: str, size: int) -> tuple[Level, ...]:
    """The feature maps that a backbone makes of photos of `size` px, one for each stride: the deepest.

    Raises:
        PluginError: timm has no such model, it gives no feature maps, or none that lie over the photo place by place.
    """
    try:
        body, made = try_out(name, size, features_only=True)
        maps = channels_first(body, made)
    except UNFIT as error:
        raise PluginError(
            f"model.backbone: timm makes no feature maps with {name} of photos of {size} px: {first_line(error)}",
            hint="choose another model.image_size, or another backbone, such as mobilenetv3_small_100 or resnet18",
        ) from error
    strides = list(body.feature_info.reduction())
    for stride, found in zip(strides, maps, strict=True):
        if max(found.shape[-2:]) != -(-size // stride):
            raise PluginError(
                f"model.backbone: the map of stride {stride} that {name} makes of photos of {size} px is "
                f"{found.shape[-1]} places wide instead of {-(-size // stride)}: boxes could not be placed by it",
                hint=f"choose a model.image_size that is a multiple of {strides[-1]}, or a backbone with padded "
                "convolutions, such as mobilenetv3_small_100 or resnet18",
            )
    deepest = dict(zip(strides, body.feature_info.out_indices, strict=True))
    return tuple(Level(deepest[stride], stride) for stride in sorted(deepest))
