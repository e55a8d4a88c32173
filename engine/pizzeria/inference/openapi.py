"""Describes a served bundle as OpenAPI 3.1: routes, query keys, limits, refusals and keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pizzeria.inference import openapi_schemas as schemas
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.contract import Limits
from pizzeria.inference.feedback import MAX_LABELS
from pizzeria.inference.openapi_schemas import PROBABILITY, SHA256, Schema, object_of
from pizzeria.inference.query import query_keys
from pizzeria.inference.requests import MAX_PHOTOS

_REFUSALS = {
    400: "The body is damaged: not decodable, not JSON, or a form that is cut off. Or the request is no HTTP.",
    401: "No API key, or one that the service does not know.",
    408: "The request was not whole in time.",
    409: "The service keeps no prediction log.",
    413: "Too large: bytes, pixels, photos, rows or labels.",
    415: "A type or a format that the route does not read.",
    422: "Readable, but of another shape than the model needs.",
    429: "As many requests as allowed are at work; try again after Retry-After seconds.",
    431: "The head of the request is too large.",
    501: "The prediction log keeps no labels.",
    503: "As many connections as allowed are at work, or the log takes no label; try again after Retry-After seconds.",
    504: "No answer in time.",
}
_OF_POST = (400, 408, 413, 415, 422, 429, 431, 503, 504)
_OF_GET = (400, 408, 431, 503)
_HEADERS: dict[int, Schema] = {
    401: {"WWW-Authenticate": {"schema": {"const": "Bearer"}}},
    429: {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}},
    503: {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}},
}
_QUERY: dict[str, tuple[str, Schema]] = {
    "input_id": ("Name of the photo in the prediction log; cut to 200 characters.", {"type": "string"}),
    "listing_id": ("Listing in the prediction log; cut to 200 characters.", {"type": "string"}),
    "min_confidence": ("Boxes of at least this confidence, instead of each class's threshold.", PROBABILITY),
    "explain": ("Whether the answer shall say what it rests on.", {"type": "boolean"}),
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in another header."},
}


def describe(
    bundle: Bundle,
    limits: Limits | None = None,
    *,
    keyed: bool = False,
    metrics: bool = False,
    feedback: bool = True,
) -> dict[str, Any]:
    """An OpenAPI 3.1 document of the routes that `pizzeria.inference.contract` answers.

    Args:
        bundle: What is served.
        limits: What a request may ask for; those of `Limits()` by default.
        keyed: Whether API keys are asked for.
        metrics: Whether there is /metrics.
        feedback: Whether there is /feedback.

    Example:
        >>> describe(open_bundle(Path("runs/1/stages/package/bundle")))["openapi"]  # doctest: +SKIP
        '3.1.0'
    """
    limits = limits or Limits()
    paths: Schema = {
        "/predict": {"post": _post(_predict(bundle, limits), "/predict", bundle, keyed)},
        "/healthz": {"get": _get("Is the process alive?", _json(object_of(status={"const": "ok"})))},
        "/readyz": {"get": _get("Which model answers?", _json(schemas.readiness()))},
    }
    if bundle.judges_presence:
        paths["/verify"] = {"post": _post(_verify(bundle), "/verify", bundle, keyed)}
    if feedback:
        paths["/feedback"] = {"post": _post(_feedback(bundle), "/feedback", bundle, keyed, status=202)}
    if metrics:
        text = {"text/plain": {"schema": {"type": "string"}}}
        paths["/metrics"] = {"get": _get("What the service counted, for Prometheus.", text, keyed)}
    answer = schemas.photo_answer(bundle) if bundle.takes_photos else schemas.row_answer(bundle)
    rows = {} if bundle.takes_photos else {"Row": schemas.row(bundle.preprocessing)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": bundle.name,
            "version": bundle.sha256[:12] or "draft",
            "description": f"A model for {bundle.task.replace('_', ' ')}, served by Pizzeria.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": schemas.error(), "Answer": answer, **rows},
            **({"securitySchemes": _KEYS} if keyed else {}),
        },
    }


def _predict(bundle: Bundle, limits: Limits) -> Schema:
    if not bundle.takes_photos:
        rows = {"type": "array", "minItems": 1, "maxItems": limits.max_rows, "items": _reference("Row")}
        answers = object_of(predictions={"type": "array", "items": _reference("Answer")}, model=SHA256)
        body = {"application/json": {"schema": {"oneOf": [object_of(rows=rows), rows]}}}
        return {"summary": "Predict each row.", "requestBody": _required(body), "answer": answers}
    binary: Schema = {"type": "string", "format": "binary"}
    form = object_of(photo=binary, listing_id={"type": "string"}) | {"required": ["photo"]}
    body = {f"image/{name.lower()}": {"schema": binary} for name in limits.formats}
    body["multipart/form-data"] = {"schema": form}
    return {"summary": "Predict one photo.", "requestBody": _required(body), "answer": _reference("Answer")}


def _verify(bundle: Bundle) -> Schema:
    photos = {"type": "array", "minItems": 1, "maxItems": MAX_PHOTOS, "items": {"type": "string", "format": "binary"}}
    form = object_of(photos=photos, declared=schemas.declared(bundle.classes), listing_id={"type": "string"})
    form["required"] = ["photos", "declared"]
    return {
        "summary": "Check a listing's declared amenities against its photos.",
        "requestBody": _required({"multipart/form-data": {"schema": form}}),
        "answer": schemas.listing_answer(bundle),
    }


def _feedback(bundle: Bundle) -> Schema:
    label = schemas.label(bundle)
    labels = {"type": "array", "minItems": 1, "maxItems": MAX_LABELS, "items": label}
    body = {"application/json": {"schema": {"oneOf": [label, labels, object_of(labels=labels)]}}}
    answer = object_of(accepted={"type": "integer", "minimum": 1, "description": "Labels that are kept now."})
    return {"summary": "Tell the truth of earlier predictions.", "requestBody": _required(body), "answer": answer}


def _post(told: Schema, route: str, bundle: Bundle, keyed: bool, status: int = 200) -> Schema:
    answer = told.pop("answer")
    of_post = (*_OF_POST, 409, 501) if status == 202 else _OF_POST
    keys = [
        {"name": name, "in": "query", "description": _QUERY[name][0], "schema": _QUERY[name][1]}
        for name in query_keys(route, bundle.task)
    ]
    responses = _answered("The answer.", _json(answer), status) | _refused(of_post, keyed)
    return told | {"parameters": keys, "responses": responses} | _security(keyed)


def _get(summary: str, content: Schema, keyed: bool = False) -> Schema:
    responses = _answered("Yes.", content) | _refused(_OF_GET, keyed)
    return {"summary": summary, "responses": responses} | _security(keyed)


def _answered(description: str, content: Schema, status: int = 200) -> Schema:
    return {str(status): {"description": description, "content": content}}


def _refused(statuses: Iterable[int], keyed: bool) -> Schema:
    content = _json(_reference("Error"))
    out: Schema = {}
    for status in sorted((*statuses, *([401] if keyed else []))):
        headers = {"headers": _HEADERS[status]} if status in _HEADERS else {}
        out[str(status)] = {"description": _REFUSALS[status], "content": content} | headers
    return out


def _security(keyed: bool) -> Schema:
    return {"security": [{name: []} for name in _KEYS]} if keyed else {}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _required(content: Schema) -> Schema:
    return {"required": True, "content": content}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
