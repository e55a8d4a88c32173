from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pizzeria.errors import RequestError
from pizzeria.inference import contributions as module
from pizzeria.inference.bundle import draft_bundle
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.contributions import MAX_EXPLAINED, contributions, explain_rows
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.rows import to_columns

Make = Callable[[list[str]], Predictor]
MEDIANS, MEANS, DEVIATIONS = [2.0, -1.0, 0.5], [1.0, 0.0, 0.25], [2.0, 1.0, 0.5]


def describe(numeric: int, classes: list[str], **changes: Any) -> dict[str, Any]:
    """x0, x1 ... and the category `day`, whose usual value is `tue`."""
    columns = [
        {"name": f"x{i}", "median": MEDIANS[i % 3], "mean": MEANS[i % 3], "std": DEVIATIONS[i % 3]}
        for i in range(numeric)
    ]
    day = {"name": "day", "values": ["mon", "tue", "wed"], "mode": "tue"}
    plain: dict[str, Any] = {key: {} for key in ("metrics", "lineage", "versions")} | {"name": "rows", "gate": []}
    return plain | {
        "task": "tabular_classification" if classes else "tabular_regression",
        "classes": classes,
        "preprocessing": {"kind": "columns", "numeric": columns, "categorical": [day], "target": {"name": "y"}},
        "calibration": {"method": "none"},
        **changes,
    }


