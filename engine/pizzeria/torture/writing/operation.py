"""One small thing that is written, and how its content is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Operation:
    """Something that is written.

    Its folder is `folder`; the store lies in `folder/runs`, caches in `folder/cache`.

    Attributes:
        name: For people, such as `ledger entry`.
        prepare: Makes what is there before.
        act: Writes.
        state: What is there, read whole as whoever uses it does: one text before `act`, and another one after it.
            Raises when it is neither readable nor absent.
        database: Whether SQLite writes, which decides itself what must be on disk when.
        imports: Modules that take long to import.
    """

    name: str
    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    state: Callable[[Path], str]
    database: bool = False
    imports: tuple[str, ...] = ()


_MODULES = ("states", "files", "records", "training")


def operations() -> dict[str, Operation]:
    """All of them by name, the quick ones first."""
    found = [one for name in _MODULES for one in import_module(f"{__package__}.{name}").OPERATIONS]
    return {one.name: one for one in found}
