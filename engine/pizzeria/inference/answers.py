"""What a model says of one photo or one row: as JSON on the wire, and as a flat record for monitoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.bundle import Bundle
from pizzeria.inference.calibration import calibrate_boxes
from pizzeria.inference.records import class_record, encode_embedding, plain_column, presence_record, unpack
from pizzeria.predictions import Boxes


@dataclass(frozen=True)
class PhotoAnswer:
    """The answer for one photo.

    Attributes:
        bundle: Which model answered.
        width, height: Of the upright original, in pixels.
        probabilities: float32 [C], calibrated. Detection and multi-label: that the class is present.
        statistics: `pizzeria.inference.statistics.image_statistics` of the photo.
        boxes: Detection alone: all above the network's floor, in original pixels, with raw scores, highest first.
        embedding: float32 [E], what the network's backbone makes of the photo; None where the model does not tell it.
    """

    bundle: Bundle
    width: int
    height: int
    probabilities: NDArray[np.float32]
    statistics: Mapping[str, float]
    boxes: Boxes | None = None
    embedding: NDArray[np.float32] | None = None

    def confidences(self) -> NDArray[np.float32]:
        """Calibrated confidence of each box, float32 [D]."""
        boxes = self.boxes or Boxes.empty()
        return calibrate_boxes(self.bundle.calibration, boxes, self.bundle.classes)

    def wire(self, min_confidence: float | None = None) -> dict[str, Any]:
        """The JSON body of `POST /predict`.

        Args:
            min_confidence: Boxes of at least this confidence are told, in [0, 1]; by default those that reach their
                class's threshold.
        """
        size = {"width": self.width, "height": self.height, "model": self.bundle.sha256}
        if not self.bundle.judges_presence:
            return _class_wire(self.bundle, self.probabilities) | size
        presence = {
            name: {"probability": _round(p), "present": bool(p >= self.bundle.thresholds[name])}
            for name, p in zip(self.bundle.classes, self.probabilities, strict=True)
        }
        found = {} if self.boxes is None else {"boxes": self._wire_boxes(self.boxes, min_confidence)}
        return found | {"presence": presence} | size

    def record(self) -> dict[str, Any]:
        """See `pizzeria.inference.records`; time, ids and latency are the caller's to add."""
        out: dict[str, Any] = {"sha256": self.bundle.sha256}
        out |= {f"feature:{name}": value for name, value in self.statistics.items()}
        if self.embedding is not None:
            out["embedding"] = encode_embedding(self.embedding)
        if self.bundle.judges_presence:
            return out | presence_record(self.bundle.classes, self.probabilities, self.bundle.thresholds)
        return out | class_record(self.bundle.classes, self.probabilities)

    def _wire_boxes(self, boxes: Boxes, min_confidence: float | None) -> list[dict[str, Any]]:
        out = []
        for xyxy, score, label, confidence in zip(
            boxes.xyxy, boxes.scores, boxes.labels, self.confidences(), strict=True
        ):
            name = self.bundle.classes[label]
            if confidence >= (self.bundle.thresholds[name] if min_confidence is None else min_confidence):
                corners = zip(("x_min", "y_min", "x_max", "y_max"), xyxy, strict=True)
                out.append(
                    {"class": name, "confidence": _round(confidence), "score": _round(score)}
                    | {corner: round(float(pixel), 2) for corner, pixel in corners}
                )
        return out


@dataclass(frozen=True)
class RowAnswer:
    """The answer for one row.

    Attributes:
        bundle: Which model answered.
        features: The row's columns as they came, None where missing.
        probabilities: float32 [C], calibrated; classification alone.
        value: In the target's own unit; regression alone.
    """

    bundle: Bundle
    features: Mapping[str, float | str | None] = field(default_factory=dict)
    probabilities: NDArray[np.float32] | None = None
    value: float | None = None

    def wire(self) -> dict[str, Any]:
        """One element of `predictions` in the body of `POST /predict`."""
        return self._alone().wire()[0]

    def record(self) -> dict[str, Any]:
        """See `pizzeria.inference.records`; time, ids and latency are the caller's to add."""
        [record] = unpack(self._alone().record())
        return {key: value for key, value in record.items() if key != "prediction_id"}

    def _alone(self) -> TableAnswer:
        return TableAnswer(
            self.bundle,
            {name: [value] for name, value in self.features.items()},
            None if self.probabilities is None else self.probabilities[None],
            None if self.value is None else np.array([self.value]),
        )


@dataclass(frozen=True)
class TableAnswer:
    """The answers for the rows of one request.

    Attributes:
        bundle: Which model answered.
        features: By column, N values each as they came: float64 [N] with NaN where missing, or texts and None.
        probabilities: float32 [N, C], calibrated; classification alone.
        values: [N], in the target's own unit; regression alone.
    """

    bundle: Bundle
    features: Mapping[str, NDArray[np.float64] | Sequence[float | str | None]]
    probabilities: NDArray[np.float32] | None = None
    values: NDArray[np.floating[Any]] | None = None

    def rows(self) -> list[RowAnswer]:
        """The answers one by one."""
        features = self._feature_rows()
        if self.values is not None:
            return [RowAnswer(self.bundle, f, value=v) for f, v in zip(features, self.values.tolist(), strict=True)]
        assert self.probabilities is not None
        return [RowAnswer(self.bundle, f, p) for f, p in zip(features, self.probabilities, strict=True)]

    def wire(self) -> list[dict[str, Any]]:
        """`predictions` in the body of `POST /predict`."""
        if self.values is not None:
            return [{"value": value} for value in self.values.tolist()]
        assert self.probabilities is not None
        classes = self.bundle.classes
        best, rounded = self.probabilities.argmax(axis=1).tolist(), _rounded(self.probabilities)
        return [
            {"class": classes[i], "probability": row[i], "probabilities": dict(zip(classes, row, strict=True))}
            for i, row in zip(best, rounded, strict=True)
        ]

    def record(self) -> dict[str, Any]:
        """The table record of `pizzeria.inference.records`; time, ids and latency are the caller's to add."""
        columns: dict[str, Any] = {f"feature:{name}": column for name, column in self.features.items()}
        if self.values is not None:
            columns["pred"] = self.values.astype(np.float64)
        else:
            assert self.probabilities is not None
            classes = self.bundle.classes
            by_class = np.round(self.probabilities.T.astype(np.float64), 6)
            columns |= {f"p:{name}": column for name, column in zip(classes, by_class, strict=True)}
            columns["pred"] = [classes[i] for i in self.probabilities.argmax(axis=1).tolist()]
        return {"sha256": self.bundle.sha256, "rows": len(columns["pred"]), "columns": columns}

    def _feature_rows(self) -> list[dict[str, float | str | None]]:
        names, columns = tuple(self.features), map(plain_column, self.features.values())
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _class_wire(bundle: Bundle, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    return TableAnswer(bundle, {}, probabilities[None]).wire()[0]


def _rounded(probabilities: NDArray[np.float32]) -> list[list[float]]:
    """To six decimal digits. A float32 times a million is exact in float64, so this is what Python's `round` gives."""
    found: list[list[float]] = np.round(probabilities.astype(np.float64), 6).tolist()
    return found


def _round(probability: Any) -> float:
    return round(float(probability), 6)
