"""JSON Schemas of what a served bundle reads and answers, with the model's own classes and columns.

The answers are those of `pizzeria.inference.contract`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.inference.bands import VERDICTS
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.column_inputs import YEAR_1, YEAR_9999, column_names, columns_of
from pizzeria.inference.rows import bounds
from pizzeria.inference.truth import CORNERS, MAX_BOXES

Schema = dict[str, Any]

PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
SHA256: Schema = {"type": "string", "pattern": "^([0-9a-f]{64})?$", "description": "The bundle that answered."}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_SIDE: Schema = {"type": "integer", "minimum": 1, "description": "Pixels of the upright photo."}
_SYNTAX = re.compile(r"[\^$\\.*+?()\[\]{}|/]")
"""What means something in a pattern of ECMAScript."""
_CORNERS: Schema = {key: {"type": "number", "description": "Pixels."} for key in ("x_min", "y_min", "x_max", "y_max")}
_PREDICTION_ID: Schema = {"type": "string", "description": "Names this answer in the prediction log."}


def photo_answer(bundle: Bundle) -> Schema:
    """`POST /predict` of a photo."""
    about: Schema = {"width": _SIDE, "height": _SIDE, "model": SHA256, "prediction_id": _PREDICTION_ID}
    if not bundle.judges_presence:
        return _with(object_of(**_classified(bundle), **about), explanation=_saliency(bundle))
    presence = {"presence": object_of(**{name: _present(bundle.thresholds[name]) for name in bundle.classes})}
    if bundle.task == "multilabel_classification":
        return _with(object_of(**presence, **about), explanation=_saliency(bundle))
    box = object_of(**{"class": _class(bundle)}, confidence=PROBABILITY, score=PROBABILITY, **_CORNERS)
    return object_of(boxes={"type": "array", "items": box}, **presence, **about)


def row_answer(bundle: Bundle) -> Schema:
    """One of the predictions of `POST /predict` of rows."""
    if bundle.task != "tabular_regression":
        return _with(object_of(**_classified(bundle), prediction_id=_PREDICTION_ID), explanation=_contributions(bundle))
    value: Schema = {"type": "number", "description": str(bundle.preprocessing["target"]["name"])}
    return _with(object_of(value=value, prediction_id=_PREDICTION_ID), explanation=_contributions(bundle))


def listing_answer(bundle: Bundle) -> Schema:
    """`POST /verify`."""
    box = _nullable(object_of(**_CORNERS, confidence=PROBABILITY), "Where; null where the model tells no boxes.")
    evidence = _nullable(object_of(photo=_TEXT, prediction_id=_PREDICTION_ID, box=box), "The photo that shows it best.")
    amenity: Schema = {"amenity": _class(bundle)}
    seen = object_of(**amenity, probability=PROBABILITY, evidence=evidence)
    verdict: Schema = {"enum": list(VERDICTS), "description": "`not shown` does not mean that it is absent."}
    judged = object_of(**amenity, verdict=verdict, probability=PROBABILITY, reason=_TEXT, evidence=evidence)
    photo = object_of(name=_TEXT, prediction_id=_PREDICTION_ID, width=_SIDE, height=_SIDE)
    return object_of(
        verdicts={"type": "array", "items": judged},
        undeclared={"type": "array", "items": seen},
        photos={"type": "array", "items": _with(photo, room=object_of(name=_TEXT, probability=PROBABILITY))},
        model=SHA256,
    )


def row(preprocessing: Mapping[str, Any]) -> Schema:
    """One row of a request: every column, and maybe `row_id`."""
    columns: Schema = {str(column["name"]): _column(kind, column) for kind, column in columns_of(preprocessing)}
    return _with(object_of(**columns), row_id=_SCALAR | {"description": "Its name in the prediction log."})


def label(bundle: Bundle) -> Schema:
    """One label of `POST /feedback`: of a prediction, or of all predictions of an input."""
    row = "/(0|[1-9][0-9]{0,8})" if not bundle.takes_photos else ""
    by_prediction = {
        "type": "string",
        "pattern": f"^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{row}$",
        "description": "Of the answer.",
    }
    by_input = {"type": "string", "minLength": 1, "description": "Of all answers to the input of this name."}
    about: Schema = {
        "at": {"type": ["string", "null"], "format": "date-time", "description": "When it was found; now by default."},
        "source": {"type": "string", "description": "Who says it; cut to 200 characters."},
    }
    pairs = ({"prediction_id": by_prediction}, {"input_id": by_input})
    return {
        "oneOf": [
            _with(object_of(**name, **truth), **more, **about) for name in pairs for truth, more in _truth(bundle)
        ]
    }


def _truth(bundle: Bundle) -> list[tuple[Schema, Schema]]:
    """What a label must say, and may say besides."""
    if bundle.task == "tabular_regression":
        return [({"value": _NUMBER}, {})]
    if not bundle.judges_presence:
        return [({"class": _class(bundle)}, {})]
    shown: Schema = {"type": "array", "items": _class(bundle), "description": "All classes that the photo shows."}
    if bundle.task == "multilabel_classification":
        return [({"classes": shown}, {})]
    corner: Schema = {"type": "number", "minimum": 0, "maximum": 1_000_000, "description": "Pixels."}
    box = object_of(**{"class": _class(bundle)}, **dict.fromkeys(CORNERS, corner))
    boxes: Schema = {"type": "array", "maxItems": MAX_BOXES, "items": box}
    return [({"boxes": boxes}, {"classes": shown}), ({"classes": shown}, {})]


def readiness() -> Schema:
    """`GET /readyz`."""
    count: Schema = {"type": "integer", "minimum": 0}
    log = object_of(waiting=count, dropped=count, trouble={"type": "boolean"})
    ready = object_of(status={"const": "ready"}, sha256=SHA256, name=_TEXT, task=_TEXT)
    return _with(ready, log=log | {"description": "Records of the prediction log, where one is kept."})


def error() -> Schema:
    """The body of every refusal."""
    return object_of(error=object_of(code=_TEXT, message=_TEXT, hint=_TEXT))


def object_of(**properties: Any) -> Schema:
    """An object of just these keys.

    Example:
        >>> object_of(status={"const": "ok"})["required"]
        ['status']
    """
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _with(schema: Schema, **properties: Any) -> Schema:
    """The object's schema with keys that may be there."""
    return schema | {"properties": schema["properties"] | properties}


