"""A LightGBM booster as an ONNX graph with the inputs and outputs of `pizzeria.inference.predictor`."""

from __future__ import annotations

import re
import warnings

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_TOGETHER = "columns"


def to_graph(text: str, numeric: int, categorical: int, *, classifies: bool) -> onnx.ModelProto:
    """The trees as ONNX.

    Args:
        text: The booster, as `Booster.model_to_string` gives it.
        numeric: Columns of the input `numeric`; 0 for none.
        categorical: Columns of the input `categorical`, which come after them; 0 for none.
        classifies: Whether it answers `probabilities` [N, C] rather than `values` [N].
    """
    model = _converted(text, numeric + categorical)
    graph = model.graph
    nodes, parts = [], []
    del graph.input[:]
    if numeric:
        graph.input.append(helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["batch", numeric]))
        parts.append("numeric")
    if categorical:
        graph.input.append(helper.make_tensor_value_info("categorical", TensorProto.INT64, ["batch", categorical]))
        nodes.append(helper.make_node("Cast", ["categorical"], ["codes"], to=TensorProto.FLOAT))
        parts.append("codes")
    nodes.append(helper.make_node("Concat", parts, [_TOGETHER], axis=1))
    nodes += list(graph.node)
    if classifies:
        kept = [output for output in graph.output if output.name == "probabilities"]
    else:
        graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "flat"))
        nodes.append(helper.make_node("Reshape", [graph.output[0].name, "flat"], ["values"]))
        kept = [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch"])]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.output.extend(kept)
    return model


def exact_in_float32(text: str) -> str:
    """The booster with each threshold moved down to the next float32, which no float32 input can tell from the old one.

    ONNX compares in float32. A threshold rounded to the nearest one could pass a value that it stopped before.
    """

    def down(match: re.Match[str]) -> str:
        old = np.array(match[1].split(), np.float64)
        new = old.astype(np.float32)
        new = np.where(new > old, np.nextafter(new, np.float32(-np.inf)), new)
        return "threshold=" + " ".join(repr(float(value)) for value in new)

    # The sizes of the trees' texts are no longer right; LightGBM reads them in order without.
    return re.sub(r"^threshold=(.*)$", down, re.sub(r"^tree_sizes=.*\n", "", text, flags=re.M), flags=re.M)


def _converted(text: str, columns: int) -> onnx.ModelProto:
    """As onnxmltools gives it, with one float32 input [N, columns]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own internals
        from onnxmltools.convert import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        booster = lightgbm.Booster(model_str=exact_in_float32(text))
        model: onnx.ModelProto = convert_lightgbm(
            booster, initial_types=[(_TOGETHER, FloatTensorType([None, columns]))], zipmap=False
        )
    return model
