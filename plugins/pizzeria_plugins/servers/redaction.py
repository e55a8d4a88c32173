"""What is left out of the records before they go on their way to the prediction log: `serving.log.redact`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pizzeria.errors import DeploymentError, nearest

_EMPTY = ("input_id", "listing_id")
"""What every log has a column for stays, empty."""
_REMOVED = ("embedding",)
_FEATURE = "feature:"
_ALL_FEATURES = "feature:*"

Redact = Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]]]


def redactor(names: Iterable[str], features: Iterable[str]) -> Redact | None:
    """What takes these names out of records; None where there are none.

    Args:
        names: input_id, listing_id, embedding, feature:<name>, or feature:* for all of these.
        features: Names of the features that the bundle's records have, without `feature:`.

    Raises:
        DeploymentError: no record has such a name, so leaving it out would protect nobody.

    Example:
        >>> redact = redactor(["input_id", "feature:price"], ["price", "rooms"])
        >>> redact([{"input_id": "Anna", "feature:price": 90, "feature:rooms": 2}])
        [{'input_id': '', 'feature:rooms': 2}]
    """
    wanted = frozenset(names)
    if not wanted:
        return None
    known = [*_EMPTY, *_REMOVED, _ALL_FEATURES, *(_FEATURE + feature for feature in features)]
    for name in sorted(wanted):
        if name not in known:
            raise DeploymentError(f"serving.log.redact: no record has {name!r}", hint=nearest(name, known))
    every = _ALL_FEATURES in wanted
    empty = dict.fromkeys((name for name in _EMPTY if name in wanted), "")

    def goes(key: str) -> bool:
        return key in wanted or (every and key.startswith(_FEATURE))

    def redacted(record: Mapping[str, Any]) -> Mapping[str, Any]:
        out = {key: empty.get(key, value) for key, value in record.items() if key in empty or not goes(key)}
        if "columns" in out:
            out["columns"] = {key: values for key, values in out["columns"].items() if not goes(key)}
        return out

    def redact(records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        return list(map(redacted, records))

    return redact
