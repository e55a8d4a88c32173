"""A query that only reads: one SELECT, as far as its words tell. The database, where it can, is told so as well."""

from __future__ import annotations

import re

_QUIET = re.compile(
    r"""--[^\n]*              # a comment to the end of the line
    | /\*.*?\*/              # a comment
    | '(?:[^']|'')*'         # a text
    | "(?:[^"]|"")*"         # a name
    | `[^`]*`                # a name, in MySQL
    | \$(\w*)\$.*?\$\1\$     # a text, in PostgreSQL
    """,
    re.VERBOSE | re.DOTALL,
)
_CHANGES = ("insert", "update", "delete", "merge", "into", "drop", "alter", "create", "truncate", "grant", "revoke")
"""Words that may stand within a SELECT and change something, and some that nobody names a column by."""


def only_reads(query: str, *, begins: tuple[str, ...] = ("select", "with")) -> str:
    """The query without a semicolon at its end.

    Raises:
        ValueError: it is no query, or more than one, or has a word of those that change something.

    Example:
        >>> only_reads("SELECT a, 'drop' AS b FROM t; ")
        "SELECT a, 'drop' AS b FROM t"
    """
    query = query.strip()
    while query.endswith(";"):
        query = query[:-1].rstrip()
    quiet = _QUIET.sub(" ", query)
    words = [word.lower() for word in re.findall(r"[A-Za-z_]\w*", quiet)]
    if not words or words[0] not in begins:
        wanted = " or ".join(one.upper() for one in begins)
        raise ValueError(f"a query begins with {wanted}; only what reads is run")
    if ";" in quiet:
        raise ValueError("a query is one statement, and this has a semicolon in the middle")
    found = [word for word in words if word in _CHANGES]
    if found:
        raise ValueError(
            f"the query says {found[0].upper()}, and only what reads is run; a column of that name goes in quotes"
        )
    return query
