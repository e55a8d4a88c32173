"""The query string of a request: what it may ask for, read and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pizzeria.errors import RequestError, nearest

_LONGEST = 200
_YES, _NO = ("true", "1", ""), ("false", "0")


@dataclass(frozen=True)
class Query:
    """What the query string asks for.

    Attributes:
        input_id, listing_id: Names for the prediction log, cut to 200 characters; None where not given.
        min_confidence: Detection: boxes of at least this confidence, in [0, 1], instead of each class's threshold.
        explain: Whether the answer shall say what it rests on.
    """

    input_id: str | None = None
    listing_id: str | None = None
    min_confidence: float | None = None
    explain: bool = False


def query_keys(route: str, task: str) -> Sequence[str]:
    """The keys that a route knows for a task.

    Example:
        >>> query_keys("/predict", "tabular_regression")
        ('listing_id', 'explain')
    """
    if route != "/predict":
        return ("listing_id",) if route == "/verify" else ()
    if task.startswith("tabular"):
        return ("listing_id", "explain")
    return ("input_id", "listing_id", "min_confidence" if task == "object_detection" else "explain")


def read_query(text: str, route: str, task: str) -> Query:
    """Read what follows the question mark.

    Raises:
        RequestError: 400 it cannot be read; 422 an unknown key, one that is there twice, or a value that is wrong.

    Example:
        >>> read_query("input_id=kitchen.jpg&min_confidence=0.05", "/predict", "object_detection")
        Query(input_id='kitchen.jpg', listing_id=None, min_confidence=0.05, explain=False)
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise RequestError(400, "bad_query", "the query string cannot be read", hint="send at most 20 keys") from None
    known = query_keys(route, task)
    found: dict[str, str] = {}
    for name, value in pairs:
        if name == "explain" and task == "object_detection" and route == "/predict":
            raise RequestError(
                422, "no_explanation", "?explain: a detector's boxes are its explanation", hint="leave explain out"
            )
        if name not in known:
            hint = nearest(name[:60], known) if known else f"{route} takes none"
            raise RequestError(422, "unknown_key", f"?{name[:60]}: there is no such key", hint=hint)
        if name in found:
            raise RequestError(422, "key_twice", f"?{name} is there twice", hint="send it once")
        found[name] = value
    return Query(
        input_id=_name(found.get("input_id")),
        listing_id=_name(found.get("listing_id")),
        min_confidence=_fraction("min_confidence", found.get("min_confidence")),
        explain=_truth("explain", found.get("explain")),
    )


def _name(value: str | None) -> str | None:
    return None if value is None else value[:_LONGEST]


def _fraction(name: str, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise RequestError(422, "wrong_value", f"?{name}: found {value[:40]!r}", hint="send a number from 0 to 1")
    return number


def _truth(name: str, value: str | None) -> bool:
    if value is None or value in _NO:
        return False
    if value not in _YES:
        raise RequestError(422, "wrong_value", f"?{name}: found {value[:40]!r}", hint="send true or false")
    return True
