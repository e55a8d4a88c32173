"""Non-maximum suppression as ONNX nodes behind an exported detector, so that the graph answers with final boxes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def append_suppression(
    model: onnx.ModelProto, score_floor: float, nms_iou: float, max_detections: int
) -> onnx.ModelProto:
    """Replace the outputs `all_boxes` [A, 4] and `all_scores` [A, C] by `boxes`, `scores` and `labels`; others stay.

    The result equals `torchvision.ops.batched_nms` on the scores above the floor, cut to `max_detections`: each class
    is suppressed on its own, and the best of all classes are kept, best first.

    Args:
        model: As PyTorch exported it.
        score_floor: A box must score more than this.
        nms_iou: A box is dropped when it overlaps a better one of its class by more than this.
        max_detections: At most so many boxes.

    Returns:
        The model with `boxes` float32 [D, 4], `scores` float32 [D] descending, `labels` int64 [D].
    """
    constants: dict[str, np.ndarray] = {
        "most": np.array([max_detections], np.int64),
        "iou": np.array([nms_iou], np.float32),
        "floor": np.array([score_floor], np.float32),
        "axis_0": np.array([0], np.int64),
        "axis_1": np.array([1], np.int64),
        "to_1": np.array([1], np.int64),
        "to_2": np.array([2], np.int64),
        "to_3": np.array([3], np.int64),
        "flat": np.array([-1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["all_boxes", "nms.axis_0"], ["nms.boxes"]),
        node("Transpose", ["all_scores"], ["nms.by_class"], perm=[1, 0]),
        node("Unsqueeze", ["nms.by_class", "nms.axis_0"], ["nms.scores"]),
        # [K, 3]: photo (always 0), class, place. No class can give more than all classes together may.
        node("NonMaxSuppression", ["nms.boxes", "nms.scores", "nms.most", "nms.iou", "nms.floor"], ["nms.chosen"]),
        node("Slice", ["nms.chosen", "nms.to_1", "nms.to_2", "nms.axis_1"], ["nms.class_column"]),
        node("Slice", ["nms.chosen", "nms.to_2", "nms.to_3", "nms.axis_1"], ["nms.place_column"]),
        node("Reshape", ["nms.class_column", "nms.flat"], ["nms.classes"]),
        node("Reshape", ["nms.place_column", "nms.flat"], ["nms.places"]),
        node("Concat", ["nms.place_column", "nms.class_column"], ["nms.pairs"], axis=1),
        node("GatherND", ["all_scores", "nms.pairs"], ["nms.kept_scores"]),
        node("Shape", ["nms.kept_scores"], ["nms.count"]),
        node("Min", ["nms.count", "nms.most"], ["nms.k"]),
        node("TopK", ["nms.kept_scores", "nms.k"], ["scores", "nms.order"], axis=0, largest=1, sorted=1),
        node("Gather", ["nms.classes", "nms.order"], ["labels"], axis=0),
        node("Gather", ["nms.places", "nms.order"], ["nms.best_places"], axis=0),
        node("Gather", ["all_boxes", "nms.best_places"], ["boxes"], axis=0),
    ]
    graph = model.graph
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, f"nms.{name}") for name, value in constants.items())
    others = [output for output in graph.output if output.name not in ("all_boxes", "all_scores")]
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["D", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["D"]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["D"]),
            *others,
        ]
    )
    return model
