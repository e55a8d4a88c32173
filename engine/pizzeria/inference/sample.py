"""The golden request of a bundle, answered anew: a service that cannot repeat the golden answer must not come up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizzeria.errors import BundleError, RequestError
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.requests import rows

_ANY = 1 << 40
TOLERANCE = 1e-2
"""Largest difference of a figure, relative where it is above 1; another CPU rounds differently."""


def answer_sample(predictor: Predictor, request: tuple[str, bytes]) -> dict[str, Any]:
    """Body of the answer of `POST /predict`, for a sample as (file name, content).

    Raises:
        RequestError: the sample is no good request.
    """
    _, data = request
    if predictor.bundle.takes_photos:
        photo = decode(data, max_megapixels=_ANY, preprocessing=predictor.bundle.preprocessing)
        return predictor.photo(photo).wire()
    answers = predictor.rows(rows(data, _ANY))
    return {"predictions": [answer.wire() for answer in answers], "model": predictor.bundle.sha256}


def check_sample(predictor: Predictor) -> None:
    """Answer the bundle's golden request, and compare with its golden answer.

    Raises:
        BundleError: the answers differ; says where.
    """
    bundle = predictor.bundle
    try:
        found = answer_sample(predictor, bundle.sample_request())
    except RequestError as error:
        raise BundleError(f"{bundle.location}: the golden request is refused: {error.message}") from None
    difference = sample_difference(bundle, found)
    if difference:
        raise BundleError(
            f"{bundle.location}: the golden request is not answered as when the bundle was packed: {difference}",
            hint="this machine's ONNX Runtime computes otherwise; compare its version with bundle.json",
        )


def sample_difference(bundle: Bundle, answer: Mapping[str, Any]) -> str:
    """Where an answer to the golden request, maybe of a service, is not the golden answer; empty where it is.

    What names the model or a prediction is not compared.
    """
    return _difference(bundle.sample_answer(), _without_names(answer), "")


def _without_names(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_names(one) for key, one in value.items() if key not in ("model", "prediction_id")}
    return [_without_names(one) for one in value] if isinstance(value, list) else value


def _difference(wanted: Any, found: Any, path: str) -> str:
    """Where two answers differ, or nothing."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping) and wanted.keys() == found.keys():
        pairs = [(wanted[key], found[key], f"{path}.{key}") for key in wanted]
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = [(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(wanted, found, strict=True))]
    elif _number(wanted) and _number(found) and abs(wanted - found) <= TOLERANCE * max(1, abs(wanted)):
        return ""
    else:
        return "" if wanted == found else f"{path.lstrip('.')} is {found!r:.80}, not {wanted!r:.80}"
    return next(filter(None, (_difference(a, b, at) for a, b, at in pairs)), "")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
