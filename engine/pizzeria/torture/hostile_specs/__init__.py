"""Hostile specs by families: each draws one that differs from a good spec in a single thing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

SECRET_NAME = "PIZZERIA_PLANTED_WORD"  # noqa: S105 - its name
"""Environment variable that holds a secret while specs are read; its name says nothing, or messages would hide it."""
SECRET_FILE = "secret.yaml"  # noqa: S105 - its name
"""File with the same secret, beside the spec and above it."""
CANARY = "pizzeria_canary"
"""Module on the path whose import leaves a file."""
SLOTS = ("need", "owner", "input", "output")
"""Keys of `problem` that take any text."""


@dataclass(frozen=True)
class Hostile:
    """One spec, as a file and what stands beside it on the command line.

    Attributes:
        family: What kind of attack it is.
        what: The attack, so that somebody can do it again.
        content: Of the file.
        arguments: Overrides.
        line: Where a refusal must say that the fault is; 0 when the file alone will do, or the command line.
        typed: What must come out, by dotted path, for one that is harmless and only looks hostile; None when it is to
            be refused.
    """

    family: str
    what: str
    content: bytes
    arguments: tuple[str, ...] = ()
    line: int = 0
    typed: dict[str, Any] | None = field(default=None)


Family = Callable[[random.Random, str], Hostile]
"""Draws one from a good spec's text."""


def draw(chance: random.Random, good: str, count: int) -> list[Hostile]:
    """So many specs, each family as often as any other."""
    from pizzeria.torture.hostile_specs import bombs, code, lookups, overrides, texts, words

    families: Sequence[Family] = [
        family for module in (bombs, code, lookups, overrides, texts, words) for family in module.FAMILIES
    ]
    return [families[i % len(families)](chance, good) for i in range(count)]


def said(good: str, slot: str, yaml: str) -> tuple[bytes, int]:
    """The good spec with something else behind a key of `problem`, and the line of that."""
    lines = good.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(f"  {slot}:"))
    lines[at] = f"  {slot}: {yaml}"
    return "\n".join(lines).encode("utf-8", "surrogatepass"), at + 1


def added(good: str, yaml: str) -> tuple[bytes, int]:
    """The good spec with lines at its end, and the line of the first."""
    return (good + yaml).encode("utf-8", "surrogatepass"), good.count("\n") + 1
