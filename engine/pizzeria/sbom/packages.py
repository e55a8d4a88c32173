"""What pip installs by a lock, on one Python and platform."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pizzeria.shipment import read_lock, wheel_name
from pizzeria.shipment.locks import LICENCES

Platform = Literal["linux/amd64", "linux/arm64"]
Python = Literal["3.11", "3.12"]

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\?$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Package:
    """A package of a lock.

    Attributes:
        hashes: sha256 in hex of every file of that version that pip may install, in order.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    @property
    def purl(self) -> str:
        """Its name among all packages of the world.

        Example:
            >>> Package("Ruamel.Yaml", "0.18").purl
            'pkg:pypi/ruamel-yaml@0.18'
        """
        return f"pkg:pypi/{plain(self.name)}@{self.version}"


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def locked(lock: str, python: Python = "3.11", platform: Platform = "linux/amd64") -> tuple[Package, ...]:
    """The packages of a lock, in its order.

    Raises:
        KeyError: there is no such lock.

    Example:
        >>> found = {one.name: one for one in locked("serve")}
        >>> "onnxruntime" in found, "torch" in found, "pycparser" in found, len(found["msgspec"].hashes) > 10
        (True, False, False, True)
    """
    return tuple(_of(read_lock(lock), python, platform))


def own() -> Package:
    """Pizzeria itself; which wheel it is, is told by whoever builds one."""
    return Package("pizzeria", wheel_name().split("-")[1])


def component(package: Package) -> dict[str, Any]:
    """A package as CycloneDX has it.

    Example:
        >>> component(Package("a2wsgi", "1.10.10"))["purl"]
        'pkg:pypi/a2wsgi@1.10.10'
    """
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    if package.hashes:
        found["hashes"] = [{"alg": "SHA-256", "content": sha} for sha in package.hashes]
    licences = _licences().get(f"{plain(package.name)}=={package.version}")
    if licences:
        found["licenses"] = licences
    return found


@cache
def _licences() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(LICENCES.read_text())
    return found


def _of(text: str, python: str, platform: str) -> Iterator[Package]:
    from packaging.markers import Marker

    place = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": _MACHINES[platform],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    pins = list(_PIN.finditer(text))
    ends = [*(pin.start() for pin in pins[1:]), len(text)]
    for pin, end in zip(pins, ends, strict=True):
        name, version, marker = pin.groups()
        if not marker or Marker(marker).evaluate(place):
            yield Package(name, version, tuple(_HASH.findall(text, pin.end(), end)))
