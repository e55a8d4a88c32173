"""Model `lightgbm`: gradient boosted trees on numeric and categorical columns, to a class or a value.

It goes with the trainer `lightgbm`. What is exported is the trees as ONNX, with the inputs and outputs of every model
of tables, so that it is served, explained and monitored like them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pizzeria.errors import DataError
from pizzeria.inference.column_inputs import layout
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.models.class_weights_option import ClassWeightsOption
from pizzeria_plugins.models.class_weights_option import check as check

TASKS = frozenset({"tabular_classification", "tabular_regression"})
TAKES = "columns"
FORM = "lightgbm"
"""What trains it; a network's trainer does not."""


class Options(PluginOptions):
    """Options of `lightgbm`, by LightGBM's own names where it has one."""

    num_leaves: int = Field(default=31, ge=2, le=4096, description="Most leaves of a tree.")
    max_depth: int | None = Field(default=None, ge=1, le=64, description="Most splits above a leaf; null: any number.")
    min_data_in_leaf: int = Field(default=20, ge=1, description="Fewest rows of the training split in a leaf.")
    lambda_l1: float = Field(default=0.0, ge=0, description="Pulls the values of leaves to 0, by their size.")
    lambda_l2: float = Field(default=0.0, ge=0, description="Pulls the values of leaves to 0, by their square.")
    feature_fraction: float = Field(default=1.0, gt=0, le=1, description="Share of the columns that a tree may use.")
    bagging_fraction: float = Field(default=1.0, gt=0, le=1, description="Share of the rows that a tree is made of.")
    max_bin: int = Field(default=255, ge=2, le=65535, description="Most steps in which a number is looked at.")
    loss: Literal["mse", "mae"] = Field(
        default="mse", description="Regression: what is made small; classification always uses cross-entropy."
    )
    class_weights: ClassWeightsOption = None


def build(options: Options, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> dict[str, Any]:
    """What LightGBM is told of the trees: parameters by its names. How it learns is the trainer's.

    Args:
        options: The `model` section.
        problem: Its task and the number of classes decide the objective.
        preprocessing: The columns.
        pretrained: Nothing to do here; there are no trees in the beginning.

    Raises:
        DataError: there is no column to learn from.
    """
    if not layout(preprocessing).names:
        raise DataError(f"no column is left to predict {problem.target} from", hint="name some in `features`")
    names = ("num_leaves", "min_data_in_leaf", "lambda_l1", "lambda_l2", "feature_fraction", "max_bin")
    out = {name: getattr(options, name) for name in names}
    out |= {"max_depth": options.max_depth or -1, "bagging_fraction": options.bagging_fraction, "bagging_freq": 1}
    if problem.task == "tabular_regression":
        objective, metric = {"mse": ("regression", "l2"), "mae": ("regression_l1", "l1")}[options.loss]
    elif len(problem.classes) == 2:
        objective, metric = "binary", "binary_logloss"
    else:
        objective, metric = "multiclass", "multi_logloss"
        out["num_class"] = len(problem.classes)
    return out | {"objective": objective, "metric": metric}


def export(options: Options, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path) -> None:
    """Write `model.onnx`: `numeric`, `categorical` in (where there are any), `probabilities` or `values` out."""
    from pizzeria_plugins.models.booster_file import read
    from pizzeria_plugins.models.booster_graph import to_graph
    from pizzeria_plugins.models.onnx_export import save

    made = layout(preprocessing)
    text, _ = read(weights)
    graph = to_graph(
        text, len(made.numeric), len(made.categorical), classifies=problem.task == "tabular_classification"
    )
    save(graph, path)
