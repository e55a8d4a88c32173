"""A trainer fits models of one form; whoever mixes them up is told what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria.errors import SpecError
from pizzeria.loading import load_spec

SPEC = """
defaults: [{override /data: table}, {override /features: columns}]
name: prices
problem: {need: T., owner: t, task: tabular_regression, target: price, success: [{metric: r2, at_least: 0.5}]}
data: {path: prices.csv}
"""


@pytest.mark.parametrize(
    ("model", "training", "hint"),
    [
        ("lightgbm", "lightning", "training=lightgbm on the command line"),
        ("tabular_network", "lightgbm", "training=lightning on the command line"),
    ],
)
def test_a_trainer_that_does_not_fit_the_model_is_refused(
    working_folder: Path, model: str, training: str, hint: str
) -> None:
    Path("prices.yaml").write_text(SPEC)
    with pytest.raises(SpecError, match=f"the trainer {training} does not fit the model {model}") as caught:
        load_spec(["prices.yaml", f"model={model}", f"training={training}"])
    assert hint in str(caught.value.faults[0].hint)


@pytest.mark.parametrize(("model", "training"), [("lightgbm", "lightgbm"), ("tabular_network", "lightning")])
def test_pairs_that_go_together(working_folder: Path, model: str, training: str) -> None:
    Path("prices.yaml").write_text(SPEC)
    assert load_spec(["prices.yaml", f"model={model}", f"training={training}"]).model.use == model


def test_class_weights_of_no_class_are_refused(working_folder: Path) -> None:
    Path("prices.yaml").write_text(SPEC.replace("tabular_regression", "tabular_classification").replace("r2", "auroc"))
    with pytest.raises(SpecError, match=r"'maybe' is not among problem\.classes"):
        load_spec(
            [
                "prices.yaml",
                "model=lightgbm",
                "training=lightgbm",
                "problem.classes=[yes_,no_]",
                "model.class_weights={maybe: 2}",
            ]
        )
