"""Compares the classes and columns that a spec names with those that the data have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pizzeria.errors import DataError


def require_known(wanted: Iterable[str], known: Sequence[str], *, kind: str, where: str) -> None:
    """Check that all wanted names are among the known ones.

    Args:
        wanted: names that the spec uses.
        known: names that the data have.
        kind: what the names are, such as `class`.
        where: what has them, such as `annotations.json`.

    Raises:
        DataError: names every unknown one and the nearest known one.

    Example:
        >>> require_known(["bed", "sofa"], ["bed", "sofa", "tv"], kind="class", where="rooms")
    """
    unknown = [name for name in wanted if name not in known]
    if not unknown:
        return
    near = [(name, get_close_matches(name, known, n=1)) for name in unknown]
    hints = [f"did you mean {match[0]!r} for {name!r}?" for name, match in near if match]
    hints.append(f"there are: {', '.join(map(str, known)) or 'none'}")
    raise DataError(f"no {kind} {', '.join(map(repr, unknown))} in {where}", hint="; ".join(hints))


def split_names(cell: str) -> list[str]:
    """Names in one CSV cell: between semicolons if there are any, else between blanks.

    Example:
        >>> split_names("bed  sofa"), split_names("dining table; bed")
        (['bed', 'sofa'], ['dining table', 'bed'])
    """
    parts = cell.split(";") if ";" in cell else cell.split()
    return [part.strip() for part in parts if part.strip()]
