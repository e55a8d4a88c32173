"""Describes a served bundle as OpenAPI 3.1, with the model's own classes and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizzeria.inference.bundle import Bundle
from pizzeria.inference.listing import VERDICTS
from pizzeria.inference.requests import MAX_PHOTOS

_Schema = dict[str, Any]
_PROBABILITY: _Schema = {"type": "number", "minimum": 0, "maximum": 1}
_PIXELS: _Schema = {"type": "integer", "minimum": 1, "description": "Pixels of the upright photo."}
_SHA256: _Schema = {"type": "string", "pattern": "^([0-9a-f]{64})?$", "description": "The bundle that answered."}
_REFUSALS = {
    "400": "The body is damaged: not decodable, not JSON, or a form that is cut off.",
    "413": "Too large: bytes, pixels, photos or rows.",
    "415": "A type that the route does not read.",
    "422": "Readable, but of another shape than the model needs.",
    "429": "As many requests as allowed are at work; try again after Retry-After seconds.",
}


def describe(bundle: Bundle) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the routes that `pizzeria.inference.contract` answers.

    Example:
        >>> describe(open_bundle(Path("runs/1/stages/package/bundle")))["openapi"]  # doctest: +SKIP
        '3.1.0'
    """
    paths: _Schema = {
        "/predict": {"post": _predict(bundle)},
        "/healthz": {"get": _get("Is the process alive?", _object(status={"const": "ok"}))},
        "/readyz": {"get": _get("Which model answers?", _ready())},
    }
    if bundle.judges_presence:
        paths["/verify"] = {"post": _verify(bundle)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": bundle.name,
            "version": bundle.sha256[:12] or "draft",
            "description": f"A model for {bundle.task.replace('_', ' ')}, served by Pizzeria.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": _error(), "Answer": _answer(bundle)} | _row_schema(bundle)},
    }


def _predict(bundle: Bundle) -> _Schema:
    if not bundle.takes_photos:
        rows = {"type": "array", "minItems": 1, "items": _reference("Row")}
        body = {"application/json": {"schema": {"oneOf": [_object(rows=rows), rows]}}}
        answers = _object(predictions={"type": "array", "items": _reference("Answer")}, model=_SHA256)
        return _post("Predict each row.", body, answers, [_key("listing_id", "Kept in the prediction log.")])
    binary: _Schema = {"type": "string", "format": "binary"}
    form = _object(photo=binary, listing_id={"type": "string"})
    form["required"] = ["photo"]
    body = {f"image/{kind}": {"schema": binary} for kind in ("jpeg", "png", "webp")}
    body["multipart/form-data"] = {"schema": form}
    keys = [_key("input_id", "Name of the photo in the prediction log."), _key("listing_id", "Its listing, likewise.")]
    return _post("Predict one photo.", body, _reference("Answer"), keys)


def _verify(bundle: Bundle) -> _Schema:
    photos = {"type": "array", "minItems": 1, "maxItems": MAX_PHOTOS, "items": {"type": "string", "format": "binary"}}
    declared = {
        "type": "string",
        "description": f"With commas between, or a JSON list; of {', '.join(bundle.classes)}.",
        "examples": [",".join(bundle.classes[:2])],
    }
    form = _object(photos=photos, declared=declared, listing_id={"type": "string"})
    form["required"] = ["photos", "declared"]
    seen = _object(
        amenity={"enum": list(bundle.classes)},
        probability=_PROBABILITY,
        evidence={"type": ["string", "null"], "description": "The photo that shows it best."},
    )
    judged = _object(**seen["properties"], verdict={"enum": list(VERDICTS)})
    answer = _object(
        verdicts={"type": "array", "items": judged},
        undeclared={"type": "array", "items": seen},
        photos={"type": "integer", "minimum": 1},
        model=_SHA256,
    )
    body = {"multipart/form-data": {"schema": form}}
    keys = [_key("listing_id", "Kept in the prediction log.")]
    return _post("Check a listing's declared amenities against its photos.", body, answer, keys)


def _answer(bundle: Bundle) -> _Schema:
    if bundle.task == "tabular_regression":
        return _object(value={"type": "number", "description": f"{bundle.preprocessing['target']['name']}"})
    size: _Schema = {"width": _PIXELS, "height": _PIXELS, "model": _SHA256} if bundle.takes_photos else {}
    if not bundle.judges_presence:
        probabilities = _object(**dict.fromkeys(bundle.classes, _PROBABILITY))
        named = {"class": {"enum": list(bundle.classes)}, "probability": _PROBABILITY, "probabilities": probabilities}
        return _object(**named, **size)
    presence = {"presence": _object(**{name: _present(bundle.thresholds[name]) for name in bundle.classes})}
    if bundle.task == "multilabel_classification":
        return _object(**presence, **size)
    corner = {"type": "number", "minimum": 0, "description": "Pixels of the upright photo."}
    box: _Schema = {"class": {"enum": list(bundle.classes)}, "confidence": _PROBABILITY, "score": _PROBABILITY}
    box |= dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), corner)
    return _object(boxes={"type": "array", "items": _object(**box)}, **presence, **size)


def _present(threshold: float) -> _Schema:
    said: _Schema = {"type": "boolean", "description": f"Whether the probability is {threshold:g} or more."}
    return _object(probability=_PROBABILITY, present=said) | {"x-threshold": threshold}


def _row_schema(bundle: Bundle) -> _Schema:
    return {} if bundle.takes_photos else {"Row": _row(bundle.preprocessing)}


def _row(preprocessing: Mapping[str, Any]) -> _Schema:
    number, time = ["number", "boolean", "null"], ["string", "number", "null"]
    columns: _Schema = {c["name"]: {"type": time if c.get("time") else number} for c in preprocessing["numeric"]}
    columns |= {
        c["name"]: {"type": ["string", "number", "boolean", "null"], "examples": c["values"][:5]}
        for c in preprocessing["categorical"]
    }
    out = _object(**columns)
    out["properties"] = {"row_id": {"type": ["string", "integer"]}} | columns
    return out


def _ready() -> _Schema:
    return _object(status={"const": "ready"}, sha256=_SHA256, name={"type": "string"}, task={"type": "string"})


def _error() -> _Schema:
    words: _Schema = {"type": "string"}
    return _object(error=_object(code=words, message=words, hint=words))


def _object(**properties: Any) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _reference(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _key(name: str, description: str) -> _Schema:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", "maxLength": 200}}


def _told(description: str, schema: _Schema) -> _Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _get(summary: str, schema: _Schema) -> _Schema:
    return {"summary": summary, "responses": {"200": _told("Yes.", schema)}}


def _post(summary: str, body: _Schema, answer: _Schema, keys: list[_Schema]) -> _Schema:
    refusals = {status: _told(text, _reference("Error")) for status, text in _REFUSALS.items()}
    return {
        "summary": summary,
        "parameters": keys,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": _told("The answer.", answer), **refusals},
    }
