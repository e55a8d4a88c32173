from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pizzeria.errors import RequestError
from pizzeria.inference.contract import Contract, Limits, Reply
from pizzeria.inference.listing import verify
from pizzeria.inference.openapi import describe
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.records import unpack
from pizzeria.inference.requests import declared_names

Make = Callable[..., Predictor]
Jpeg = Callable[..., bytes]
FORM = "multipart/form-data; boundary=slice"
JSON = {"Content-Type": "application/json"}
ROW = {"price": 3, "demand": 0.5, "day": "tue"}


def form(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A form of (name, file name or None, content)."""
    out = b""
    for name, filename, data in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        out += f'--slice\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return out + b"--slice--\r\n"


def body(reply: Reply) -> Any:
    assert reply.content_type == "application/json"
    return json.loads(reply.body)


def refused(reply: Reply, status: int, code: str) -> dict[str, str]:
    error = body(reply)["error"]
    assert (reply.status, error["code"]) == (status, code), error
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    assert reply.records == ()
    return dict(error)


@pytest.fixture
def detector(make_predictor: Make) -> Contract:
    return Contract(make_predictor("object_detection"), Limits(max_body=200_000, max_megapixels=1, max_rows=3))


@pytest.fixture
def table(make_predictor: Make) -> Contract:
    return Contract(make_predictor("tabular_classification", folder="table"), Limits(max_body=200_000, max_rows=3))


def predict_rows(contract: Contract, value: Any) -> Reply:
    sent = value if isinstance(value, bytes) else json.dumps(value).encode()
    return contract.answer("POST", "/predict", JSON, sent)


def test_health_and_readiness(detector: Contract) -> None:
    assert body(detector.answer("GET", "/healthz", {})) == {"status": "ok"}
    assert body(detector.answer("GET", "/readyz", {})) == {
        "status": "ready",
        "sha256": detector.predictor.bundle.sha256,
        "name": "amenities",
        "task": "object_detection",
    }


@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/PNG", "application/octet-stream", ""])
def test_a_raw_photo_is_predicted_and_logged(detector: Contract, jpeg: Jpeg, kind: str) -> None:
    reply = detector.answer("POST", "/predict?input_id=a.jpg&listing_id=L%207", {"content-TYPE": kind}, jpeg())
    assert reply.status == 200
    assert [box["class"] for box in body(reply)["boxes"]] == ["bed"]
    (record,) = reply.records
    assert (record["input_id"], record["listing_id"]) == ("a.jpg", "L 7")
    assert record["timestamp"].endswith("+00:00")
    assert record["sha256"] == detector.predictor.bundle.sha256


def test_a_form_with_one_photo(detector: Contract, jpeg: Jpeg) -> None:
    sent = form(("photo", "../../kitchen.jpg", jpeg()), ("listing_id", None, b"L-1"))
    reply = detector.answer("POST", "/predict", {"Content-Type": FORM}, sent)
    assert reply.status == 200
    assert (reply.records[0]["input_id"], reply.records[0]["listing_id"]) == ("kitchen.jpg", "L-1")


def test_routes_and_methods(detector: Contract) -> None:
    assert refused(detector.answer("POST", "/predct", {}), 404, "not_found")["hint"] == "did you mean /predict?"
    for method, path, allow in (("GET", "/predict", "POST"), ("DELETE", "/healthz", "GET, HEAD")):
        reply = detector.answer(method, path, {})
        refused(reply, 405, "wrong_method")
        assert reply.headers == {"Allow": allow}


def test_wrong_types_are_415(detector: Contract, table: Contract, jpeg: Jpeg) -> None:
    for kind in ("text/html", "application/json", "application/x-www-form-urlencoded"):
        refused(detector.answer("POST", "/predict", {"Content-Type": kind}, jpeg()), 415, "wrong_type")
    refused(detector.answer("POST", "/verify", {"Content-Type": "image/jpeg"}, jpeg()), 415, "wrong_type")
    refused(table.answer("POST", "/predict", {"Content-Type": "text/csv"}, b""), 415, "wrong_type")
    refused(detector.answer("POST", "/predict", {}, b"GIF89a..."), 415, "not_a_photo")


def test_a_large_body_is_refused_by_its_head_alone(detector: Contract, jpeg: Jpeg) -> None:
    refusal = detector.refuse("POST", "/predict", {"Content-Length": "200001", "Content-Type": "image/jpeg"})
    assert refusal is not None
    refused(refusal, 413, "too_large")
    assert detector.refuse("POST", "/predict", {"Content-Length": "200000", "Content-Type": "image/jpeg"}) is None
    assert detector.refuse("POST", "/predict", {"Content-Length": "9" * 5000}) is not None
    assert detector.refuse("POST", "/predict", {"Content-Length": "a few"}) is None
    refused(detector.answer("POST", "/predict", {}, bytes(200_001)), 413, "too_large")
    refused(detector.too_large(), 413, "too_large")


def test_bad_photos(detector: Contract, jpeg: Jpeg) -> None:
    refused(detector.answer("POST", "/predict", {}, b""), 400, "empty_body")
    refused(detector.answer("POST", "/predict", {}, jpeg()[:400]), 400, "not_decodable")
    refused(detector.answer("POST", "/predict", {}, jpeg(size=(1100, 1000))), 413, "too_many_pixels")


def test_bad_forms(detector: Contract, jpeg: Jpeg) -> None:
    def send(sent: bytes, kind: str = FORM) -> Reply:
        return detector.answer("POST", "/predict", {"Content-Type": kind}, sent)

    good = form(("photo", "a.jpg", jpeg()))
    refused(send(good, "multipart/form-data"), 400, "bad_multipart")
    refused(send(good, f"multipart/form-data; boundary={'x' * 5000}"), 400, "bad_multipart")
    refused(send(good[:-30]), 400, "bad_multipart")
    refused(send(b"no form at all"), 400, "bad_multipart")
    refused(send(b""), 400, "bad_multipart")
    refused(send(b"--slice\r\n\r\nno name\r\n--slice--\r\n"), 400, "bad_multipart")
    refused(send(good.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)), 400, "bad_multipart")
    refused(send(form(("listing_id", None, b"\xff"))), 400, "bad_multipart")
    refused(send(form(*[("photo", "a.jpg", b"x")] * 300)), 413, "too_many_parts")
    refused(send(form()), 422, "one_photo")
    refused(send(form(("listing_id", None, b"L"))), 422, "one_photo")
    refused(send(form(("a", "a.jpg", jpeg()), ("b", "b.jpg", jpeg()))), 422, "one_photo")
    refused(send(form(("listing", None, b"L"), ("photo", "a.jpg", jpeg()))), 422, "unknown_field")
    refused(send(form(*[("listing_id", None, b"L")] * 2, ("photo", "a.jpg", jpeg()))), 422, "field_twice")


def test_query_keys_are_checked(detector: Contract, jpeg: Jpeg) -> None:
    error = refused(detector.answer("POST", "/predict?listingid=3", {}, jpeg()), 422, "unknown_key")
    assert error["hint"] == "did you mean listing_id?"
    refused(detector.answer("POST", "/predict?" + "a=1&" * 50, {}, jpeg()), 400, "bad_query")


def test_rows_as_object_or_list(table: Contract) -> None:
    for value in ({"rows": [ROW, ROW | {"row_id": 12}]}, [ROW, ROW | {"row_id": "12"}]):
        reply = predict_rows(table, value)
        assert reply.status == 200
        assert [one["class"] for one in body(reply)["predictions"]] == ["up", "up"]
        [record] = reply.records
        first, second = unpack(record)
        assert (first["input_id"], second["input_id"]) == ("", "12")
        assert first["feature:day"] == "tue"
        ids = [one["prediction_id"] for one in body(reply)["predictions"]]
        assert [first["prediction_id"], second["prediction_id"]] == ids


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"\xff\xfe{}", 400, "not_json"),
        (b"[" * 200_000, 400, "not_json"),
        (b"[" + b"1" * 10_000 + b"]", 400, "not_json"),
        (b'[{"price": NaN}]', 422, "not_finite"),
        (b'[{"price": -Infinity}]', 422, "not_finite"),
        (b'[{"price": 1e999, "demand": 1, "day": "mon"}]', 422, "wrong_rows"),
        (b'[{"price": 1, "price": 2}]', 422, "key_twice"),
        (b'{"rows": [], "more": 1}', 422, "wrong_rows"),
        (b"{}", 422, "wrong_rows"),
        (b'{"rows": {}}', 422, "wrong_rows"),
        (b"3", 422, "wrong_rows"),
        (b"[3]", 422, "wrong_rows"),
        (b"[]", 422, "no_rows"),
        (b"[1, 2, 3, 4]", 413, "too_many_rows"),
        (b'[{"\\ud800": 1, "price": 1, "demand": 1, "day": "mon"}]', 422, "wrong_rows"),
    ],
)
def test_bad_rows(table: Contract, sent: bytes, status: int, code: str) -> None:
    refused(predict_rows(table, sent), status, code)


def test_half_characters_never_reach_the_log(table: Contract) -> None:
    reply = predict_rows(table, json.dumps([ROW | {"row_id": "\ud800"}]).encode())
    assert [one["input_id"] for one in unpack(reply.records[0])] == ["?"]
    error = refused(predict_rows(table, json.dumps([ROW | {"day": "\ud800"}]).encode()), 422, "wrong_rows")
    assert error["message"].startswith("rows[0].day: ")
    [record] = predict_rows(table, [ROW | {"day": "Tübingen 😀"}]).records
    assert record["columns"]["feature:day"] == ["Tübingen 😀"]


def test_a_listing_is_verified(detector: Contract, jpeg: Jpeg) -> None:
    sent = form(
        ("photos", "dark.jpg", jpeg("black")),
        ("photos", "light.jpg", jpeg(size=(64, 64))),
        ("declared", None, b"tv, sofa"),
        ("listing_id", None, b"L-1"),
    )
    reply = detector.answer("POST", "/verify", {"Content-Type": FORM}, sent)
    assert reply.status == 200, reply.body
    dark, light = (record["prediction_id"] for record in reply.records)
    tv_box = {"x_min": 0, "y_min": 0, "x_max": 64, "y_max": 64, "confidence": pytest.approx(0.6)}
    bed_box = {"x_min": 8, "y_min": 4, "x_max": 24, "y_max": 20, "confidence": pytest.approx(0.9)}
    assert body(reply) == {
        "verdicts": [
            {
                "amenity": "tv",
                "verdict": "uncertain",
                "probability": pytest.approx(0.6),
                "reason": "something like a tv in light.jpg with 60 %: too unsure",
                "evidence": {"photo": "light.jpg", "prediction_id": light, "box": tv_box},
            },
            {
                "amenity": "sofa",
                "verdict": "not shown",
                "probability": 0.0,
                "reason": "no photo shows it; that does not mean that it is absent",
                "evidence": None,
            },
        ],
        "undeclared": [
            {
                "amenity": "bed",
                "probability": pytest.approx(0.9),
                "evidence": {"photo": "light.jpg", "prediction_id": light, "box": bed_box},
            }
        ],
        "photos": [
            {"name": "dark.jpg", "prediction_id": dark, "width": 128, "height": 96},
            {"name": "light.jpg", "prediction_id": light, "width": 64, "height": 64},
        ],
        "model": detector.predictor.bundle.sha256,
    }
    assert [(r["input_id"], r["listing_id"]) for r in reply.records] == [("dark.jpg", "L-1"), ("light.jpg", "L-1")]


def test_photos_of_one_name_or_none_are_all_kept(detector: Contract, jpeg: Jpeg) -> None:
    names = ["a.jpg", "a.jpg (3)", "a.jpg", ""]
    sent = form(*[("photos", name, jpeg()) for name in names], ("declared", None, b'["bed"]'))
    reply = detector.answer("POST", "/verify", {"Content-Type": FORM}, sent)
    assert len(body(reply)["photos"]) == 4
    assert body(reply)["verdicts"][0]["verdict"] == "confirmed"
    assert len({record["input_id"] for record in reply.records}) == 4


def test_bad_listings(detector: Contract, jpeg: Jpeg) -> None:
    def send(*parts: tuple[str, str | None, bytes]) -> Reply:
        return detector.answer("POST", "/verify", {"Content-Type": FORM}, form(*parts))

    photo, declared = ("photos", "a.jpg", jpeg()), ("declared", None, b"bed")
    refused(send(declared), 422, "no_photos")
    refused(send(photo), 422, "no_declared")
    error = refused(send(photo, ("declared", None, b"bed,sofaa")), 422, "unknown_amenity")
    assert error["hint"] == "did you mean sofa?"
    refused(send(photo, ("declared", None, b"[1]")), 422, "wrong_declared")
    refused(send(photo, ("declared", None, b"[bed]")), 400, "not_json")
    error = refused(send(photo, ("photos", "b.jpg", b"\xff\xd8\xff"), declared), 400, "not_decodable")
    assert error["message"].startswith("b.jpg: ")
    refused(send(*[photo] * 65, declared), 413, "too_many_photos")


def test_a_listing_may_declare_nothing(detector: Contract, jpeg: Jpeg) -> None:
    sent = form(("photos", "a.jpg", jpeg(size=(64, 64))), ("declared", None, b""))
    found = body(detector.answer("POST", "/verify", {"Content-Type": FORM}, sent))
    assert found["verdicts"] == []
    assert [one["amenity"] for one in found["undeclared"]] == ["bed"]
    assert declared_names(" bed ,,tv") == ("bed", "tv")


def test_models_without_presence_cannot_verify(make_predictor: Make, table: Contract) -> None:
    assert refused(table.answer("POST", "/verify", {}), 404, "not_found")["hint"] == "use /predict"
    with pytest.raises(RequestError, match="cannot verify listings"):
        verify(["bed"], {}, table.predictor.bundle)


@pytest.mark.parametrize(
    "task", ["object_detection", "multilabel_classification", "image_classification", "tabular_classification"]
)
def test_answers_fit_their_openapi_description(make_predictor: Make, jpeg: Jpeg, task: str) -> None:
    predictor = make_predictor(task)
    document = describe(predictor.bundle)
    json.dumps(document, allow_nan=False)
    assert document["openapi"].startswith("3.1")
    assert ("/verify" in document["paths"]) == predictor.bundle.judges_presence
    schema = document["components"]["schemas"]["Answer"]
    contract = Contract(predictor, Limits())
    if predictor.bundle.takes_photos:
        _fits(body(contract.answer("POST", "/predict", {}, jpeg())), schema)
    else:
        _fits(body(predict_rows(contract, [ROW]))["predictions"][0], schema)
    refusal = body(contract.answer("POST", "/predict", {}, b""))
    _fits(refusal, document["components"]["schemas"]["Error"])


def _fits(value: Any, schema: dict[str, Any]) -> None:
    """The few keywords of JSON Schema that the description uses."""
    if "enum" in schema:
        assert value in schema["enum"]
        return
    kinds = {"object": dict, "array": list, "string": str, "number": int | float, "integer": int, "boolean": bool}
    assert isinstance(value, kinds[schema["type"]]), (value, schema)
    if schema["type"] == "object":
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for key, item in value.items():
            _fits(item, schema["properties"][key])
    if schema["type"] == "array":
        for item in value:
            _fits(item, schema["items"])
