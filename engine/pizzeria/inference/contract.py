"""The HTTP contract of a served bundle, without any web framework: a request in, a reply and log records out.

| route | body | answer |
|---|---|---|
| POST /predict | a photo: raw, or one multipart part | `PhotoAnswer.wire()` |
| POST /predict | rows as JSON | {"predictions": [`RowAnswer.wire()`, ...], "model": sha256} |
| POST /verify | multipart: photos, `declared`, maybe `listing_id` | `pizzeria.inference.listing.verify` |
| POST /feedback | labels as JSON, see `pizzeria.inference.feedback` | {"accepted": how many} with 202 |
| GET /healthz | - | {"status": "ok"} |
| GET /readyz | - | {"status": "ready", "sha256", "name", "task"} |

Whatever a client sends wrong is a 4xx with {"error": {"code", "message", "hint"}}.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pizzeria.errors import RequestError, nearest
from pizzeria.inference import requests
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.contributions import explain_rows
from pizzeria.inference.feedback import read_labels
from pizzeria.inference.json_body import to_json
from pizzeria.inference.listing import check_declared, verify
from pizzeria.inference.photos import FORMATS, Photo, decode
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.query import Query, read_query
from pizzeria.inference.records import new_prediction_id
from pizzeria.inference.rooms import RoomAnswer, Rooms
from pizzeria.inference.row_reader import RowReader
from pizzeria.inference.saliency import explain_photo
from pizzeria.inference.truth import Label

ROUTES: Mapping[str, tuple[str, ...]] = {
    "/predict": ("POST",),
    "/verify": ("POST",),
    "/feedback": ("POST",),
    "/healthz": ("GET", "HEAD"),
    "/readyz": ("GET", "HEAD"),
}
_JSON = "application/json"


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        max_body: Bytes of a request's body.
        max_megapixels: Millions of pixels of one photo.
        max_rows: Rows of one request.
        formats: Formats of photos that are welcome, of `pizzeria.inference.photos.FORMATS`.
        explain_s: Seconds after which the explanation of a photo makes do with what it has.
    """

    max_body: int = 10_000_000
    max_megapixels: float = 40
    max_rows: int = 10_000
    formats: tuple[str, ...] = FORMATS
    explain_s: float = 3.0