def polynomial(path: Path, weights: np.ndarray, products: list[tuple[int, int]], classify: bool) -> Path:
    """The weighted sum of all inputs (numbers, then the category's code) and the products of some pairs of them."""
    count = len(weights)
    nodes = [
        helper.make_node("Cast", ["categorical"], ["code"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["numeric", "code"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "weights"], ["linear"]),
        helper.make_node("Gather", ["all", "first"], ["a"], axis=1),
        helper.make_node("Gather", ["all", "second"], ["b"], axis=1),
        helper.make_node("Mul", ["a", "b"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axis"], ["mixed"], keepdims=1),
        helper.make_node("Add", ["linear", "mixed"], ["sum"]),
    ]
    if classify:
        nodes += [
            helper.make_node("Mul", ["sum", "third"], ["other"]),
            helper.make_node("Concat", ["sum", "other"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ]
        output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])
    else:
        nodes.append(helper.make_node("Squeeze", ["sum", "axis"], ["values"]))
        output = helper.make_tensor_value_info("values", TensorProto.FLOAT, ["N"])
    first, second = (np.array(side, np.int64) for side in (zip(*products, strict=True) if products else ([], [])))
    constants = {
        "weights": weights.astype(np.float32)[:, None],
        "first": first,
        "second": second,
        "axis": np.array([1], np.int64),
        "third": np.float32(-1 / 3),
    }
    inputs = [
        helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["N", count - 1]),
        helper.make_tensor_value_info("categorical", TensorProto.INT64, ["N", 1]),
    ]
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, [output], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Predictor]:
    def make(
        weights: list[float], products: list[tuple[int, int]] | None = None, classes: Any = (), **changes: Any
    ) -> Predictor:
        path = polynomial(tmp_path / "model.onnx", np.array(weights), products or [], bool(classes))
        return Predictor(draft_bundle(describe(len(weights) - 1, list(classes), **changes), path), threads=1)

    return make


def rows_of(predictor: Predictor, count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    names = [column["name"] for column in predictor.bundle.preprocessing["numeric"]]
    return [
        dict(zip(names, rng.normal(size=len(names)).round(3).tolist(), strict=True))
        | {"day": str(rng.choice(["mon", "wed"]))}
        for _ in range(count)
    ]


def explained(predictor: Predictor, rows: list[dict[str, Any]]) -> tuple[Any, Any]:
    columns = to_columns(rows, predictor.bundle.preprocessing)
    answer = predictor.columns(columns)
    return answer, contributions(predictor, columns, answer)


def by_all_orders(
    predictor: Predictor, row: dict[str, Any], usual: dict[str, Any], label: int | None
) -> tuple[float, list[float]]:
    """Shapley's own definition, one order and one question after the other."""

    def ask(asked: dict[str, Any]) -> float:
        (one,) = predictor.rows([asked])
        return float(one.value if label is None else one.probabilities[label])

    shares = dict.fromkeys(row, 0.0)
    orders = list(permutations(row))
    for order in orders:
        now = dict(usual)
        before = ask(now)
        for name in order:
            now[name] = row[name]
            after = ask(now)
            shares[name] += (after - before) / len(orders)
            before = after
    return ask(usual), list(shares.values())


@pytest.mark.parametrize("columns", [4, 14])
def test_in_a_linear_model_a_column_adds_its_weight_times_its_distance(make: Any, columns: int) -> None:
    weights = np.linspace(-2, 3, columns)
    predictor = make(weights.tolist())
    rows = rows_of(predictor, 3)
    answer, found = explained(predictor, rows)
    for row, shares, base, value in zip(rows, found.shares, found.base, answer.values, strict=True):
        away = [(row[f"x{i}"] - MEDIANS[i % 3]) / DEVIATIONS[i % 3] for i in range(columns - 1)]
        code = {"mon": 1, "wed": 3}[row["day"]]
        np.testing.assert_allclose(shares, weights * [*away, code - 2], atol=1e-5)
        assert base + shares.sum() == pytest.approx(float(value), abs=1e-12)


@pytest.mark.parametrize("classes", [(), ("low", "high")])
def test_four_columns_agree_with_all_orders_one_by_one(make: Any, classes: Any) -> None:
    calibration = {"method": "temperature", "temperature": 1.7} if classes else {"method": "none"}
    predictor = make([0.4, -0.3, 0.2, 0.1], [(0, 1), (2, 3), (1, 3)], classes, calibration=calibration)
    rows = [*rows_of(predictor, 5), {"x0": None, "x1": 3, "x2": True, "day": "never seen"}]
    answer, found = explained(predictor, rows)
    usual = {"x0": None, "x1": None, "x2": None, "day": "tue"}
    for i, row in enumerate(rows):
        label = int(answer.probabilities[i].argmax()) if classes else None
        base, shares = by_all_orders(predictor, row, usual, label)
        assert found.base[i] == pytest.approx(base, abs=1e-6)
        np.testing.assert_allclose(found.shares[i], shares, atol=1e-6)
    assert found.names == ("x0", "x1", "x2", "day")


@pytest.mark.parametrize("columns", [5, 13])
def test_what_does_the_same_gets_the_same_and_what_does_nothing_gets_nothing(make: Any, columns: int) -> None:
    weights = [0.7, 0.1, 0.2, *[0.05] * (columns - 5), 0.0, 0.0]
    weights[3] = weights[0]  # x3 is like x0: same weight, same median
    predictor = make(weights, [(0, 3)], ("low", "high"))
    rows = [row | {"x3": row["x0"]} for row in rows_of(predictor, 4)]
    _, found = explained(predictor, rows)
    exact = columns <= module.EXACT
    np.testing.assert_allclose(found.shares[:, 0], found.shares[:, 3], atol=1e-6 if exact else 0.02)
    np.testing.assert_allclose(found.shares[:, -1], 0, atol=1e-6)
    assert np.abs(found.shares[:, 0]).max() > 0.05


def test_drawn_orders_come_near_to_all_of_them(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = make(np.linspace(-0.5, 0.5, 10).tolist(), [(0, 1), (2, 3), (0, 9), (4, 8)], ("low", "high"))
    rows = rows_of(predictor, 6)
    _, exact = explained(predictor, rows)
    monkeypatch.setattr(module, "EXACT", 3)
    module._coalitions.cache_clear()
    _, drawn = explained(predictor, rows)
    module._coalitions.cache_clear()
    assert 0 < np.abs(drawn.shares - exact.shares).max() < 0.03
    np.testing.assert_allclose(drawn.shares.sum(axis=1), exact.shares.sum(axis=1), atol=1e-12)


def test_rows_do_not_change_each_other(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = make([0.3, -0.2, 0.9, 0.1], [(0, 1)], ("low", "high"))
    rows = rows_of(predictor, 7)
    _, together = explained(predictor, rows)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    _, apart = explained(predictor, rows)
    np.testing.assert_allclose(together.shares, apart.shares, atol=1e-6)


def test_without_a_usual_value_a_category_counts_as_missing(make: Any) -> None:
    how = describe(1, [])["preprocessing"]
    how["categorical"] = [{"name": "day", "values": ["mon", "tue", "wed"]}]
    predictor = make([1.0, 10.0], preprocessing=how)
    _, found = explained(predictor, [{"x0": None, "day": "wed"}])
    np.testing.assert_allclose(found.shares, [[0, 30]], atol=1e-5)


def test_on_the_wire(make: Any) -> None:
    predictor = make([0.3, -0.2, 0.9, 0.1], [(0, 1)], ("low", "high"))
    contract = Contract(predictor, Limits())
    rows = rows_of(predictor, MAX_EXPLAINED + 1)

    def ask(count: int, query: str = "?explain=true") -> Any:
        reply = contract.answer("POST", f"/predict{query}", {}, json.dumps(rows[:count]).encode())
        return reply.status, json.loads(reply.body)

    status, body = ask(MAX_EXPLAINED)
    assert status == 200
    for one in body["predictions"]:
        said = one["explanation"]
        assert (said["class"], said["method"]) == (one["class"], "shapley")
        assert list(said["contributions"]) == ["x0", "x1", "x2", "day"]
        assert said["base"] + sum(said["contributions"].values()) == pytest.approx(one["probability"], abs=5e-6)
    status, body = ask(MAX_EXPLAINED + 1)
    assert (status, body["error"]["code"]) == (413, "too_many_rows")
    status, body = ask(MAX_EXPLAINED + 1, "?explain=false")
    assert status == 200
    assert "explanation" not in body["predictions"][0]


def test_regression_is_explained_in_the_unit_of_its_target(make: Any) -> None:
    predictor = make([2.0, 0.5])
    columns = to_columns([{"x0": 4.0, "day": "tue"}], predictor.bundle.preprocessing)
    (said,) = explain_rows(predictor, columns, predictor.columns(columns))
    assert said == {"method": "shapley", "base": 2.0, "contributions": {"x0": 2.0, "day": 0.0}}


def test_a_coalition_without_an_answer_is_refused_by_name(make: Any) -> None:
    predictor = make([1.0, 1.0, 1.0, 0.0])
    huge = {"x0": 6e38, "x1": -3e38, "x2": 1.5e38, "day": "tue"}  # 3e38 + 3e38, without x1, is too large for a float32
    with pytest.raises(RequestError, match=r"rows\[1\]") as caught:
        explained(predictor, [{"x0": 1, "x1": 1, "x2": 1, "day": "mon"}, huge])
    assert (caught.value.status, caught.value.code) == (422, "no_explanation")
