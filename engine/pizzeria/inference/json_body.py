"""Writes the JSON of answers, with msgspec where it is installed."""

from __future__ import annotations

import json
from typing import Any

try:
    from msgspec.json import encode as _encode
except ImportError:
    _encode = None  # type: ignore[assignment]


def to_json(value: Any) -> bytes:
    """Strict JSON in UTF-8.

    Raises:
        ValueError: a number is NaN or infinite.

    Example:
        >>> import json
        >>> json.loads(to_json({"probability": 0.25, "reason": None}))
        {'probability': 0.25, 'reason': None}
    """
    if _encode is not None:
        try:
            body = _encode(value)
        except UnicodeEncodeError:  # half a character, which JSON's own escapes can carry
            body = b"null"
        if b"null" not in body:  # msgspec writes null for NaN and infinities, so a null needs a second look
            return body
    return json.dumps(value, allow_nan=False).encode()