@dataclass(frozen=True)
class Reply:
    """What to send back.

    Attributes:
        status: HTTP status.
        body: JSON in UTF-8.
        records: One for each photo or table that was answered, as `pizzeria.inference.records` says; `latency_ms` is
            the caller's to add.
        headers: Besides Content-Type and Content-Length.
    """

    status: int
    body: bytes
    records: tuple[dict[str, Any], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = _JSON


@dataclass(frozen=True)
class Feedback:
    """What becomes of the labels of `POST /feedback`.

    Attributes:
        keep: Keeps labels so that they outlast this process, before it returns; None where nobody does.
        refused: Why none are kept, where `keep` is None.
        by_input: Whether the log keeps input ids.
        offered: Whether the route is there at all.
    """

    keep: Callable[[Sequence[Label]], object] | None = None
    refused: RequestError | None = field(
        default_factory=lambda: RequestError(
            409,
            "no_log",
            "this service keeps no prediction log, which labels would belong to",
            hint="serving.log: null in its spec says so",
        )
    )
    by_input: bool = True
    offered: bool = True


class Contract:
    """Answers requests for one predictor; safe to use from several threads at once.

    Args:
        predictor: The model.
        limits: What a request may ask for.
        keep_photos: Whether records carry the photo itself.
        rooms: Tells the room of each photo of a listing; None asks nobody.

    Attributes:
        readiness: What `/readyz` says besides; a server may set it.
        feedback: What `POST /feedback` takes; a server may set it.
    """

    def __init__(
        self, predictor: Predictor, limits: Limits, *, keep_photos: bool = False, rooms: Rooms | None = None
    ) -> None:
        self.predictor = predictor
        self.limits = limits
        self.keep_photos = keep_photos
        self._explanations = threading.Lock()
        self.rooms = rooms
        self.readiness: Callable[[], Mapping[str, Any]] = dict
        self.feedback = Feedback()
        bundle = predictor.bundle
        self._reader = None if bundle.takes_photos else RowReader(bundle.preprocessing, limits.max_rows)

    def refuse(self, method: str, path: str, headers: Mapping[str, str]) -> Reply | None:
        """The refusal that the head of a request already earns (404, 405, 413, 415), before its body is read; or None.

        Args:
            method: Such as POST.
            path: With or without a query string.
            headers: Any case of names.
        """
        route = path.partition("?")[0]
        try:
            self._check_head(method, route, _lower(headers))
        except RequestError as error:
            return _allowing(route, refusal(error))
        return None

    def too_large(self) -> Reply:
        """The 413 for a body that turned out longer than `limits.max_body` while it was read."""
        return refusal(self._too_large())

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """The reply to one whole request.

        Args:
            method: Such as POST.
            path: With its query string, if any; see `pizzeria.inference.query`.
            headers: Any case of names.
            body: All of it.
        """
        route, _, query = path.partition("?")
        headers = _lower(headers)
        try:
            self._check_head(method, route, headers)
            if len(body) > self.limits.max_body:
                raise self._too_large()
            asked = read_query(query, route, self.predictor.bundle.task) if method == "POST" else Query()
            if route == "/predict":
                predict = self._photo if self.predictor.bundle.takes_photos else self._rows
                return predict(asked, headers, body)
            if route == "/verify":
                return self._verify(asked, headers, body)
            if route == "/feedback":
                return self._feedback(body)
            return reply(200, {"status": "ok"} if route == "/healthz" else self._ready())
        except RequestError as error:
            return _allowing(route, refusal(error))

    def _ready(self) -> dict[str, Any]:
        bundle = self.predictor.bundle
        own = {"status": "ready", "sha256": bundle.sha256, "name": bundle.name, "task": bundle.task}
        return {**own, **self.readiness()}

    def _check_head(self, method: str, route: str, headers: Mapping[str, str]) -> None:
        if route not in ROUTES:
            raise RequestError(404, "not_found", f"there is no {route[:100]}", hint=nearest(route[:100], ROUTES))
        bundle = self.predictor.bundle
        if route == "/verify" and not bundle.judges_presence:
            message = f"a model for {bundle.task} cannot verify listings"
            raise RequestError(404, "not_found", message, hint="use /predict")
        if route == "/feedback" and not self.feedback.offered:
            message = "this service takes no feedback"
            raise RequestError(404, "not_found", message, hint="its spec says serving.feedback: false")
        if method not in ROUTES[route]:
            allowed = ", ".join(ROUTES[route])
            raise RequestError(405, "wrong_method", f"{route} does not answer {method[:20]}", hint=f"use {allowed}")
        length = headers.get("content-length", "0").strip()
        if length.isascii() and length.isdigit() and int(length[:20]) > self.limits.max_body:
            raise self._too_large()
        if method == "POST":
            requests.check_type(route, headers.get("content-type", ""), bundle.takes_photos)

    def _too_large(self) -> RequestError:
        most = f"{self.limits.max_body / 1e6:g} MB"
        return RequestError(413, "too_large", f"the body is larger than {most}", hint=f"send at most {most}")

    def _photo(self, query: Query, headers: Mapping[str, str], body: bytes) -> Reply:
        sent = requests.one_photo(headers.get("content-type", ""), body)
        prediction_id = new_prediction_id()
        photo = self._decode(sent.data, self.predictor.bundle.preprocessing)
        answer = self.predictor.photo(photo)
        wire = answer.wire(query.min_confidence) | {"prediction_id": prediction_id}
        if query.explain:
            with self._explaining():
                wire["explanation"] = explain_photo(self.predictor, photo, answer, self.limits.explain_s)
        name = sent.name if query.input_id is None else query.input_id
        return reply(200, wire, self._photo_record(prediction_id, answer, sent.data, name, sent.listing_id, query))

    def _rows(self, query: Query, headers: Mapping[str, str], body: bytes) -> Reply:
        assert self._reader is not None
        table = self._reader.read(body)
        answer = self.predictor.columns(table.columns)
        request_id = new_prediction_id()
        predictions = answer.wire()
        ids = [f"{request_id}/{i}" for i in range(len(predictions))]
        for prediction, prediction_id in zip(predictions, ids, strict=True):
            prediction["prediction_id"] = prediction_id
        if query.explain:
            with self._explaining():
                explanations = explain_rows(self.predictor, table.columns, answer)
            for prediction, explanation in zip(predictions, explanations, strict=True):
                prediction["explanation"] = explanation
        wire = {"predictions": predictions, "model": self.predictor.bundle.sha256}
        record = _logged(request_id, answer.record(), "", query.listing_id or "")
        if any(table.row_ids):
            record["columns"] = {"input_id": list(map(_whole, table.row_ids)), **record["columns"]}
        return reply(200, wire, record)

    def _verify(self, query: Query, headers: Mapping[str, str], body: bytes) -> Reply:
        sent = requests.listing(headers.get("content-type", ""), body)
        bundle = self.predictor.bundle
        check_declared(sent.declared, bundle.classes)
        answers: dict[str, PhotoAnswer] = {}
        room_of: dict[str, RoomAnswer] = {}
        for name, data in sent.photos.items():
            try:
                answers[name] = self._answer(data)
                if self.rooms is not None:
                    room_of[name] = self.rooms.tell(self._decode(data, self.rooms.preprocessing))
            except RequestError as error:
                raise RequestError(error.status, error.code, f"{name}: {error.message}", hint=error.hint) from None
        ids = {name: new_prediction_id() for name in answers}
        records = [
            self._photo_record(ids[name], answer, sent.photos[name], name, sent.listing_id, query)
            for name, answer in answers.items()
        ]
        return reply(200, verify(sent.declared, answers, bundle, ids, self.rooms, room_of), *records)

    def _feedback(self, body: bytes) -> Reply:
        how, bundle = self.feedback, self.predictor.bundle
        labels = read_labels(body, bundle.task, bundle.classes, by_input=how.by_input)
        if how.refused is not None:
            raise how.refused
        assert how.keep is not None
        how.keep(labels)
        return reply(202, {"accepted": len(labels)})

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """One explanation at a time: each asks the model hundreds of times, and answers must not wait behind them."""
        if not self._explanations.acquire(blocking=False):
            message = "another explanation is at work"
            raise RequestError(429, "busy", message, hint="come again after the seconds in Retry-After")
        try:
            yield
        finally:
            self._explanations.release()

    def _answer(self, data: bytes) -> PhotoAnswer:
        return self.predictor.photo(self._decode(data, self.predictor.bundle.preprocessing))

    def _decode(self, data: bytes, preprocessing: Mapping[str, Any]) -> Photo:
        limits = self.limits
        return decode(data, max_megapixels=limits.max_megapixels, preprocessing=preprocessing, formats=limits.formats)

    def _photo_record(
        self, prediction_id: str, answer: PhotoAnswer, data: bytes, name: str, listing_id: str, query: Query
    ) -> dict[str, Any]:
        record = _logged(prediction_id, answer.record(), name, listing_id or query.listing_id or "")
        return record | {"photo": data} if self.keep_photos else record


def reply(status: int, value: Any, *records: dict[str, Any]) -> Reply:
    """A JSON reply."""
    return Reply(status, to_json(value), records)


def refusal(error: RequestError) -> Reply:
    """The error's reply: {"error": {"code", "message", "hint"}}.

    Example:
        >>> refusal(RequestError(404, "not_found", "there is no /", hint="use /predict")).status
        404
    """
    return reply(error.status, {"error": {"code": error.code, "message": error.message, "hint": error.hint}})


def _allowing(route: str, refused: Reply) -> Reply:
    """A 405 must say which methods are allowed."""
    return replace(refused, headers={"Allow": ", ".join(ROUTES[route])}) if refused.status == 405 else refused


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _logged(prediction_id: str, record: dict[str, Any], input_id: str, listing_id: str) -> dict[str, Any]:
    head = {"timestamp": _now(), "prediction_id": prediction_id}
    return head | {"input_id": _whole(input_id), "listing_id": _whole(listing_id)} | record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _whole(name: str) -> str:
    """A client's name, cut short; JSON may carry half a character, which no file or database can."""
    short = name[:200]
    return short if short.isascii() else short.encode("utf-8", "replace").decode()
