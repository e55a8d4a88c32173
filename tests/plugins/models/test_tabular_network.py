from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from pizzeria.errors import DataError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import tabular_network

OPTIONS = tabular_network.Options(hidden=16, blocks=2)


def problem(task: str) -> Problem:
    classes = () if task == "tabular_regression" else ("no", "maybe", "yes")
    metric = "mae" if task == "tabular_regression" else "f1"
    return Problem(
        need="t", owner="t", task=task, classes=classes, target="y", success=({"metric": metric, "at_least": 0},)
    )


def columns(numeric: int, categorical: int) -> dict[str, Any]:
    return {
        "kind": "columns",
        "numeric": [{"name": f"n{i}", "median": 0, "mean": 0, "std": 1} for i in range(numeric)],
        "categorical": [{"name": f"c{i}", "values": ["p", "q", "r"]} for i in range(categorical)],
        "target": {"name": "y", "mean": 500.0, "std": 20.0},
    }


@pytest.mark.parametrize("task", ["tabular_classification", "tabular_regression"])
@pytest.mark.parametrize(("numeric", "categorical"), [(3, 2), (3, 0), (0, 2)])
def test_the_exported_graph_answers_as_the_network(tmp_path: Path, task: str, numeric: int, categorical: int) -> None:
    torch.manual_seed(0)
    preprocessing = columns(numeric, categorical)
    network = tabular_network.build(OPTIONS, problem(task), preprocessing, pretrained=True).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    tabular_network.export(OPTIONS, problem(task), preprocessing, tmp_path / "w.safetensors", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    for rows in (1, 7):
        feed = {
            "numeric": rng.normal(size=(rows, numeric)).astype(np.float32),
            "categorical": rng.integers(0, 4, (rows, categorical)),
        }
        feed = {name: value for name, value in feed.items() if value.shape[1]}
        assert [found.name for found in session.get_inputs()] == list(feed)
        (found,) = session.run(None, feed)
        with torch.no_grad():
            expected = network.predict(network(*(torch.from_numpy(value) for value in feed.values())))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
        assert found.shape == ((rows,) if task == "tabular_regression" else (rows, 3))
    name = "values" if task == "tabular_regression" else "probabilities"
    assert [found.name for found in session.get_outputs()] == [name]


@pytest.mark.parametrize("loss", ["huber", "mse", "mae"])
def test_the_regression_loss_is_in_deviations_of_the_target(loss: str) -> None:
    options = tabular_network.Options(loss=loss)
    network = tabular_network.build(options, problem("tabular_regression"), columns(1, 0), pretrained=True)
    found = network.loss(torch.tensor([0.0]), torch.tensor([560.0]))["regression"]
    assert float(found) == {"huber": 2.5, "mse": 9.0, "mae": 3.0}[loss]


def test_a_constant_target_can_be_learnt() -> None:
    preprocessing = columns(1, 0) | {"target": {"name": "y", "mean": 7.0, "std": 0.0}}
    network = tabular_network.build(OPTIONS, problem("tabular_regression"), preprocessing, pretrained=True)
    assert network.predict(torch.zeros(2)).tolist() == [7.0, 7.0]


def test_without_columns_there_is_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="no column is left to predict y from"):
        tabular_network.build(OPTIONS, problem("tabular_regression"), columns(0, 0), pretrained=True)
