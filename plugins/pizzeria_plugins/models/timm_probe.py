"""Model `timm_probe`: a classifier on the embeddings of a frozen timm backbone, trained in seconds.

The features `embeddings` run the backbone, whose name, weights and size stand here, once over each photo. What is
trained is the last layer alone; what is exported is both in one graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pizzeria.spec.problem import Problem
from pizzeria_plugins.models.class_weights_option import ClassWeightsOption
from pizzeria_plugins.models.class_weights_option import check as check
from pizzeria_plugins.models.weights import BackboneOptions, files

if TYPE_CHECKING:
    from pizzeria_plugins.models.probe import Probe

TASKS = frozenset({"image_classification", "multilabel_classification"})
TAKES = "embeddings"


class Options(BackboneOptions):
    """Options of `timm_probe`."""

    image_size: int = Field(default=224, ge=32, le=2048, description="Side of the photos in pixels.")
    pooling: Literal["avg", "max", "avgmax", "catavgmax", "token"] | None = Field(
        default=None, description="How a feature map becomes one embedding; null: the backbone's own way."
    )
    hidden: int = Field(default=0, ge=0, le=8192, description="Width of a layer before the last one; 0: none.")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Share of features dropped before the last layer.")
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="Share of the truth that is spread evenly.")
    class_weights: ClassWeightsOption


def inputs(options: Options) -> Sequence[Path]:
    """Files whose content decides what is trained and exported."""
    return files(options.weights)


def build(options: Options, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> Probe:
    """The network that is trained: embeddings in, logits out.

    Args:
        options: The `model` section.
        problem: Its task decides between softmax and sigmoid, its classes the outputs.
        preprocessing: Its `embedding` is the width of an embedding.
        pretrained: Of no account: the last layer always starts at random.
    """
    from pizzeria_plugins.models.class_weights import ClassWeights
    from pizzeria_plugins.models.probe import Probe

    return Probe(
        int(preprocessing["embedding"]),
        len(problem.classes),
        options.hidden,
        multilabel=problem.task == "multilabel_classification",
        dropout=options.dropout,
        label_smoothing=options.label_smoothing,
        class_weights=ClassWeights(options.class_weights, problem.classes),
    )


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: uint8 [N, H, W, 3] in, `probabilities` float32 [N, C] and `embedding` [N, E] out.

    Raises:
        PluginError, TrainingError: the backbone cannot be built, or its weights are gone.
    """
    import torch

    from pizzeria_plugins.models.backbone import Embedder
    from pizzeria_plugins.models.onnx_export import load_weights, save, trace
    from pizzeria_plugins.models.probe import ProbedPhotos

    probe = build(options, problem, preprocessing, pretrained=False)
    load_weights(probe, weights)
    embedder = Embedder(options.backbone, options.image_size, options.weights, options.pooling)
    whole = ProbedPhotos(embedder, probe).eval()
    example = torch.zeros(2, *preprocessing["size"], 3, dtype=torch.uint8)
    save(trace(whole, (example,), inputs=["images"], outputs=["probabilities", "embedding"], batch=True), path)
