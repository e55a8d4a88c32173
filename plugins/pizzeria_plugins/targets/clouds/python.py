"""Which Python a function runs on."""

from __future__ import annotations

import sys


def python_of(wanted: str | None) -> str:
    """The version, such as 3.12; that of this interpreter where none is named.

    Example:
        >>> python_of("3.12")
        '3.12'
    """
    return wanted or f"{sys.version_info[0]}.{sys.version_info[1]}"
