"""The evidence of a decision, for people: comparisons as tables with intervals, and the rest as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TITLES = {"frozen": "On the frozen test set", "window": "On the newest labels"}
_NEEDED = ("subject", "champion", "challenger", "gain", "low", "high")
_WIDTH = 200.0


@dataclass(frozen=True)
class Side:
    """Champion beside challenger in one metric.

    Attributes:
        low, high: Of the interval of the gain; None where it was not found.
        left, right, middle: The interval and the gain in a drawing of 200 units whose middle is no gain.
        tone: Whether the interval lies above or below no gain.
    """

    subject: str
    champion: float | None
    challenger: float | None
    gain: float | None
    low: float | None
    high: float | None
    left: float
    right: float
    middle: float
    tone: str


@dataclass(frozen=True)
class Compared:
    """One set of rows on which both were compared."""

    title: str
    rows: Any
    undecided: str
    sides: Sequence[Side]


@dataclass(frozen=True)
class Evidence:
    """All of it."""

    comparisons: Sequence[Compared]
    rest: Mapping[str, Any]


def read_evidence(plain: Mapping[str, Any]) -> Evidence:
    """What a decision rests on, as its ledger row has it.

    Example:
        >>> one = {"subject": "f1", "champion": 0.5, "challenger": 0.7, "gain": 0.2, "low": 0.1, "high": 0.3}
        >>> found = read_evidence({"window": one, "reasons": ["drift"]})
        >>> found.comparisons[0].title, found.comparisons[0].sides[0].tone, found.rest
        ('On the newest labels', 'good', {'reasons': ['drift']})
    """
    compared, rest = [], {}
    for key, value in plain.items():
        if isinstance(value, Mapping) and all(name in value for name in _NEEDED):
            classes = [one for one in value.get("classes") or () if all(name in one for name in _NEEDED)]
            title = TITLES.get(key, key.replace("_", " "))
            said = str(value.get("undecided") or "")
            compared.append(Compared(title, value.get("rows"), said, _sides([value, *classes])))
        else:
            rest[key] = value
    return Evidence(compared, rest)


def _sides(found: Sequence[Mapping[str, Any]]) -> list[Side]:
    ends = [abs(float(one[name])) for one in found for name in ("low", "high", "gain") if one[name] is not None]
    reach = max(ends, default=0.0) or 1.0

    def place(value: Any) -> float:
        return round(_WIDTH / 2 * (1 + 0.96 * float(value or 0.0) / reach), 1)

    out = []
    for one in found:
        low, high = one["low"], one["high"]
        tone = "quiet"
        if low is not None and high is not None:
            tone = "good" if low > 0 else "bad" if high < 0 else "quiet"
        figures = {name: one[name] for name in _NEEDED}
        out.append(Side(**figures, left=place(low), right=place(high), middle=place(one["gain"]), tone=tone))
    return out
