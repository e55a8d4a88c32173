"""Model `timm_classifier`: any timm model, with one class or any number of classes for each photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models.class_weights_option import ClassWeightsOption
from pizzeria_plugins.models.class_weights_option import check as check
from pizzeria_plugins.models.weights import BackboneOptions, files

if TYPE_CHECKING:
    from pizzeria_plugins.models.classifier import Classifier

TASKS = frozenset({"image_classification", "multilabel_classification"})
TAKES = "photos"


class Options(BackboneOptions):
    """Options of `timm_classifier`."""

    image_size: int = Field(default=224, ge=32, le=2048, description="Side of the photos in pixels.")
    freeze_backbone: bool = Field(default=False, description="Train the last layer only.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of features dropped before the last layer.")
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="Share of the truth that is spread evenly.")
    class_weights: ClassWeightsOption


def inputs(options: Options) -> Sequence[Path]:
    """Files whose content decides what `build` returns."""
    return files(options.weights)


def build(options: Options, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> Classifier:
    """The network.

    Args:
        options: The `model` section.
        problem: Its task decides between softmax and sigmoid, its classes the outputs.
        preprocessing: Not needed; the photos come in the size that `options` asked for.
        pretrained: Whether to read `options.weights`; not when trained weights are about to be loaded.

    Raises:
        PluginError: timm has no such model.
        TrainingError: the weights cannot be read.
    """
    import torch

    from pizzeria_plugins.models.class_weights import ClassWeights
    from pizzeria_plugins.models.classifier import Classifier

    network = Classifier(
        options.backbone,
        len(problem.classes),
        options.image_size,
        options.weights if pretrained else None,
        multilabel=problem.task == "multilabel_classification",
        dropout=options.dropout,
        label_smoothing=options.label_smoothing,
        class_weights=ClassWeights(options.class_weights, problem.classes),
        frozen=options.freeze_backbone,
    )
    return network.to(memory_format=torch.channels_last)


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: uint8 [N, H, W, 3] in, `probabilities` float32 [N, C] and `embedding` [N, E] out."""
    import torch

    from pizzeria_plugins.models.classifier import Probabilities
    from pizzeria_plugins.models.onnx_export import load_weights, save, trace

    network = build(options, problem, preprocessing, pretrained=False)
    load_weights(network, weights)
    example = torch.zeros(2, *preprocessing["size"], 3, dtype=torch.uint8)
    exported = Probabilities(network, example)
    save(trace(exported, (example,), inputs=["images"], outputs=exported.outputs, batch=True), path)
