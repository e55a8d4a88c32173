"""What an image is made of: a lock, the list of its packages, and the programs that run inside."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from pizzeria.contracts import Release
from pizzeria.shipment import log_lock, read_lock, wheel_name

Platform = Literal["linux/amd64", "linux/arm64"]
Python = Literal["3.11", "3.12"]

EPOCH = 315532800
"""1 January 1980 in UTC: the time of every file in the image, the earliest that a zip can say."""

TOOLS = """\
# What builds the one package of the lock that has no wheel; it stays in the build stage.
setuptools==84.2.1 --hash=sha256:ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2
"""

PROGRAMS = ("front.py", "furnish.py", "healthy.py")

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$", re.MULTILINE)


def lock_of(release: Release) -> str:
    """The lock that the service of a release needs."""
    return f"serve{log_lock(release)}"


@cache
def program(name: str) -> str:
    """The text of a program that runs inside, one of `PROGRAMS`."""
    return (Path(__file__).parent / "inside" / name).read_text()


@cache
def pins(lock: str, python: Python = "3.11", platform: Platform = "linux/amd64") -> tuple[tuple[str, str], ...]:
    """Name and version of each package that pip installs by a lock, on one Python and platform.

    Example:
        >>> versions = dict(pins("serve"))
        >>> "onnxruntime" in versions, "torch" in versions, "pycparser" in versions
        (True, False, False)
    """
    return tuple(_pins(read_lock(lock), python, platform))


def _pins(text: str, python: str, platform: str) -> Iterator[tuple[str, str]]:
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
    for name, version, marker in _PIN.findall(text):
        if not marker or Marker(marker).evaluate(place):
            yield name, version


def package_list(lock: str, python: Python, platform: Platform) -> str:
    """What is installed in an image, with Pizzeria itself: a line `name==version` each."""
    return "".join(f"{name}=={version}\n" for name, version in _with_own(lock, python, platform))


def _with_own(lock: str, python: Python, platform: Platform) -> list[tuple[str, str]]:
    return [("pizzeria", wheel_name().split("-")[1]), *pins(lock, python, platform)]


def bill_of_materials(release: Release, lock: str, python: Python, platform: Platform) -> str:
    """The Python packages of an image and its model, as CycloneDX 1.5; those of the base image are the base's to list.

    Example:
        >>> from pizzeria.spec.stages import Serving
        >>> release = Release("rooms", Path("b"), "ab", Serving(), None, Path("/l"), Path("/s"))
        >>> bill = json.loads(bill_of_materials(release, "serve", "3.11", "linux/amd64"))
        >>> [one["type"] for one in bill["components"]][:2], bill["components"][2]["purl"]
        (['machine-learning-model', 'library'], 'pkg:pypi/a2wsgi@1.10.10')
    """
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": release.name,
        "hashes": [{"alg": "SHA-256", "content": release.sha256}],
    }
    libraries = [_library(name, version) for name, version in _with_own(lock, python, platform)]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": release.name, "version": release.sha256[:12]}},
        "components": [model, *libraries],
    }
    return json.dumps(bill, indent=1) + "\n"


def content_sha256(text: str) -> str:
    """sha256 of a text as a file holds it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _library(name: str, version: str) -> dict[str, str]:
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
