"""Environment variables that a user gives a function: their names and values, checked before anything is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MOST = 8_000
"""Characters of one value; every provider takes so many."""


def check_name(name: str) -> None:
    """Refuse what is no name of an environment variable, or one that Pizzeria sets itself.

    Example:
        >>> check_name("A=B")
        Traceback (most recent call last):
        ValueError: 'A=B' is no name of an environment variable; write letters, digits and _, such as LOG_LEVEL
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} is no name of an environment variable; write letters, digits and _, such as LOG_LEVEL"
        )
    if name.startswith("PIZZERIA_"):
        raise ValueError(f"{name!r} is one of those that Pizzeria sets itself; choose a name without PIZZERIA_")


def _checked(variables: Mapping[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        check_name(name)
        if not value.isprintable() or len(value) > _MOST:
            raise ValueError(
                f"the value of {name} is longer than {_MOST} characters, or has line breaks or other control "
                "characters; write one line of text"
            )
    return dict(variables)


def check_reserved(names: Iterable[str], reserved: re.Pattern[str], whose: str) -> None:
    """Refuse names that a provider keeps for itself.

    Raises:
        ValueError: names the first one.
    """
    for name in names:
        if reserved.fullmatch(name):
            raise ValueError(f"{name!r} is one of those that {whose} sets itself; choose another name")


Variables = Annotated[dict[str, str], AfterValidator(_checked)]
"""Plain variables: {NAME: value}."""