def _column(kind: str, column: Mapping[str, Any]) -> Schema:
    if kind == "categorical":
        return _SCALAR | {"examples": column["values"][:5]}
    if kind == "texts":
        return _SCALAR | {"description": "Free text."}
    low, high = bounds(column) if kind == "numeric" else (YEAR_1, YEAR_9999)
    reach = {"minimum": low, "maximum": high}
    if kind == "dates" or column.get("time"):
        moment = {"type": "string", "format": "date-time"}
        return {"anyOf": [moment, {"type": ["number", "null"], **reach}], "description": "ISO 8601, or Unix seconds."}
    return {"type": ["number", "boolean", "null"], **reach}


def declared(classes: Sequence[str]) -> Schema:
    """The amenities of a listing, in one field of a form."""
    name = "(" + "|".join(_SYNTAX.sub(r"\\\g<0>", one) for one in classes) + ")"
    listed, gap = rf'"{name}"', r"[ \t\r\n]*"
    return {
        "type": "string",
        "description": f"With commas between, or a JSON list; of {', '.join(classes)}.",
        "pattern": rf"^\s*({name}?\s*(,\s*{name}?\s*)*|\[{gap}({listed}{gap}(,{gap}{listed}{gap})*)?\]\s*)$",
        "examples": [",".join(classes[:2])],
    }


def _nullable(schema: Schema, description: str) -> Schema:
    return schema | {"type": ["object", "null"], "description": description}


def _class(bundle: Bundle) -> Schema:
    return {"enum": list(bundle.classes)}


def _present(threshold: float) -> Schema:
    """`x-threshold` is for clients that draw the boxes of an answer with `min_confidence`."""
    said: Schema = {"type": "boolean", "description": f"Whether the probability is {threshold:g} or more."}
    return object_of(probability=PROBABILITY, present=said) | {"x-threshold": threshold}


def _classified(bundle: Bundle) -> Schema:
    probabilities = object_of(**dict.fromkeys(bundle.classes, PROBABILITY))
    return {"class": _class(bundle), "probability": PROBABILITY, "probabilities": probabilities}


def _saliency(bundle: Bundle) -> Schema:
    image: Schema = {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": "image/png",
        "description": "8-bit grey over the whole upright photo; 255 matters most.",
    }
    out = object_of(**{"class": _class(bundle)}, method={"const": "rise"}, masks={"type": "integer"}, image=image)
    return out | {"description": "With ?explain=true: what of the photo speaks for the class."}


def _contributions(bundle: Bundle) -> Schema:
    columns = column_names(bundle.preprocessing)
    out = object_of(
        **({} if bundle.task == "tabular_regression" else {"class": _class(bundle)}),
        method={"const": "shapley"},
        base=_NUMBER,
        contributions=object_of(**dict.fromkeys(columns, _NUMBER)),
    )
    return out | {"description": "With ?explain=true: base and contributions add up to the probability or the value."}
