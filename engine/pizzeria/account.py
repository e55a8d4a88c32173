"""What became of everything that a source read: `read = used + set aside`, by unit, with reasons and a few examples.

Units are `images`, `boxes`, `labels` (classes of whole photos), `listings` and `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pizzeria.errors import DataError

EXAMPLES = 5
UNITS = ("images", "boxes", "labels", "listings", "rows")


@dataclass
class Tally:
    """How many, and the first few of them: file names, ids, or `file:line`."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str, count: int = 1) -> None:
        """Count `count` more, of which `example` is one."""
        self.count += count
        if example and len(self.examples) < EXAMPLES:
            self.examples.append(example)


@dataclass
class Account:
    """Filled while data are read, and kept with them as `account.json`.

    Attributes:
        read: Things that the source has, by unit, before anything is set aside.
        aside: What is not used, by unit and reason.
        handled: What is used but was not as it should be, by unit and what was done: `turned upright by EXIF`.

    Example:
        >>> account = Account()
        >>> account.add("boxes", 3)
        >>> account.set_aside("boxes", "of class dog, which problem.classes does not name", "cat.jpg")
        >>> account.used("boxes"), account.of_aside("boxes")
        (2, 1)
        >>> account.check({"boxes": 2})
    """

    read: dict[str, int] = field(default_factory=dict)
    aside: dict[str, dict[str, Tally]] = field(default_factory=dict)
    handled: dict[str, dict[str, Tally]] = field(default_factory=dict)

    def add(self, unit: str, count: int) -> None:
        """So many more were read."""
        self.read[unit] = self.read.get(unit, 0) + count

    def set_aside(self, unit: str, reason: str, example: str = "", count: int = 1) -> None:
        """So many are not used, for this reason."""
        self.aside.setdefault(unit, {}).setdefault(reason, Tally()).add(example, count)

    def handle(self, unit: str, what: str, example: str = "", count: int = 1) -> None:
        """So many are used although they were not as they should be, after this was done to them."""
        self.handled.setdefault(unit, {}).setdefault(what, Tally()).add(example, count)

    def of_aside(self, unit: str) -> int:
        """How many of a unit are not used."""
        return sum(tally.count for tally in self.aside.get(unit, {}).values())

    def used(self, unit: str) -> int:
        """How many of a unit are used: read, less what was set aside."""
        return self.read.get(unit, 0) - self.of_aside(unit)

    def merge(self, other: Account) -> None:
        """Count in what another source read."""
        for unit, count in other.read.items():
            self.add(unit, count)
        for mine, theirs in ((self.aside, other.aside), (self.handled, other.handled)):
            for unit, reasons in theirs.items():
                for reason, tally in reasons.items():
                    into = mine.setdefault(unit, {}).setdefault(reason, Tally())
                    into.count += tally.count
                    into.examples = (into.examples + tally.examples)[:EXAMPLES]

    def check(self, used: Mapping[str, int]) -> None:
        """Hold the account against what the tables hold.

        Raises:
            DataError: something was dropped without a word, or counted twice.
        """
        for unit, count in used.items():
            if self.used(unit) != count:
                raise DataError(
                    f"the account of the {unit} does not balance: {self.read.get(unit, 0)} read, "
                    f"{self.of_aside(unit)} set aside, but {count} used",
                    hint="this is a fault of the source plugin: it must say what became of everything that it read",
                )

    def plain(self) -> dict[str, Any]:
        """As JSON may carry it."""
        return {"read": dict(self.read), "aside": _plain(self.aside), "handled": _plain(self.handled)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Account:
        """The inverse of `plain`.

        Example:
            >>> account = Account({"rows": 2})
            >>> account.set_aside("rows", "without a target", "row 1")
            >>> Account.of(account.plain()) == account
            True
        """
        return cls(dict(plain["read"]), _tallies(plain["aside"]), _tallies(plain["handled"]))


def _plain(found: Mapping[str, Mapping[str, Tally]]) -> dict[str, Any]:
    return {
        unit: {reason: {"count": t.count, "examples": list(t.examples)} for reason, t in reasons.items()}
        for unit, reasons in found.items()
    }


def _tallies(plain: Mapping[str, Any]) -> dict[str, dict[str, Tally]]:
    return {
        unit: {reason: Tally(int(t["count"]), list(t["examples"])) for reason, t in reasons.items()}
        for unit, reasons in plain.items()
    }
