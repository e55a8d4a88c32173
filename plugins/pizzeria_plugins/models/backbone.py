"""timm backbones: found by name, filled with weights, and fed with photos as they lie in memory."""

from __future__ import annotations

import contextlib
import difflib
import functools
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pizzeria.errors import PluginError, TrainingError
from pizzeria_plugins.models.weights import HUB, PACKAGED, read


class Normalize(nn.Module):
    """uint8 [N, H, W, 3] to float [N, 3, H, W] with a backbone's own mean and deviation.

    Each timm backbone was trained with its own pair; with another one its weights lose several points of accuracy.
    The result is `channels_last` in memory without a copy, which is what convolutions on a CPU are fastest with.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("scale", 1 / (torch.tensor(std).view(1, 3, 1, 1) * 255), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) * self.scale


class Embedder(nn.Module):
    """Photos to what a frozen timm model makes of them before its last layer.

    Random weights are the same ones each time, so that what was made with them can be made again.

    Args:
        name: timm model.
        size: Side of the photos in pixels.
        weights: Local file, `package`, `hub`, or None for random ones.
        pooling: By timm's name; None for the model's own.

    Raises:
        PluginError: timm has no such model, or the model has no such pooling.
        TrainingError: the weights cannot be read.
    """

    def __init__(self, name: str, size: int, weights: str | None, pooling: str | None) -> None:
        super().__init__()
        options: dict[str, Any] = {} if pooling is None else {"global_pool": pooling}
        example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self.body = create(name, size, weights, num_classes=0, **options)
            self.normalize = Normalize(*statistics(self.body))
            self.requires_grad_(False)
            self.eval()
            shape = tuple(self(example).shape)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise PluginError(
                f"model.backbone: {name} makes no embeddings of photos of {size} px"
                f"{f' with the pooling {pooling}' if pooling else ''}: {first_line(error)}",
                hint="choose another model.image_size, or model.pooling: null for the backbone's own",
            ) from error
        if len(shape) != 2:
            raise PluginError(f"model.pooling: {name} leaves a shape of {shape} for each photo", hint="write avg")
        self.width = shape[1]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """uint8 [N, H, W, 3] RGB to float [N, E]."""
        embedding: Tensor = self.body(self.normalize(images))
        return embedding.float()


def create_classifier(name: str, classes: int, size: int, weights: str | None, dropout: float) -> nn.Module:
    """A whole timm model with `classes` outputs.

    Raises:
        PluginError: timm has no such model, or it takes no photos of this size.
        TrainingError: the weights cannot be read.
    """
    _refuse_size(name, size)
    return create(name, size, weights, num_classes=classes, drop_rate=dropout)


def statistics(model: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation, in [0, 1], that a timm model's weights expect."""
    config: Any = model.pretrained_cfg
    return tuple(config["mean"]), tuple(config["std"])


UNFIT = (AssertionError, AttributeError, RuntimeError, TypeError, ValueError)
"""What timm's models raise when asked for what they cannot do, or for photos of a size that they do not take."""


def try_out(name: str, size: int, **options: Any) -> tuple[nn.Module, Any]:
    """A model without weights and what it makes of a photo of `size` px, for their shapes alone.

    It is built and run on PyTorch's device `meta`, which costs a moment and no memory; where a model cannot be run
    there, on the CPU.

    Raises:
        UNFIT: it cannot be run on the CPU either.
    """
    for device in ("meta", "cpu"):
        try:
            with torch.device(device), torch.no_grad():
                model = create(name, size, None, **options).eval()
                return model, model(torch.zeros(1, 3, size, size))
        except UNFIT:
            if device == "cpu":
                raise
    raise AssertionError


@functools.lru_cache(maxsize=32)
def _refuse_size(name: str, size: int) -> None:
    """Some models take photos of some sizes alone."""
    try:
        try_out(name, size)
    except UNFIT as error:
        raise PluginError(
            f"model.backbone: {name} takes no photos of {size} px: {first_line(error)}",
            hint="choose another model.image_size, such as 224, or a convolutional backbone, which takes any",
        ) from error


def channels_first(model: nn.Module, maps: list[Tensor]) -> list[Tensor]:
    """Feature maps of a timm model as [N, C, H, W]; some, such as Swin's, come with the channels last."""
    if str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC"):
        return [found.permute(0, 3, 1, 2) for found in maps]
    return list(maps)


def create(name: str, size: int, weights: str | None, **options: Any) -> nn.Module:
    """`timm.create_model`, with weights from nowhere (random), a local file, the package or timm's hub."""
    import timm

    _check_name(name)
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = size
    if weights is None:
        return timm.create_model(name, pretrained=False, **options)
    if weights != HUB:
        found = read(weights)
        _check_weights(name, found, weights)
        with _no_word_of_unused_layers():
            model: nn.Module = timm.create_model(
                name, pretrained=True, pretrained_cfg_overlay={"state_dict": found}, **options
            )
        config: Any = model.pretrained_cfg
        del config["state_dict"]  # the model has them now
        return model
    try:
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:
        # What goes wrong here is as varied as the hub's client, and every case has the same way out.
        raise TrainingError(
            f"model.weights: the weights of {name} cannot be fetched from timm's hub: {first_line(error)}",
            hint="without a network, give a local .safetensors or .pth file; `package`, with "
            f"model.backbone: {PACKAGED}; or null for random weights",
        ) from error


def _check_weights(name: str, found: Mapping[str, Tensor], weights: str) -> None:
    """Refuse weights that do not fill the whole backbone: timm itself would say nothing and leave it random."""
    import timm

    model = timm.create_model(name, pretrained=False)
    classifier = tuple(f"{layer}." for layer in _names(model.pretrained_cfg.get("classifier")))
    for key, value in model.state_dict().items():
        if key.startswith(classifier) or key.endswith("num_batches_tracked"):
            continue
        if key not in found or found[key].shape != value.shape:
            what = f"has {key} of shape {tuple(found[key].shape)}" if key in found else f"lacks {key}"
            raise TrainingError(
                f"model.weights: {weights} is not for {name}: it {what}",
                hint=f"it must be a state dict of timm's {name}",
            )


@contextlib.contextmanager
def _no_word_of_unused_layers() -> Iterator[None]:
    """timm warns of the layers behind the last feature map, which a detector leaves out on purpose."""
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _names(classifier: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (classifier,) if isinstance(classifier, str) else classifier or ()


def first_line(error: Exception) -> str:
    """What an error says, in short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check_name(name: str) -> None:
    import timm

    if timm.is_model(name):
        return
    near = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3, cutoff=0.5)
    raise PluginError(
        f"model.backbone: timm has no model {name!r}",
        hint=f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists them all",
    )
