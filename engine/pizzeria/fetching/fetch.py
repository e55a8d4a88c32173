"""Brings what lies at an address here, and says when it changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria.errors import DataError
from pizzeria.fetching.address import as_path, is_remote, split_pin

if TYPE_CHECKING:
    from pizzeria.contracts import Progress


def local(address: str | Path, progress: Progress | None = None) -> Path:
    """The file or folder here. A path comes back as it is, whether anything lies there or not.

    Raises:
        DataError: nothing lies at the address, it cannot be asked, or the content is not what it should be.
    """
    if is_remote(address):
        raise DataError(f"{address} cannot be fetched yet")
    return as_path(split_pin(address)[0])


def state(address: str | Path) -> Path | str:
    """What a source's `inputs` return for an address: the path itself, or a text that changes whenever the data do.

    Raises:
        DataError: as for `local`.
    """
    if is_remote(address):
        raise DataError(f"{address} cannot be fetched yet")
    return as_path(split_pin(address)[0])
