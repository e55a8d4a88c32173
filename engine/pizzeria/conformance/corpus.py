"""The same answers everywhere: golden and malformed requests, recorded from a bundle and replayed against a target.

The record is made in this process, by the contract itself. A target passes when it gives the same status codes and the
same bodies, byte for byte, save the ids of predictions and what `/readyz` says of the prediction log.
"""

from __future__ import annotations

import http.client
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import Bundle, open_bundle
from pizzeria.inference.contract import Contract, Feedback, Limits
from pizzeria.inference.feedback import MAX_LABELS
from pizzeria.inference.photos import FORMATS
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.rooms import open_rooms
from pizzeria.inference.truth import Label
from pizzeria.spec.stages import Serving

_BOUNDARY = "pizzeria-corpus"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"
_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".json": "application/json"}
_IDS = re.compile(rb'"prediction_id": ?"[^"]*"')
_LOG = re.compile(rb', ?"log": ?\{[^}]*\}')
_SHOWN = 300


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        name: What it tries.
        method: Such as POST.
        target: Path, maybe with a query string.
        headers: Without Content-Length, which whoever sends it adds.
    """

    name: str
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Recorded:
    """A request and the answer that it must have, its body as `comparable` makes it."""

    case: Case
    status: int
    body: bytes


Send = Callable[[Case], tuple[int, bytes]]
"""Sends a request to a target; returns status and body."""


def record(bundle: Path, serving: Serving) -> list[Recorded]:
    """The corpus of a bundle with the answers that its service must give.

    Args:
        bundle: Folder or zip.
        serving: Its limits decide what is refused.

    Raises:
        BundleError: the bundle is damaged.
    """
    contract = contract_of(bundle, serving)
    out = []
    for case in corpus(contract.predictor.bundle, contract.limits):
        answer = contract.answer(case.method, case.target, case.headers, case.body)
        out.append(Recorded(case, answer.status, b"" if case.method == "HEAD" else comparable(answer.body)))
    return out


def contract_of(bundle: Path, serving: Serving) -> Contract:
    """What a service of this bundle answers by, in this process; labels that it is told are forgotten.

    Args:
        bundle: Folder or zip.
        serving: Its limits decide what is refused.

    Raises:
        BundleError: the bundle is damaged.
    """
    opened = open_bundle(bundle)
    verification = serving.verification
    rooms = None
    if verification.rooms is not None:
        rooms = open_rooms(Path(verification.rooms).expanduser(), verification.prior, opened, 1)
    limits = Limits(
        int(serving.max_body_mb * 1e6),
        serving.max_megapixels,
        serving.max_rows,
        tuple(name for name in FORMATS if name.lower() in serving.formats),
    )
    contract = Contract(Predictor(opened, 1), limits, rooms=rooms)
    if serving.log is None:
        contract.feedback = replace(contract.feedback, offered=serving.feedback)
    else:
        by_input = "input_id" not in serving.log.redact
        contract.feedback = Feedback(_forget, None, by_input, serving.feedback)
    return contract


def corpus(bundle: Bundle, limits: Limits) -> list[Case]:
    """The requests themselves."""
    own = _photos(bundle, limits) if bundle.takes_photos else _rows(bundle, limits)
    return [*_anywhere(), *own, *_feedback(bundle, limits)]


def _forget(labels: Sequence[Label]) -> None:
    """Labels of the corpus are of no prediction."""


def differences(recorded: Sequence[Recorded], send: Send) -> list[str]:
    """Where a target answers otherwise; empty when it answers the same.

    Example:
        >>> wanted = Recorded(Case("is it alive", "GET", "/healthz"), 200, b'{"status":"ok"}')
        >>> differences([wanted], lambda case: (200, b'{"status":"ok"}'))
        []
        >>> differences([wanted], lambda case: (503, b""))
        ['is it alive: GET /healthz: status 503 instead of 200, body ...']
    """
    out = []
    for one in recorded:
        status, body = send(one.case)
        found = b"" if one.case.method == "HEAD" else comparable(body)
        if (status, found) == (one.status, one.body):
            continue
        said = f"status {status} instead of {one.status}, " if status != one.status else ""
        shown = f"body {_short(found)} instead of {_short(one.body)}" if found and found != one.body else "body ..."
        out.append(f"{one.case.name}: {one.case.method} {one.case.target}: {said}{shown}")
    return out


def comparable(body: bytes) -> bytes:
    """An answer's body without what is another one each time.

    Example:
        >>> comparable(b'{"class":"bed","prediction_id":"0190-ab"}')
        b'{"class":"bed","prediction_id":"-"}'
    """
    return _LOG.sub(b"", _IDS.sub(b'"prediction_id":"-"', body))


def over_http(address: str, *, key: str | None = None, timeout_s: float = 60) -> Send:
    """Sends to a service at `http://host:port` or `https://...`, each request on a connection of its own.

    Args:
        address: Without a path, or with the path before the routes.
        key: API key, where the service asks for one.

    Raises:
        DeploymentError: when it is called: the service gives no answer.
    """
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    key_header = {} if key is None else {"Authorization": f"Bearer {key}"}

    def send(case: Case) -> tuple[int, bytes]:
        with closing(kind(parts.hostname or "", parts.port, timeout=timeout_s)) as connection:
            try:
                # A service may refuse a body before it has come, and close: its answer is there all the same.
                with suppress(BrokenPipeError, ConnectionResetError):
                    path = parts.path.rstrip("/") + case.target
                    connection.request(case.method, path, case.body or None, {**case.headers, **key_header})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise DeploymentError(f"{address} gives no answer to {case.name!r}: {error!r}") from error

    return send


def _short(body: bytes) -> str:
    text = repr(body)[1:]
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _anywhere() -> Iterator[Case]:
    json_type = {"Content-Type": "application/json"}
    yield Case("is it alive", "GET", "/healthz")
    yield Case("is it alive, without a body", "HEAD", "/healthz")
    yield Case("which model is it", "GET", "/readyz")
    yield Case("no such path", "GET", "/predictions")
    yield Case("no such path, with a body", "POST", "/predict/", json_type, b"{}")
    yield Case("wrong method", "GET", "/predict")
    yield Case("wrong method for the state", "POST", "/readyz", json_type, b"{}")
    yield Case("delete", "DELETE", "/predict")
    yield Case("wrong type", "POST", "/predict", {"Content-Type": "text/html"}, b"<p>bed</p>")
    yield Case("an unknown key in the query", "POST", "/predict?colour=red", {"Content-Type": "image/jpeg"}, b"x")


def _photos(bundle: Bundle, limits: Limits) -> Iterator[Case]:
    name, photo = bundle.sample_request()
    kind = {"Content-Type": _TYPES[Path(name).suffix]}
    form = {"Content-Type": _FORM}
    yield Case("golden, raw", "POST", "/predict", kind, photo)
    yield Case("golden, as bytes", "POST", "/predict", {"Content-Type": "application/octet-stream"}, photo)
    yield Case("golden, in a form", "POST", "/predict", form, _form(("photo", name, photo)))
    yield Case("golden, with names", "POST", "/predict?input_id=k%C3%BCche.jpg&listing_id=7", kind, photo)
    yield Case("nothing", "POST", "/predict", kind)
    yield Case("no photo", "POST", "/predict", kind, b"\xff\xd8 this is no photo")
    yield Case("half a photo", "POST", "/predict", kind, photo[: len(photo) // 3])
    yield Case("a text", "POST", "/predict", kind, b"GIF89a" + bytes(40))
    yield Case("too many bytes", "POST", "/predict", kind, bytes(limits.max_body + 1))
    if limits.max_megapixels <= _MOST_MEGAPIXELS:
        yield Case("too many pixels", "POST", "/predict", {"Content-Type": "image/png"}, _wide(limits.max_megapixels))
    yield Case("two photos", "POST", "/predict", form, _form(("a", name, photo), ("b", name, photo)))
    yield Case("a form cut off", "POST", "/predict", form, _form(("photo", name, photo))[:-20])
    yield Case("a form without a boundary", "POST", "/predict", {"Content-Type": "multipart/form-data"}, b"--x--")
    yield Case("an unknown field", "POST", "/predict", form, _form(("photo", name, photo), ("colour", None, b"red")))
    if bundle.task == "object_detection":
        yield Case("more boxes", "POST", "/predict?min_confidence=0.01", kind, photo)
        yield Case("no confidence", "POST", "/predict?min_confidence=high", kind, photo)
    if not bundle.judges_presence:
        yield Case("nothing to verify", "POST", "/verify", form, _form(("photos", name, photo)))
        return
    declared = ",".join(bundle.classes).encode()
    listing = (("photos", name, photo), ("photos", name, photo))
    yield Case("a listing", "POST", "/verify", form, _form(("declared", None, declared), *listing))
    yield Case("it declares nothing", "POST", "/verify", form, _form(("declared", None, b"[]"), *listing))
    yield Case("it does not say what", "POST", "/verify", form, _form(*listing))
    yield Case("an unknown amenity", "POST", "/verify", form, _form(("declared", None, b"moat"), *listing))
    yield Case("a listing without photos", "POST", "/verify", form, _form(("declared", None, declared)))
    broken = _form(("declared", None, declared), ("photos", name, photo), ("photos", "b.jpg", photo[:50]))
    yield Case("a listing with a broken photo", "POST", "/verify", form, broken)


def _rows(bundle: Bundle, limits: Limits) -> Iterator[Case]:
    _, golden = bundle.sample_request()
    [row, *_] = json.loads(golden)["rows"]
    column = next(iter(row))

    def case(name: str, body: bytes, target: str = "/predict", kind: str = "application/json") -> Case:
        return Case(name, "POST", target, {"Content-Type": kind}, body)

    def rows(*found: object) -> bytes:
        return json.dumps({"rows": list(found)}).encode()

    yield case("golden", golden)
    yield case("golden, as a list", json.dumps([row]).encode())
    yield case("golden, explained", golden, "/predict?explain=true")
    yield case("a hundred", rows(*[row] * min(100, limits.max_rows)))
    yield case("a row with an id", rows({**row, "row_id": "a-7"}))
    yield case("nothing", b"")
    yield case("no JSON", b'{"rows": [')
    yield case("not UTF-8", b'{"rows": ["\xff"]}')
    yield case("no number", b'{"rows": [{"x": NaN}]}')
    yield case("a key twice", b'{"rows": [], "rows": []}')
    yield case("no list", b'{"rows": 7}')
    yield case("no rows", rows())
    yield case("no row", rows(7))
    yield case("a column is missing", rows({name: value for name, value in row.items() if name != column}))
    yield case("an unknown column", rows({**row, "colour_of_door": 1}))
    yield case("a wrong type", rows({**row, column: [1, 2]}))
    yield case("one row too many", b'{"rows":[' + b",".join([b"{}"] * (limits.max_rows + 1)) + b"]}")
    yield case("too many bytes", bytes(limits.max_body + 1))
    yield case("a photo", b"\xff\xd8\xff", kind="image/jpeg")
    yield Case("nothing to verify", "POST", "/verify", {"Content-Type": _FORM}, _form(("declared", None, b"bed")))


def _feedback(bundle: Bundle, limits: Limits) -> Iterator[Case]:
    """Labels of predictions that nobody made: they are kept, and join nothing."""
    known = _AN_ID if bundle.takes_photos else f"{_AN_ID}/0"
    label = {"prediction_id": known, **_truth(bundle)}

    def case(name: str, body: object, kind: str = "application/json", method: str = "POST") -> Case:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Case(name, method, "/feedback", {"Content-Type": kind}, sent)

    yield case("a label", label)
    yield case("the same label again", [label, label])
    yield case("several labels", {"labels": [label, {**label, "at": "2026-05-01T12:00:00Z", "source": "a person"}]})
    yield case("a label of an input", {"input_id": "k\u00fcche.jpg", **_truth(bundle)})
    yield case("another task's label", {"prediction_id": known, "colour": "red"})
    yield case("a label that says nothing", {"prediction_id": known})
    yield case("a label of nothing", _truth(bundle))
    yield case("a label of both", {**label, "input_id": "a.jpg"})
    yield case("an id that is none", {**label, "prediction_id": "7"})
    row = f"{_AN_ID}/0" if bundle.takes_photos else _AN_ID
    yield case("an id of the other kind", {**label, "prediction_id": row})
    yield case("no time", {**label, "at": "yesterday"})
    yield case("no label", [])
    yield case("labels that are none", 7)
    yield case("a label that is none", [label, 7])
    yield case("labels that are no JSON", b"{")
    yield case("labels as a text", json.dumps(label).encode(), "text/plain")
    yield Case("labels without a type", "POST", "/feedback", {}, json.dumps(label).encode())
    yield case("labels to be had", b"", method="GET")
    if limits.max_body >= (MAX_LABELS + 1) * 3:
        yield case("one label too many", b"[" + b",".join([b"{}"] * (MAX_LABELS + 1)) + b"]")
    if bundle.task == "tabular_regression":
        yield case("a value that is none", {"prediction_id": known, "value": "high"})
        return
    one = {"classes": ["moat"]} if bundle.judges_presence else {"class": "moat"}
    yield case("an unknown class", {"prediction_id": known, **one})
    if bundle.task == "object_detection":
        box = {"class": bundle.classes[0], "x_min": 5, "y_min": 5, "x_max": 5, "y_max": 9}
        yield case("a label by classes alone", {"prediction_id": known, "classes": list(bundle.classes[:1])})
        yield case("a box without area", {"prediction_id": known, "boxes": [box]})
        yield case("a box without corners", {"prediction_id": known, "boxes": [{"class": bundle.classes[0]}]})


def _truth(bundle: Bundle) -> dict[str, Any]:
    """What a good label says."""
    if bundle.task == "tabular_regression":
        return {"value": 12.5}
    name = bundle.classes[0]
    if not bundle.judges_presence:
        return {"class": name}
    if bundle.task == "multilabel_classification":
        return {"classes": [name]}
    return {"boxes": [{"class": name, "x_min": 1, "y_min": 2, "x_max": 30.5, "y_max": 40}]}


_AN_ID = "019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12"
_MOST_MEGAPIXELS = 100
"""A photo of more takes a second to make."""


def _wide(megapixels: float) -> bytes:
    """A white photo with a few too many pixels; some kilobytes."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (2000, int(megapixels * 1e6) // 2000 + 2), 1).save(stream, "PNG")
    return stream.getvalue()


def _form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A multipart form of (field, file name or None, content)."""
    out = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        out += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        out += content + b"\r\n"
    return out + f"--{_BOUNDARY}--\r\n".encode()
