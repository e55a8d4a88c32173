"""Which labels came since the last look, by a mark that is kept between two looks.

A label counts by the time at which it came, by the clock of who kept it. Clocks differ, and of two that are kept at
once the earlier one may be there later. So a look goes back some minutes before the mark, which tells how many labels
were there, and which: when these are others now, all of them count as new once more. None is lost, also of the very
same moment as the mark, and a look at a log where nothing came reads these few.
"""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pizzeria.inference.truth import Label, moment

BACK = timedelta(minutes=10)
"""How far clocks may differ."""


@dataclass
class _Group:
    """Labels that came at one time: how many, and the sum of their hashes, which is the same in any order."""

    at: str
    count: int = 0
    total: int = 0


class Sieve:
    """One look.

    Args:
        mark: Of the last look, from `mark`; empty for the first. One that cannot be read counts as empty.
    """

    def __init__(self, mark: str) -> None:
        self._before = _read(mark)
        self._groups: deque[_Group] = deque()

    def news(self, labels_since: Callable[[str], Iterator[tuple[str, Label]]]) -> Iterator[Label]:
        """The labels that are new; to be read to the end.

        Args:
            labels_since: Labels that came at a time or later, behind that time, and in order of it.
        """
        before = self._before
        start = "" if before is None else _back(before.at)
        if before is not None:
            for at, label in labels_since(start):
                if at > before.at:
                    break
                self._see(at, label)
            if (self._count(), self._total()) == (before.count, before.total):
                start = before.at
            else:
                self._groups.clear()
                before = None
        for at, label in labels_since(start):
            if before is None or at > before.at:
                self._see(at, label)
                yield label

    def mark(self) -> str:
        """For the next look; after `news` came to its end."""
        if not self._groups:
            return "" if self._before is None else json.dumps([self._before.at, 0, 0])
        return json.dumps([self._groups[-1].at, self._count(), self._total()])

    def _see(self, at: str, label: Label) -> None:
        if not self._groups or self._groups[-1].at != at:
            start = _back(at)
            while self._groups and self._groups[0].at < start:
                self._groups.popleft()
            self._groups.append(_Group(at))
        group = self._groups[-1]
        group.count += 1
        group.total += _hash(label)

    def _count(self) -> int:
        return sum(group.count for group in self._groups)

    def _total(self) -> int:
        return sum(group.total for group in self._groups)


def _read(mark: str) -> _Group | None:
    try:
        at, count, total = json.loads(mark)
    except ValueError:
        return None
    return _Group(at, count, total)


def _back(at: str) -> str:
    return moment(datetime.fromisoformat(at) - BACK) if at else ""


def _hash(label: Label) -> int:
    return zlib.crc32(f"{label.by} {label.name} {label.at} {label.truth}".encode("utf-8", "surrogatepass"))
