"""A bundle served by hand: Pillow, numpy and ONNX Runtime, and as few lines as the task allows.

It leaves out what a service needs beside the answer (checks of the input, statistics, the prediction log), so it is
the limit that servers are compared with. Scores are taken as they are: the benchmark's bundles are not calibrated.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image


class OnnxModel:
    """One bundle in one session; safe to use from several threads at once.

    Args:
        bundle: The bundle's folder.
        threads: Threads of one prediction.
    """

    def __init__(self, bundle: Path, threads: int = 1) -> None:
        description = json.loads((bundle / "bundle.json").read_bytes())
        self.task: str = description["task"]
        self.classes: list[str] = description["classes"]
        self.preprocessing: dict[str, Any] = description["preprocessing"]
        self.thresholds: dict[str, float] = description["calibration"].get("thresholds", {})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(bundle / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def answer(self, body: bytes) -> dict[str, Any]:
        """Photo or rows in, the answer of `POST /predict` out, but for `model` and ids."""
        if self.task.startswith("tabular"):
            return self.rows(body)
        return self.photo(Image.open(BytesIO(body)).convert("RGB"))

    def photo(self, image: Image.Image, size: tuple[int, int] | None = None) -> dict[str, Any]:
        """The answer for a photo; `size` is the original's, where `image` is a smaller copy."""
        width, height = size or image.size
        if self.task == "image_classification":
            return self.ranked(self.probabilities({"images": self.pixels(image)[None]}))[0]
        outputs = ["boxes", "scores", "labels"]
        found = self.session.run(outputs, {"images": self.pixels(image)[None]})
        side = self.preprocessing["size"][0]
        return self.detected(*found, max(width, height) / side, width, height)

    def probabilities(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """[N, C]."""
        found: NDArray[np.float32] = self.session.run(["probabilities"], inputs)[0]
        return found

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """The network's square image: the photo's middle (`crop`), or all of it above a grey rest (`letterbox`)."""
        side = self.preprocessing["size"][0]
        width, height = image.size
        if self.preprocessing["resize"] == "crop":
            edge = min(width, height)
            left, top = (width - edge) / 2, (height - edge) / 2
            box = (left, top, left + edge, top + edge)
            return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
        scale = side / max(width, height)
        inner = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
        out = np.full((side, side, 3), self.preprocessing["fill"], np.uint8)
        out[: inner.height, : inner.width] = inner
        return out

    def ranked(self, probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
        """Probabilities [N, C] as answers."""
        return [
            {
                "class": self.classes[best],
                "probability": row[best],
                "probabilities": dict(zip(self.classes, row, strict=True)),
            }
            for best, row in zip(
                probabilities.argmax(1).tolist(), np.round(probabilities.astype(float), 6).tolist(), strict=True
            )
        ]

    def detected(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        labels: NDArray[np.int64],
        scale: float,
        width: int,
        height: int,
    ) -> dict[str, Any]:
        """Boxes in network pixels [D, 4] as an answer in pixels of the photo."""
        xyxy = (boxes.astype(float) * scale).clip(0, [width, height, width, height])
        kept = (xyxy[:, 2:] > xyxy[:, :2]).all(1)  # not those in the grey rest
        xyxy, scores, labels = xyxy[kept].round(2), scores[kept], labels[kept]
        highest = np.zeros(len(self.classes), np.float32)
        np.maximum.at(highest, labels, scores)
        return {
            "boxes": [
                {"class": self.classes[label], "confidence": score}
                | dict(zip(("x_min", "y_min", "x_max", "y_max"), corners, strict=True))
                for label, score, corners in zip(
                    labels.tolist(), scores.astype(float).round(6).tolist(), xyxy.tolist(), strict=True
                )
                if score >= self.thresholds[self.classes[label]]
            ],
            "presence": {
                name: {"probability": p, "present": p >= self.thresholds[name]}
                for name, p in zip(self.classes, highest.astype(float).round(6).tolist(), strict=True)
            },
        }

    def rows(self, body: bytes) -> dict[str, Any]:
        """Rows as JSON."""
        return {"predictions": self.ranked(self.probabilities(self.arrays(body)))}

    def arrays(self, body: bytes) -> dict[str, NDArray[Any]]:
        """The network's inputs for rows whose numbers are all there."""
        rows = json.loads(body)["rows"]
        how = self.preprocessing
        numeric = np.array([[row[column["name"]] for column in how["numeric"]] for row in rows], np.float32)
        means = np.array([column["mean"] for column in how["numeric"]], np.float32)
        deviations = np.array([column["std"] for column in how["numeric"]], np.float32)
        inputs: dict[str, NDArray[Any]] = {"numeric": (numeric - means) / deviations}
        if how["categorical"]:
            codes = [{value: i for i, value in enumerate(column["values"], start=1)} for column in how["categorical"]]
            names = [column["name"] for column in how["categorical"]]
            inputs["categorical"] = np.array(
                [[code.get(row[name], 0) for name, code in zip(names, codes, strict=True)] for row in rows], np.int64
            )
        return inputs
