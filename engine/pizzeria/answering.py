"""Who answers `pizzeria predict`: a bundle that is opened here, or a service. Both answer with the JSON of the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pizzeria.client import Client
from pizzeria.errors import RequestError
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.column_inputs import column_names
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor

Wire = Mapping[str, Any]

ROWS = 1000
"""Rows in one request to a service."""


class Answering(Protocol):
    """What `pizzeria.prediction` asks.

    Attributes:
        task: The model's.
        at_once: Photos, or parts of a table, that are best asked for at the same time.
        rows_at_once: Rows in one call of `rows`.
    """

    task: str
    at_once: int
    rows_at_once: int

    def photo(self, data: bytes, name: str) -> Wire:
        """The answer for one photo; a detector's with all boxes above the network's floor.

        Raises:
            RequestError: it is refused.
        """

    def rows(self, rows: Sequence[Wire]) -> Sequence[Wire]:
        """The answers for some rows, in their order.

        Raises:
            RequestError: they are refused; a row is named as rows[0], the first of this call.
        """

    def columns(self) -> frozenset[str] | None:
        """Columns that the model reads; None where that is not known."""

    def thresholds(self) -> Mapping[str, float] | None:
        """The confidence from which each class is said to be present; None where that is not known."""


class BundleAnswers:
    """A bundle opened in this process.

    Args:
        bundle: Folder or zip.
        max_megapixels: Larger photos are refused.
        threads: Of ONNX Runtime; 0: as many as there are cores.
    """

    at_once = 1  # one prediction takes all cores
    rows_at_once = 1_000_000_000  # the predictor makes its own batches

    def __init__(self, bundle: Path, max_megapixels: float, threads: int = 0) -> None:
        self._predictor = Predictor(open_bundle(bundle), threads or None)
        self._max_megapixels = max_megapixels
        self.bundle = self._predictor.bundle
        self.task = self.bundle.task

    def photo(self, data: bytes, name: str) -> Wire:
        preprocessing = self._predictor.bundle.preprocessing
        photo = decode(data, max_megapixels=self._max_megapixels, preprocessing=preprocessing)
        return self._predictor.photo(photo).wire(min_confidence=0)

    def rows(self, rows: Sequence[Wire]) -> Sequence[Wire]:
        return [answer.wire() for answer in self._predictor.rows(rows)]

    def columns(self) -> frozenset[str]:
        return frozenset(column_names(self._predictor.bundle.preprocessing))

    def thresholds(self) -> Mapping[str, float]:
        return self._predictor.bundle.thresholds


class ServiceAnswers:
    """A running service; all answers come from the model that is there now, or none does.

    Raises:
        DeploymentError: no service answers, and for each call also when another model does.
    """

    at_once = 4
    rows_at_once = ROWS

    def __init__(self, client: Client) -> None:
        self._client = client
        ready = client.ready()
        client.expect_sha256 = ready["sha256"]
        self.task: str = ready["task"]

    def photo(self, data: bytes, name: str) -> Wire:
        least = 0 if self.task == "object_detection" else None
        return _without_id(self._client.predict_photo(data, input_id=name, min_confidence=least))

    def rows(self, rows: Sequence[Wire]) -> Sequence[Wire]:
        try:
            return [_without_id(answer) for answer in self._client.predict_rows(rows)["predictions"]]
        except RequestError as error:
            if error.status != 413 or len(rows) == 1:
                raise
        half = len(rows) // 2  # more than the service takes in one request
        first = self.rows(rows[:half])
        try:
            return [*first, *self.rows(rows[half:])]
        except RequestError as error:
            raise renumbered(error, half) from None

    def columns(self) -> frozenset[str] | None:
        row = self._schemas.get("Row")
        return None if row is None else frozenset(row["properties"]) - {"row_id"}

    def thresholds(self) -> Mapping[str, float] | None:
        presence = self._schemas.get("Answer", {}).get("properties", {}).get("presence")
        found = {} if presence is None else presence["properties"]
        told = {name: one["x-threshold"] for name, one in found.items() if "x-threshold" in one}
        return told if told.keys() == found.keys() and told else None

    @cached_property
    def _schemas(self) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self._client.openapi()["components"]["schemas"]
        except RequestError as error:
            if error.status != 404:
                raise
            return {}  # a service with `serving.pages: false` does not describe itself
        return found


def renumbered(error: RequestError, first: int) -> RequestError:
    """The refusal of a part of a table, with the row's number in the whole.

    Args:
        error: Names a row, if any, as rows[i] of the part.
        first: Number of the part's first row in the whole.

    Example:
        >>> str(renumbered(RequestError(422, "wrong_rows", "rows[3].price: found 'x'"), 1000))
        "rows[1003].price: found 'x'"
    """
    message = re.sub(r"^rows\[(\d+)\]", lambda found: f"rows[{int(found[1]) + first}]", error.message)
    return RequestError(error.status, error.code, message, hint=error.hint)


def _without_id(answer: Mapping[str, Any]) -> Wire:
    """Without the name in the service's log, so that a service and its bundle give the same records."""
    return {key: value for key, value in answer.items() if key != "prediction_id"}
