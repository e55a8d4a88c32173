"""What a prediction looks like as one flat record: what the service logs, and what monitors read.

| key | meaning |
|---|---|
| `timestamp` | when it was answered, ISO 8601 in UTC |
| `sha256` | the bundle that answered |
| `prediction_id` | of the answer; no two records share one |
| `input_id` | name of the photo or row, as the client sent it; may be empty |
| `listing_id` | listing of the photo; may be empty |
| `latency_ms` | time from the whole request read to the answer |
| `feature:<name>` | an image statistic, or the value of a column |
| `embedding` | of a photo, where the model tells it: float16 [E], little-endian, in base64 |
| `photo` | the photo's bytes as they came, where `serving.log.photos` asks for it; kept apart from the rest |
| `p:<class>` | calibrated probability of the class (detection, multi-label: that it is present) |
| `pred:<class>` | 0 or 1, detection and multi-label: whether it is said to be present |
| `pred` | single-label: the class said; regression: the value |
| `true:<class>`, `true` | the same for the truth, where it is known |

The rows of one request go to the log as one table record, so that a thousand rows cost the log little more than one:
`rows` is their count, `columns` what differs between them, by key (a list of values, float64 [N] with NaN for what is
missing, or what `pack` makes of the latter), and `prediction_id` that of the request, to which `/<row>` is added. Logs
may keep it as it is, and give back what `unpack` makes of it.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray


def new_prediction_id() -> str:
    """A new name for one answer: a UUID of version 7 (RFC 9562), which sorts by the time of its making.

    Example:
        >>> len(new_prediction_id()), new_prediction_id() != new_prediction_id()
        (36, True)
    """
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    chance = int.from_bytes(os.urandom(10))
    number = milliseconds << 80 | 7 << 76 | (chance >> 68) << 64 | 2 << 62 | chance & (1 << 62) - 1
    return str(UUID(int=number))


def unpack(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The flat records of a table record; a record that is flat already comes as it is.

    Example:
        >>> table = {"prediction_id": "01", "sha256": "ab", "rows": 2, "columns": {"pred": [3.5, 4.0]}}
        >>> list(unpack(table))
        [{'prediction_id': '01/0', 'sha256': 'ab', 'pred': 3.5}, {'prediction_id': '01/1', 'sha256': 'ab', 'pred': 4.0}]
    """
    if "columns" not in record:
        yield dict(record)
        return
    shared = {key: value for key, value in record.items() if key not in ("rows", "columns")}
    columns = {key: plain_column(values) for key, values in record["columns"].items()}
    for row, values in enumerate(zip(*columns.values(), strict=True)):
        own = dict(zip(columns, values, strict=True))
        yield {**shared, "prediction_id": f"{shared.get('prediction_id', '')}/{row}", **own}


def plain_column(values: Any) -> Sequence[Any]:
    """A column of a table record, in whichever form, as a list; None where a number is missing.

    Example:
        >>> plain_column(np.array([3.5, np.nan])), plain_column(pack(np.array([3.5, np.nan])))
        ([3.5, None], [3.5, None])
    """
    if isinstance(values, Mapping):
        values = np.frombuffer(base64.b64decode(values["float64"]), "<f8")
    if not isinstance(values, np.ndarray):
        plain: Sequence[Any] = values
        return plain
    numbers: list[float] = values.tolist()
    return [None if number != number else number for number in numbers] if np.isnan(values).any() else numbers


def pack(values: NDArray[np.float64]) -> dict[str, str]:
    """float64 [N] as JSON may carry it without writing out each number: {"float64": little-endian, in base64}."""
    return {"float64": base64.b64encode(values.astype("<f8").tobytes()).decode()}


def predictions_in(record: Mapping[str, Any]) -> int:
    """How many predictions a record tells of.

    Example:
        >>> predictions_in({"rows": 2, "columns": {"pred": [3.5, 4.0]}}), predictions_in({"pred": 3.5})
        (2, 1)
    """
    return int(record.get("rows", 1))


def encode_embedding(values: NDArray[np.floating[Any]]) -> str:
    """float [E] as text, to three decimal digits.

    Example:
        >>> decode_embedding(encode_embedding(np.array([0.5, -2.0])))
        array([ 0.5, -2. ], dtype=float32)
    """
    largest = np.finfo(np.float16).max
    return base64.b64encode(np.clip(values, -largest, largest).astype("<f2").tobytes()).decode()


def decode_embedding(text: str) -> NDArray[np.float32]:
    """The inverse of `encode_embedding`: float32 [E]."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)


def presence_record(
    classes: Sequence[str],
    probabilities: NDArray[np.float32],
    thresholds: Mapping[str, float],
    truth: NDArray[np.float32] | None = None,
) -> dict[str, Any]:
    """`p:`, `pred:` and, with truth, `true:` of each class.

    Args:
        classes: C names.
        probabilities: [C] calibrated, in [0, 1].
        thresholds: by class, the probability from which it is said to be present.
        truth: [C], 0 or 1.

    Example:
        >>> presence_record(["bed"], np.array([0.75], np.float32), {"bed": 0.5})
        {'p:bed': 0.75, 'pred:bed': 1}
    """
    out: dict[str, Any] = {}
    for i, name in enumerate(classes):
        out[f"p:{name}"] = round(float(probabilities[i]), 6)
        out[f"pred:{name}"] = int(probabilities[i] >= thresholds[name])
        if truth is not None:
            out[f"true:{name}"] = int(truth[i] > 0)
    return out


def class_record(
    classes: Sequence[str], probabilities: NDArray[np.float32], truth: NDArray[np.float32] | None = None
) -> dict[str, Any]:
    """`p:` of each class, `pred` and, with a one-hot truth, `true`."""
    out: dict[str, Any] = {f"p:{name}": round(float(p), 6) for name, p in zip(classes, probabilities, strict=True)}
    out["pred"] = classes[int(probabilities.argmax())]
    if truth is not None:
        out["true"] = classes[int(truth.argmax())]
    return out


def value_record(value: float, truth: float | None = None) -> dict[str, Any]:
    """`pred` and, where known, `true`."""
    return {"pred": float(value)} | ({} if truth is None else {"true": float(truth)})
