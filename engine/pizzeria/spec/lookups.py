"""Look-ups in a spec, `${training.seed}`: what they may say, and how much they would write out.

OmegaConf would call resolvers (`${oc.env:TOKEN}`), build their names out of other values, and follow thirty lines that
each look the next one up twice for a thousand years. So a look-up is a plain name here, and what all of them write out
is counted before any is followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RESOLVERS = frozenset({"oc.select"})
"""Look-ups that may call something; plain `${training.seed}` is always allowed."""
MAX_LOOKUPS = 200
"""Written in one file, and followed in all, each one counted as often as it would be followed."""
MAX_CHARACTERS = 1_000_000
"""Of all texts together, once written out."""

_OPEN = re.compile(r"\$\{")
_WHOLE = re.compile(r"\$\{([^${}]*)\}")
_KEY = re.compile(r"[\w\-.\[\]]+")
YamlPath = tuple[str | int, ...]


class LookupFault(Exception):
    """A look-up that cannot be followed, by the path where it stands."""

    def __init__(self, path: YamlPath, message: str, hint: str) -> None:
        super().__init__(message)
        self.path, self.message, self.hint = path, message, hint


def fault_in(text: str) -> tuple[str, str] | None:
    """What is wrong with the look-ups in a text, and what to write instead; None when nothing is.

    Example:
        >>> fault_in("${training.seed} and ${oc.select:data.path}")
        >>> fault_in("${oc.env:HOME}")[0]
        "the resolver 'oc.env' is not allowed"
        >>> fault_in("${oc.${which}:HOME}")[0]
        'a look-up within a look-up is not allowed'
    """
    whole = {match.start(): match.group(1) for match in _WHOLE.finditer(text)}
    for match in _OPEN.finditer(text):
        inside = whole.get(match.start())
        if inside is None:
            rest = text[match.end() :]
            if "${" in rest and "}" not in rest[: rest.index("${")]:
                return "a look-up within a look-up is not allowed", "write the name itself: ${section.key}"
            return "a look-up is not closed, or has braces or $ in it", "write ${section.key}"
        name, colon, _ = inside.partition(":")
        if colon and name.strip() not in RESOLVERS:
            return f"the resolver {name.strip()!r} is not allowed", (
                f"only {', '.join(sorted(RESOLVERS))} may be used; pass such values on the command line"
            )
        if not _KEY.fullmatch(_key(inside)):
            return f"{inside!r} cannot be looked up", "write ${section.key}"
    return None


@dataclass(frozen=True)
class _Size:
    lookups: int = 0
    values: int = 1
    characters: int = 0

    def __add__(self, other: _Size) -> _Size:
        return _Size(self.lookups + other.lookups, self.values + other.values, self.characters + other.characters)


@dataclass
class _Counting:
    data: Mapping[str, Any]
    most_values: int
    sizes: dict[YamlPath, _Size] = field(default_factory=dict)
    under_way: set[YamlPath] = field(default_factory=set)

    def size(self, path: YamlPath, value: Any) -> _Size:
        """Of a value with all of its look-ups written out; each path is counted once, however often it is looked up."""
        if path in self.sizes:
            return self.sizes[path]
        if path in self.under_way:
            raise LookupFault(path, "it is looked up from within itself", "write the value out in one of the places")
        self.under_way.add(path)
        size = _Size()
        if isinstance(value, Mapping):
            for name, item in value.items():
                size += self.size((*path, name), item)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                size += self.size((*path, i), item)
        elif isinstance(value, str):
            size += _Size(0, 0, len(value))
            for inside in _WHOLE.findall(value):
                size += _Size(1, 0) + self._target(path, _key(inside))
        self.under_way.discard(path)
        if size.lookups > MAX_LOOKUPS:
            raise LookupFault(path, f"more than {MAX_LOOKUPS} look-ups would be followed", "write the values out")
        if size.values > self.most_values or size.characters > MAX_CHARACTERS:
            message = f"more than {self.most_values:,} values or {MAX_CHARACTERS:,} characters, look-ups written out"
            raise LookupFault(path, message, "write less, or split it")
        self.sizes[path] = size
        return size

    def _target(self, path: YamlPath, key: str) -> _Size:
        dots = len(key) - len(key.lstrip("."))
        base = path[: len(path) - dots] if dots else ()
        value, target = _at(self.data, base), base
        for part in re.split(r"[.\[\]]+", key.strip(".]")):
            place = _place(value, part.strip())
            if place is not None:
                value, target = value[place], (*target, place)
            elif isinstance(value, str) and "${" in value:  # what it leads to is looked into in turn
                return self.size(target, value)
            else:
                return _Size()  # there is none, as OmegaConf will say
        return self.size(target, value)


def count(data: Mapping[str, Any], most_values: int) -> None:
    """See that all look-ups of a composed spec can be followed, before any of them is.

    Args:
        data: As composed, with no look-up followed.
        most_values: That it may have once they are.

    Raises:
        LookupFault: names the one that leads back to itself, or where it grows too great.

    Example:
        >>> count({"a": "${b.c}", "b": {"c": 3}}, 10)
        >>> count({"a": "${b}", "b": "${a}"}, 10)
        Traceback (most recent call last):
        pizzeria.spec.lookups.LookupFault: it is looked up from within itself
    """
    _Counting(data, most_values).size((), data)


def _key(inside: str) -> str:
    """What is looked up; `oc.select` may have a default behind a comma."""
    name, colon, rest = inside.partition(":")
    return rest.partition(",")[0].strip() if colon and name.strip() in RESOLVERS else inside.strip()


def _place(value: Any, part: str) -> str | int | None:
    """The key or index below a value that a part of a name means; None where there is none."""
    number = int(part) if re.fullmatch(r"-?[0-9]{1,9}", part) else None
    if isinstance(value, Mapping):
        return part if part in value else number if number in value else None
    if isinstance(value, list) and number is not None and -len(value) <= number < len(value):
        return number % len(value)
    return None


def _at(data: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        data = data[part]
    return data
