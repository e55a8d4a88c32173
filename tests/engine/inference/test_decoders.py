"""Whatever bytes come, the decoders give what they promise or raise RequestError; hypothesis looks for the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pizzeria.errors import RequestError
from pizzeria.inference import requests
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.multipart import MAX_PARTS, read_parts
from pizzeria.inference.photos import FORMATS, decode
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.query import Query, read_query
from pizzeria.inference.row_reader import RowReader

from .conftest import photo

PHOTOS = [photo(kind=kind, size=(40, 30)) for kind in ("JPEG", "PNG", "WEBP")]
COLUMNS = {
    "numeric": [
        {"name": "price", "median": 0, "mean": 5, "std": 2},
        {"name": "at", "median": 0, "mean": 0, "std": 1, "time": True},
    ],
    "categorical": [{"name": "day", "values": ["mon", "tue"]}],
    "target": {"name": "up"},
}


@pytest.fixture
def detector(make_predictor: Callable[..., Predictor]) -> Contract:
    return Contract(make_predictor("object_detection"), Limits(max_body=200_000, max_megapixels=1))


often = settings(max_examples=300)


@st.composite
def changed(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """One of the good ones with bytes set, cut away or put in."""
    data = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(("set", "cut", "put", "end")))
        if how == "set":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif how == "cut":
            del data[at : at + draw(st.integers(1, 50))]
        elif how == "put":
            data[at:at] = draw(st.binary(max_size=20))
        else:
            del data[at:]
    return bytes(data)


def outcome(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What it gives, or the RequestError that it raises; any other exception goes on, and fails the test."""
    try:
        return work(*args, **options)
    except RequestError as error:
        return error


@often
@given(
    changed(PHOTOS)
    | st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"]).flatmap(
        lambda head: st.binary(max_size=300).map(lambda rest: head + rest)
    )
)
def test_photos(data: bytes) -> None:
    found = outcome(decode, data, max_megapixels=1)
    if isinstance(found, RequestError):
        assert found.status in (400, 413, 415)
        assert found.code in ("empty_body", "not_decodable", "too_many_pixels", "not_a_photo")
    else:
        assert found.image.mode == "RGB"
        assert found.image.size == (found.width, found.height)
        assert found.width * found.height <= 1_000_000


@often
@given(st.binary(max_size=100))
def test_what_is_no_photo_at_all(data: bytes) -> None:
    assert isinstance(outcome(decode, data, max_megapixels=1, formats=FORMATS[:1]), RequestError)


GOOD_FORM = (
    b'--cut\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    b'x\r\n--cut\r\nContent-Disposition: form-data; name="declared"\r\n\r\nbed,sofa\r\n--cut--\r\n'
)


@often
@given(changed([GOOD_FORM]) | st.binary(max_size=200), st.sampled_from(["cut", "", '"cut"', "cu", "\x00", "x" * 300]))
@example(GOOD_FORM, "cut")
def test_forms(body: bytes, boundary: str) -> None:
    kind = f"multipart/form-data; boundary={boundary}"
    parts = outcome(read_parts, kind, body)
    if isinstance(parts, RequestError):
        assert (parts.status, parts.code) in ((400, "bad_multipart"), (413, "too_many_parts"))
        assert isinstance(outcome(requests.listing, kind, body), RequestError)
        return
    assert len(parts) <= MAX_PARTS
    for one in parts:
        assert one.filename is None or (len(one.filename) <= 200 and "/" not in one.filename)
        assert isinstance(outcome(one.text), str | RequestError)
    assert isinstance(outcome(requests.listing, kind, body), requests.SentListing | RequestError)
    assert isinstance(outcome(requests.one_photo, kind, body), requests.SentPhoto | RequestError)


@often
@given(st.text(max_size=200))
@example("multipart/form-data; boundary*=utf-8''%80")
@example("multipart/form-data; boundary*0=a; boundary*1=b")
@example('multipart/form-data; boundary="\\')
def test_content_types(content_type: str) -> None:
    assert isinstance(outcome(read_parts, content_type, GOOD_FORM), list | RequestError)
    for route, photos in (("/predict", True), ("/predict", False), ("/verify", True)):
        found = outcome(requests.check_type, route, content_type, photos)
        assert found is None or found.status == 415


@often
@given(st.text(max_size=300))
@example("[" * 100_000)
@example('["' + "\ud800" + '"]')
def test_declared_amenities(field: str) -> None:
    found = outcome(requests.declared_names, field)
    assert isinstance(found, RequestError) or all(isinstance(name, str) for name in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
ROW = st.fixed_dictionaries(
    {"price": JSON, "at": JSON | st.datetimes().map(str), "day": JSON}, optional={"row_id": JSON, "up": JSON, "x": JSON}
)
GOOD_ROWS = json.dumps([{"price": 3, "at": "2024-05-31T12:00:00Z", "day": "tue", "row_id": "a"}]).encode()


@often
@given(
    changed([GOOD_ROWS])
    | st.binary(max_size=100)
    | (JSON | st.lists(ROW, max_size=3) | st.fixed_dictionaries({"rows": st.lists(ROW)})).map(
        lambda value: json.dumps(value).encode()
    )
)
@example(GOOD_ROWS)
@example(b"[" * 100_000)
@example(b'[{"price": ' + b"9" * 5_000 + b', "at": 1, "day": "mon"}]')
@example(b'[{"price": 1, "at": "0000-00-00", "day": "mon"}]')
@example(b'[{"price": 1, "at": "9999-12-31T23:59:59-23:59", "day": "mon"}]')
@example(b'[{"price": 1, "at": "0001-01-01T00:00:00+23:59", "day": "mon"}]')
def test_rows(body: bytes) -> None:
    for typed in (True, False):
        found = outcome(RowReader(COLUMNS, max_rows=3, typed=typed).read, body)
        if isinstance(found, RequestError):
            assert found.status in (400, 413, 422)
        else:
            assert 1 <= len(found) <= 3


@often
@given(st.text(st.characters(max_codepoint=0xFF), max_size=200))
@example("explain=" * 30)
@example("listing_id=%ED%A0%80&input_id=%00")
def test_queries(text: str) -> None:
    for route in ("/predict", "/verify"):
        for task in ("object_detection", "image_classification", "tabular_regression"):
            assert isinstance(outcome(read_query, text, route, task), Query | RequestError)


@often
@given(
    route=st.sampled_from(["/predict", "/verify"]),
    kind=st.sampled_from(["", "image/jpeg", "multipart/form-data; boundary=cut", "application/json"]),
    body=changed([*PHOTOS, GOOD_FORM.replace(b"\r\n\r\nx", b"\r\n\r\n" + PHOTOS[0])]),
)
def test_the_contract_answers_whatever_comes(detector: Contract, route: str, kind: str, body: bytes) -> None:
    reply = detector.answer("POST", route, {"Content-Type": kind}, body)
    assert reply.status in (200, 400, 413, 415, 422)
    assert ("error" in json.loads(reply.body)) == (reply.status != 200)


def test_numbers_that_are_too_much_together_are_refused(make_predictor: Callable[..., Predictor]) -> None:
    contract = Contract(make_predictor("tabular_regression"), Limits())
    body = json.dumps(
        [{"price": 1, "demand": 1, "day": "mon"}, {"price": 6e38, "demand": 3.3e38, "day": "mon"}]
    ).encode()
    reply = contract.answer("POST", "/predict", {"Content-Type": "application/json"}, body)
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["code"]) == (422, "out_of_reach")
    assert error["message"].startswith("rows[1]: ")
    assert reply.records == ()
