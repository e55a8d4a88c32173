"""Names and texts as SQL has them: what the data are called must never become a part of a statement."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A column or table.

    Example:
        >>> print(quoted('a "b" c'))
        "a ""b"" c"
    """
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A text.

    Example:
        >>> print(literal("it's"))
        'it''s'
    """
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
