"""A feature pyramid over any backbone: levels that the backbone has, and levels made of them."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import NamedTuple

from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from pizzeria.errors import PluginError
from pizzeria_plugins.models.feature_maps import FeatureMaps, levels_of


class Plan(NamedTuple):
    """Where the levels of a pyramid come from, by their strides, each ascending.

    Attributes:
        finer: Made of the backbone's finest map.
        own: Maps of the backbone.
        coarser: Made of the level before.
    """

    finer: tuple[int, ...]
    own: tuple[int, ...]
    coarser: tuple[int, ...]


def plan(name: str, size: int, strides: tuple[int, ...]) -> Plan:
    """Which levels a backbone gives, and which are to be made.

    Args:
        name: timm model.
        size: Side of the photos in pixels.
        strides: Of the levels that are wanted, ascending.

    Raises:
        PluginError: the levels cannot be had from this backbone; says which can.
    """
    has = [level.stride for level in levels_of(name, size)]
    finer = tuple(stride for stride in strides if stride < has[0])
    own = tuple(stride for stride in strides if stride in has)
    coarser = tuple(stride for stride in strides if stride > has[-1])
    doubling = all(b == 2 * a for a, b in pairwise((*own[-1:], *coarser)))
    halving = all((has[0] / stride).is_integer() and (has[0] // stride).bit_count() == 1 for stride in finer)
    anchored = own and (not finer or own[0] == has[0]) and (not coarser or own[-1] == has[-1])
    if not (anchored and halving and doubling and len(finer) + len(own) + len(coarser) == len(strides)):
        write = list(has[-3:]) if len(has) > 1 else [has[0] // 2, has[0], has[0] * 2]
        raise PluginError(
            f"model.strides: {list(strides)} cannot be had from {name}, whose feature maps have the strides "
            f"{', '.join(map(str, has))}",
            hint=f"write some of these, such as {write}; finer ones are made of the finest, by halves, and coarser "
            "ones of the coarsest, each twice the one before",
        )
    return Plan(finer, own, coarser)


class Finer(nn.Module):
    """Maps of smaller strides made of the backbone's finest one, by transposed convolutions.

    This is the simple feature pyramid of ViTDet (https://arxiv.org/abs/2203.16527, section 3), for backbones that lack
    fine maps. A backbone with one stride alone gives its map as its last block left it, which is normalised first.

    Attributes:
        channels: Of all maps that come out, the finest first.
    """

    def __init__(self, maps: FeatureMaps, strides: tuple[int, ...]) -> None:
        super().__init__()
        width = maps.channels[0]
        self.norm = LayerNorm2d(width) if maps.plain else nn.Identity()
        self.made = nn.ModuleList(_enlarging(width, maps.strides[0] // stride) for stride in strides)
        halved = [max(32, width * stride // maps.strides[0]) for stride in strides]
        self.channels = [*halved, *maps.channels]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        finest = self.norm(maps[0])
        return [*(enlarge(finest) for enlarge in self.made), finest, *maps[1:]]


class Coarser(ExtraFPNBlock):
    """Levels of twice the stride each, by a convolution over the one before: P6 and P7 of RetinaNet and FCOS."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(count))
        for conv in self.convs:
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        for number, conv in enumerate(self.convs):
            results = [*results, conv(results[-1].relu() if number else results[-1])]
            names = [*names, str(len(names))]
        return results, names


class Pyramid(nn.Module):
    """Backbone and feature pyramid, in the form that torchvision's detectors want.

    Args:
        maps: The backbone, with the plan's own strides.
        levels: Where the levels come from.
        channels: Width of each level.
    """

    def __init__(self, maps: FeatureMaps, levels: Plan, channels: int) -> None:
        super().__init__()
        self.maps = maps
        self.finer = Finer(maps, levels.finer) if levels.finer or maps.plain else None
        widths = maps.channels if self.finer is None else self.finer.channels
        coarser = Coarser(channels, len(levels.coarser)) if levels.coarser else None
        self.fpn = FeaturePyramidNetwork(widths, channels, coarser)
        self.out_channels = channels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        return self.levels(self.maps(images))

    def levels(self, maps: list[Tensor]) -> OrderedDict[str, Tensor]:
        """The pyramid alone, over the backbone's maps."""
        if self.finer is not None:
            maps = self.finer(maps)
        return self.fpn(OrderedDict((str(level), feature) for level, feature in enumerate(maps)))


def _enlarging(width: int, factor: int) -> nn.Sequential:
    """A map `factor` times as wide and high, with as many times fewer channels, but no fewer than 32."""
    layers: list[nn.Module] = []
    while factor > 1:
        narrower = max(32, width // 2)
        layers += [nn.ConvTranspose2d(width, narrower, 2, stride=2), LayerNorm2d(narrower), nn.GELU()]
        width, factor = narrower, factor // 2
    return nn.Sequential(*layers[:-1])
