"""The licences of all packages of the shipped locks, so far as those that are installed here say them.

`python -m pizzeria.sbom.licences` writes the table anew; `make lock` asks for it.
"""

from __future__ import annotations

import json
from importlib.metadata import Distribution, PackageMetadata, PackageNotFoundError, distribution
from typing import Any

from pizzeria import atomic
from pizzeria.sbom.packages import Python, locked, plain
from pizzeria.shipment.locks import LICENCES, LOCKS

_LONGEST = 80
"""A longer text is a whole licence, and no name of one."""
_LEAD, _NONE = "License :: ", "OSI Approved"
_PYTHONS: tuple[Python, ...] = ("3.11", "3.12")


def table() -> dict[str, list[dict[str, Any]]]:
    """By `name==version`, what CycloneDX takes for licences; packages that say none, or are not here, are left out."""
    found = {}
    for package in {one for lock in LOCKS for python in _PYTHONS for one in locked(lock, python)}:
        try:
            there = distribution(package.name)
        except PackageNotFoundError:
            continue
        licences = licences_of(there)
        if there.version == package.version and licences:
            found[f"{plain(package.name)}=={package.version}"] = licences
    return dict(sorted(found.items()))


def licences_of(package: Distribution) -> list[dict[str, Any]]:
    """What an installed package says: an SPDX expression, or the names of licences."""
    says = package.metadata
    if expression := _field(says, "License-Expression"):
        return [{"expression": expression}]
    names = [text.rsplit(" :: ", 1)[-1] for text in says.get_all("Classifier") or () if text.startswith(_LEAD)]
    names = [name for name in names if name != _NONE]
    free = _field(says, "License")
    if not names and 0 < len(free) <= _LONGEST and "\n" not in free:
        names = [free]
    return [{"license": {"name": name}} for name in names]


def _field(says: PackageMetadata, name: str) -> str:
    """Empty where it is missing, which `says[name]` warns of from Python 3.12 on."""
    return str((says.get_all(name) or [""])[0]).strip()


if __name__ == "__main__":
    locked_here = {f"{plain(one.name)}=={one.version}" for lock in LOCKS for py in _PYTHONS for one in locked(lock, py)}
    kept = {name: said for name, said in json.loads(LICENCES.read_text()).items() if name in locked_here}
    atomic.write_json(LICENCES, dict(sorted((kept | table()).items())))  # what the other Python has stays
