"""One leak, as the report shows it."""

from __future__ import annotations

from dataclasses import dataclass

from pizzeria.spec.leakage import What

SHOWN = 24
"""So many pairs are kept for the report; all are counted."""


@dataclass(frozen=True)
class Pair:
    """Two photos or rows that are on two sides.

    Attributes:
        keys: image_id or row_id of both.
        sides: Their splits.
        groups: What group each is of, such as its listing; empty where there are none.
        note: How near they are, in words.
    """

    keys: tuple[str, str]
    sides: tuple[str, str]
    groups: tuple[str, str] = ("", "")
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """A leak.

    Attributes:
        count: Pairs, groups or rows, or 1 for a column.
        message: What was found, in one sentence.
        hint: What to do about it.
        pairs: The first of them.
        allowed: The spec's reason to let it be; None where it stops the run.
    """

    what: What
    column: str | None
    count: int
    message: str
    hint: str
    pairs: tuple[Pair, ...] = ()
    allowed: str | None = None
