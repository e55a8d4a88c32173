"""What a trivial model reaches: one that has seen the training split's truth, and no photo or column.

Rows and photos get the shares of the classes (the median, for a number); a detector says in each photo the mean box of
each class, with the share of photos that show the class. A model worth having does better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria import registry
from pizzeria.inference.rows import text
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria.tasks import task

if TYPE_CHECKING:
    import pandas as pd

_CORNERS = ["x_min", "y_min", "x_max", "y_max"]
_JUDGED = 2000
_WAY = 0.05
_METRICS = {
    "object_detection": ("map_50", "presence_f1"),
    "image_classification": ("accuracy", "f1"),
    "multilabel_classification": ("average_precision",),
    "tabular_classification": ("auroc", "log_loss"),
    "tabular_regression": ("mae", "rmse"),
}


def baseline(problem: Problem, tables: Tables, splits: pd.Series[str]) -> dict[str, float]:
    """The metrics of the trivial model on the test split, by the names that a success criterion uses.

    Args:
        splits: By image_id or row_id; at most 2,000 of the test split are judged.
    """
    chosen = splits[splits.isin(["train", "validation"])].index
    judged = splits[splits == "test"].index[:_JUDGED]
    if problem.task == "object_detection":
        predictions, truth = _boxes(problem, tables, chosen, judged)
    elif problem.task.startswith("tabular"):
        predictions, truth = _rows(problem, tables, chosen, judged)
    else:
        predictions, truth = _labels(problem, tables, chosen, judged)
    evaluator = registry.load("evaluators", "torchmetrics")
    calibration = evaluator.calibrate("none", problem, predictions, truth)
    found = evaluator.evaluate(evaluator.Options(), problem, predictions, truth, calibration)["metrics"]
    return {name: float(found[name]) for name in _METRICS[problem.task]}


def criteria(problem: Problem, reached: Mapping[str, float]) -> list[tuple[dict[str, Any], str]]:
    """Success criteria a twentieth of the way from the trivial model to perfect, each with the reason.

    Example:
        >>> from pizzeria.spec.problem import Problem
        >>> criteria(Problem.model_construct(task="tabular_regression"), {"mae": 20.0})
        [({'metric': 'mae', 'at_most': 19.0}, 'always saying the median reaches 20')]
    """
    out: list[tuple[dict[str, Any], str]] = []
    metrics = task(problem.task).METRICS
    trivial = {
        "tabular_regression": "always saying the median",
        "object_detection": "saying each class's mean box in every photo",
    }.get(problem.task, "always saying the shares of the classes")
    for name, value in reached.items():
        if not math.isfinite(value):
            continue
        why = f"{trivial} reaches {value:.3g}"
        if metrics[name].better == "lower":
            out.append(({"metric": name, "at_most": _rounded(value * (1 - _WAY), down=True)}, why))
        else:
            out.append(({"metric": name, "at_least": _rounded(value + (1 - value) * _WAY, down=False)}, why))
    return out


def _rounded(value: float, *, down: bool) -> float:
    """To three digits, never past the value towards the easier side."""
    if value == 0:
        return 0.0
    scale = 10.0 ** (2 - math.floor(math.log10(abs(value))))
    found = (math.floor if down else math.ceil)(round(value * scale, 6)) / scale
    return float(f"{found:.3g}")


def _labels(
    problem: Problem, tables: Tables, chosen: pd.Index[Any], judged: pd.Index[Any]
) -> tuple[Predictions, Predictions]:
    assert tables.images is not None
    images = tables.images.set_index(tables.images["image_id"].astype(str))
    several = problem.task == "multilabel_classification"
    cells = images["labels"] if several else images["label"].map(lambda name: [name])
    hot = _hot(cells, problem.classes)
    rows = {key: row for row, key in enumerate(images.index)}
    shares = hot[[rows[key] for key in chosen]].mean(axis=0)
    truth = hot[[rows[key] for key in judged]]
    return _constant(shares, judged), Predictions(tuple(judged), probabilities=truth)


def _hot(cells: pd.Series[Any], classes: tuple[str, ...]) -> NDArray[np.float32]:
    code = {name: i for i, name in enumerate(classes)}
    hot = np.zeros((len(cells), len(classes)), np.float32)
    for row, names in zip(hot, cells, strict=True):
        row[[code[str(name)] for name in names]] = 1
    return hot


def _constant(shares: NDArray[np.float32], judged: pd.Index[Any]) -> Predictions:
    return Predictions(tuple(judged), probabilities=np.tile(shares.astype(np.float32), (len(judged), 1)))


def _rows(
    problem: Problem, tables: Tables, chosen: pd.Index[Any], judged: pd.Index[Any]
) -> tuple[Predictions, Predictions]:
    target = _target(problem, tables)
    seen, true = target[target.index.isin(chosen)], target.reindex(judged)
    if problem.task == "tabular_regression":
        values = true.to_numpy(np.float32)
        median = np.full(len(judged), np.nanmedian(seen.to_numpy(np.float64)), np.float32)
        return Predictions(tuple(judged), values=median), Predictions(tuple(judged), values=values)
    hot, shown = (_hot(part.map(lambda value: [text(value)]), problem.classes) for part in (seen, true))
    return _constant(hot.mean(axis=0), judged), Predictions(tuple(judged), probabilities=shown)


def _target(problem: Problem, tables: Tables) -> pd.Series[Any]:
    """The target by row_id; of a large table nothing else is read."""
    import pandas as pd

    wanted = ["row_id", str(problem.target)]
    frame = pd.read_parquet(tables.rows_file, columns=wanted) if tables.rows_file is not None else tables.rows
    assert frame is not None
    return frame.set_index(frame["row_id"].astype(str))[problem.target].dropna()


def _boxes(
    problem: Problem, tables: Tables, chosen: pd.Index[Any], judged: pd.Index[Any]
) -> tuple[Predictions, Predictions]:
    assert tables.images is not None
    assert tables.boxes is not None
    images = tables.images.set_index(tables.images["image_id"].astype(str))
    boxes = tables.boxes.assign(image_id=tables.boxes["image_id"].astype(str))
    side = images[["width", "height", "width", "height"]]
    side.columns = _CORNERS
    code = {name: i for i, name in enumerate(problem.classes)}
    labels = np.asarray(boxes["class_name"].map(code), np.int64)
    relative = boxes[_CORNERS].to_numpy(float) / side.reindex(boxes["image_id"]).to_numpy(float)
    seen = boxes["image_id"].isin(chosen).to_numpy()
    present = [i for i in range(len(code)) if (seen & (labels == i)).any()]
    mean = np.stack([relative[seen & (labels == i)].mean(axis=0) for i in present])
    share = [boxes["image_id"][seen & (labels == i)].nunique() / max(len(chosen), 1) for i in present]
    order = np.argsort(share)[::-1]
    guess = mean[order], np.asarray(share, np.float32)[order], np.asarray(present, np.int64)[order]
    groups = dict(boxes.groupby("image_id").indices.items())
    found, true = [], []
    for key in judged:
        scale = side.loc[key].to_numpy(float)
        found.append(Boxes((guess[0] * scale).astype(np.float32), guess[1], guess[2]))
        rows = groups.get(key, np.zeros(0, int))
        xyxy = boxes[_CORNERS].to_numpy(np.float32)[rows]
        true.append(Boxes(xyxy, np.ones(len(rows), np.float32), labels[rows]))
    return Predictions(tuple(judged), boxes=tuple(found)), Predictions(tuple(judged), boxes=tuple(true))
