"""Runs a bundle's model with ONNX Runtime, on photos and on rows.

| task | inputs | outputs |
|---|---|---|
| object_detection | `images` uint8 [1, H, W, 3] | `boxes` float32 [D, 4], `scores` float32 [D], `labels` int64 [D] |
| image_classification, multilabel_classification | `images` uint8 [N, H, W, 3] | `probabilities` float32 [N, C] |
| tabular_classification | `numeric` float32 [N, F], `categorical` int64 [N, G] | `probabilities` float32 [N, C] |
| tabular_regression | the same | `values` float32 [N] |

A model of photos may also give `embedding` float32 [N, E]: what its backbone makes of a photo, for monitoring.
Boxes are in network pixels. `numeric` or `categorical` is absent where F or G is 0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import BundleError, RequestError
from pizzeria.inference.answers import PhotoAnswer, RowAnswer, TableAnswer
from pizzeria.inference.bundle import MODEL, Bundle
from pizzeria.inference.calibration import calibrate
from pizzeria.inference.column_inputs import layout
from pizzeria.inference.photos import Photo
from pizzeria.inference.resize import resize
from pizzeria.inference.rows import Columns, encode_columns, to_columns
from pizzeria.inference.statistics import image_statistics
from pizzeria.predictions import Boxes, Predictions

_OUTPUTS = {"object_detection": ("boxes", "scores", "labels"), "tabular_regression": ("values",)}
_EMBEDDING = "embedding"
_BATCH = 4096


class Predictor:
    """One bundle, ready to answer; safe to use from several threads at once.

    Args:
        bundle: From `open_bundle`, or `draft_bundle`.
        threads: Threads of one prediction; None takes as many as the process may use cores.

    Raises:
        BundleError: the model cannot be loaded, or has other inputs or outputs than its task asks for.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait would take the cores from requests that run beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.bundle = bundle
        self._outputs = _OUTPUTS.get(bundle.task, ("probabilities",))
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.read(MODEL), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except BundleError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no class
            raise BundleError(f"{bundle.location}: {MODEL} cannot be loaded: {error}", hint="export it again") from None
        self._check_graph()

    def photo(self, photo: Photo) -> PhotoAnswer:
        """The answer for one photo, as `pizzeria.inference.photos.decode` gives it.

        Raises:
            RequestError: 422, the model has no finite answer to it.
        """
        original = (photo.width, photo.height)
        pixels, geometry = resize(photo.image, self.bundle.preprocessing, original)
        found = self._run({"images": pixels[None]})
        embedding = found[-1][0].astype(np.float32) if self._embeds else None
        boxes = None
        if self.bundle.task == "object_detection":
            inside = _best_first(*found[:3])
            xyxy = geometry.to_original(inside.xyxy, *original)
            boxes = Boxes(xyxy, inside.scores, inside.labels).with_area()
            scores = Predictions(("0",), boxes=(boxes,)).presence(len(self.bundle.classes))
        else:
            scores = found[0].astype(np.float32)
        if not np.isfinite(scores).all():
            raise RequestError(
                422,
                "no_answer",
                "the model has no finite answer",
                hint="if other photos end alike, the model is broken",
            )
        return PhotoAnswer(
            bundle=self.bundle,
            width=photo.width,
            height=photo.height,
            probabilities=calibrate(self.bundle.calibration, scores, self.bundle.classes)[0],
            statistics=image_statistics(pixels, geometry, *original),
            boxes=boxes,
            embedding=embedding,
        )

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> list[RowAnswer]:
        """The answer for each row of a request.

        Raises:
            RequestError: 422, a column is missing, unknown or of a wrong type; names it as `rows[3].price`.
        """
        return self.columns(to_columns(rows, self.bundle.preprocessing)).rows() if rows else []

    def columns(self, columns: Columns) -> TableAnswer:
        """The answers for at least one row, as columns that were checked; see `pizzeria.inference.rows.to_columns`.

        Raises:
            RequestError: 422, a number is out of reach; names it as `rows[3].price`, or the row alone where its
                numbers are each in reach and the network overflows on them together.
        """
        raw = self.table(*encode_columns(columns, self.bundle.preprocessing))
        _check_finite(raw)
        if raw.values is not None:
            return TableAnswer(self.bundle, columns, values=raw.values)
        assert raw.probabilities is not None
        calibrated = calibrate(self.bundle.calibration, raw.probabilities, self.bundle.classes)
        return TableAnswer(self.bundle, columns, calibrated)

    def network(self, images: NDArray[np.uint8]) -> Predictions:
        """What the network itself says, not calibrated: for parity checks.

        Args:
            images: uint8 [N, H, W, 3], resized.

        Returns:
            Boxes in network pixels, or probabilities; keys are the positions.
        """
        keys = tuple(map(str, range(len(images))))
        if self.bundle.task == "object_detection":
            return Predictions(keys, boxes=tuple(self._detect(image) for image in images))
        return Predictions(keys, probabilities=self._run({"images": images})[0].astype(np.float32))

    def table(self, numeric: NDArray[np.float32], categorical: NDArray[np.int64]) -> Predictions:
        """What the network itself says of encoded rows, not calibrated.

        Args:
            numeric: float32 [N, F].
            categorical: int64 [N, G].

        Returns:
            Probabilities or values; keys are the positions.
        """
        count = len(numeric)
        parts = [
            self._run({"numeric": numeric[at : at + _BATCH], "categorical": categorical[at : at + _BATCH]})[0]
            for at in range(0, count, _BATCH)
        ]
        out = np.concatenate(parts).astype(np.float32)
        keys = tuple(map(str, range(count)))
        if self.bundle.task == "tabular_regression":
            return Predictions(keys, values=out.reshape(count))
        return Predictions(keys, probabilities=out)

    def _detect(self, image: NDArray[np.uint8]) -> Boxes:
        return _best_first(*self._run({"images": image[None]})[:3])

    def _run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        wanted = {name: np.ascontiguousarray(array) for name, array in inputs.items() if name in self._inputs}
        found: list[NDArray[Any]] = self._session.run(list(self._outputs), wanted)
        return found

    def _check_graph(self) -> None:
        how = self.bundle.preprocessing
        if self.bundle.takes_photos:
            wanted = {"images"}
        else:
            made = layout(how)
            wanted = {name for name in ("numeric", "categorical") if getattr(made, name)}
        self._inputs = {item.name for item in self._session.get_inputs()}
        outputs = {item.name for item in self._session.get_outputs()}
        self._embeds = self.bundle.takes_photos and _EMBEDDING in outputs
        if self._inputs != wanted or not set(self._outputs) <= outputs:
            raise BundleError(
                f"{self.bundle.location}: {MODEL} takes {', '.join(sorted(self._inputs)) or 'nothing'} and gives "
                f"{', '.join(sorted(outputs))}, where {self.bundle.task} takes {', '.join(sorted(wanted))} and gives "
                f"{', '.join(self._outputs)}",
                hint="export it again with these names",
            )
        if self._embeds:
            self._outputs = (*self._outputs, _EMBEDDING)


def _best_first(xyxy: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]) -> Boxes:
    order = np.argsort(-scores, kind="stable")
    return Boxes(
        xyxy[order].reshape(-1, 4).astype(np.float32), scores[order].astype(np.float32), labels[order].astype(np.int64)
    )


def usable_cores() -> int:
    """Cores that this process may use: by affinity, and by the quota of its control group.

    Example:
        >>> usable_cores() >= 1
        True
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(affinity, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no quota ("max")
        return affinity


def _check_finite(raw: Predictions) -> None:
    out = raw.values if raw.probabilities is None else raw.probabilities
    if out is None or np.isfinite(out).all():
        return
    row = int(np.argwhere(~np.isfinite(out))[0][0])
    raise RequestError(
        422, "out_of_reach", f"rows[{row}]: the model has no finite answer", hint="its numbers are far too large"
    )
