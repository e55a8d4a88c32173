"""What a trial is: a module with a name, a promise, and `run`, which tries to break it.

A trial module has

    PROMISE: str                  what holds, in words that a user understands
    run(bench, tally) -> None     tries, and tells the tally of each try

It works in `bench.folder` alone, ends whatever it started, and does less when `bench.short` (about 20 s of one core).
An exception that leaves `run` is a promise broken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pizzeria.torture.bench import Bench


@dataclass
class Tally:
    """What was tried of one promise, and what held.

    Attributes:
        tried, held: Tries.
        broken: Of those that did not hold, what was done and what came of it.
        left_out: What could not be tried on this machine, and what it takes.
        figures: What was measured on the way, by name with its unit, such as `slowest refusal, s`.

    Example:
        >>> tally = Tally()
        >>> tally.note("flip byte 7 of manifest.json")
        >>> tally.note("flip byte 9 of model.onnx", "opened without a word")
        >>> tally.held, tally.tried, tally.broken
        (1, 2, ['flip byte 9 of model.onnx: opened without a word'])
    """

    tried: int = 0
    held: int = 0
    broken: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def note(self, what: str, problem: str = "") -> None:
        """Count one try.

        Args:
            what: What was done, so that somebody can do it again.
            problem: How the promise was broken; empty when it held.
        """
        self.tried += 1
        if problem:
            self.broken.append(f"{what}: {problem}")
        else:
            self.held += 1

    def leave_out(self, what: str, why: str) -> None:
        """Say that something cannot be tried here, and what it takes."""
        self.left_out.append(f"{what}: {why}")


class Trial(Protocol):
    """A trial module."""

    PROMISE: str

    def run(self, bench: Bench, tally: Tally) -> None: ...
