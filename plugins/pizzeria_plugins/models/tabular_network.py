"""Model `tabular_network`: numeric and categorical columns to a class or a value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pizzeria.errors import DataError
from pizzeria.inference.column_inputs import layout
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.models.class_weights_option import ClassWeightsOption
from pizzeria_plugins.models.class_weights_option import check as check

if TYPE_CHECKING:
    from pizzeria_plugins.models.residual_mlp import ResidualMLP

TASKS = frozenset({"tabular_classification", "tabular_regression"})
TAKES = "columns"


class Options(PluginOptions):
    """Options of `tabular_network`."""

    hidden: int = Field(default=128, ge=1, le=8192, description="Width of the layers.")
    blocks: int = Field(default=3, ge=0, le=64, description="Number of residual blocks.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Share of features dropped within each block.")
    embedding: int = Field(default=16, ge=1, le=1024, description="Greatest width of a categorical column's embedding.")
    loss: Literal["huber", "mse", "mae"] = Field(
        default="huber", description="Regression: what is made small; classification always uses cross-entropy."
    )
    class_weights: ClassWeightsOption


def build(options: Options, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> ResidualMLP:
    """The network.

    Args:
        options: The `model` section.
        problem: Its task decides between classes and a value.
        preprocessing: Columns, their values, and the target's mean and deviation.
        pretrained: Nothing to do here; the weights always start random.

    Raises:
        DataError: there is no column to learn from.
    """
    from pizzeria_plugins.models.class_weights import ClassWeights
    from pizzeria_plugins.models.residual_mlp import ResidualMLP

    made = layout(preprocessing)
    if not made.names:
        raise DataError(f"no column is left to predict {problem.target} from", hint="name some in `features`")
    target = None
    if problem.task == "tabular_regression":
        # A constant target has no deviation; then there is nothing to scale.
        target = (float(preprocessing["target"]["mean"]), float(preprocessing["target"]["std"]) or 1.0)
    return ResidualMLP(
        len(made.numeric),
        made.sizes,
        1 if target else len(problem.classes),
        hidden=options.hidden,
        blocks=options.blocks,
        dropout=options.dropout,
        embedding=options.embedding,
        target=target,
        loss=options.loss,
        class_weights=ClassWeights(options.class_weights, problem.classes),
    )


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: `numeric`, `categorical` in (where there are any), `probabilities` or `values` out."""
    import torch

    from pizzeria_plugins.models.onnx_export import load_weights, save, trace
    from pizzeria_plugins.models.residual_mlp import Answers

    network = build(options, problem, preprocessing, pretrained=False)
    made = layout(preprocessing)
    load_weights(network, weights)
    examples = {
        "numeric": torch.zeros(2, len(made.numeric)),
        "categorical": torch.zeros(2, len(made.categorical), dtype=torch.int64),
    }
    names = network.input_names
    output = "values" if network.regression else "probabilities"
    model = trace(Answers(network), tuple(examples[name] for name in names), inputs=names, outputs=[output], batch=True)
    save(model, path)
