"""Numbers in the text files of data sets."""

from __future__ import annotations

import re
from math import isfinite

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def number(text: str) -> float | None:
    """The finite number that a text is, in the plain notation of data files; None for anything else.

    Example:
        >>> number(" 1.5 "), number("1e2"), number("nan"), number("1_000"), number("1e999")
        (1.5, 100.0, None, None, None)
    """
    plain = text.strip()
    if not _NUMBER.fullmatch(plain):
        return None
    value = float(plain)
    return value if isfinite(value) else None
