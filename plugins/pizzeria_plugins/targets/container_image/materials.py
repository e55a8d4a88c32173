"""What an image is made of: a lock, the list of its packages, and the programs that run inside."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from pizzeria.contracts import Release
from pizzeria.sbom.bills import image_bill
from pizzeria.sbom.model import plain_model
from pizzeria.sbom.packages import Platform, Python, locked, own
from pizzeria.shipment import log_lock

EPOCH = 315532800
"""1 January 1980 in UTC: the time of every file in the image, the earliest that a zip can say."""

TOOLS = """\
# What builds the one package of the lock that has no wheel; it stays in the build stage.
setuptools==84.2.1 --hash=sha256:ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2
"""

PROGRAMS = ("front.py", "furnish.py", "healthy.py")


def lock_of(release: Release) -> str:
    """The lock that the service of a release needs."""
    return f"serve{log_lock(release)}"


@cache
def program(name: str) -> str:
    """The text of a program that runs inside, one of `PROGRAMS`."""
    return (Path(__file__).parent / "inside" / name).read_text()


def pins(lock: str, python: Python = "3.11", platform: Platform = "linux/amd64") -> tuple[tuple[str, str], ...]:
    """Name and version of each package that pip installs by a lock, on one Python and platform.

    Example:
        >>> versions = dict(pins("serve"))
        >>> "onnxruntime" in versions, "torch" in versions, "pycparser" in versions
        (True, False, False)
    """
    return tuple((one.name, one.version) for one in locked(lock, python, platform))


def package_list(lock: str, python: Python, platform: Platform) -> str:
    """What is installed in an image, with Pizzeria itself: a line `name==version` each."""
    return "".join(f"{one.name}=={one.version}\n" for one in (own(), *locked(lock, python, platform)))


def bill_of_materials(release: Release, lock: str, python: Python, platform: Platform) -> str:
    """The Python packages of an image and its model, as CycloneDX; those of the base image are the base's to list.

    Example:
        >>> import json
        >>> from pizzeria.spec.stages import Serving
        >>> release = Release("rooms", Path("b"), "ab", Serving(), None, Path("/l"), Path("/s"))
        >>> bill = json.loads(bill_of_materials(release, "serve", "3.11", "linux/amd64"))
        >>> [one["type"] for one in bill["components"]][:2], bill["components"][2]["purl"]
        (['machine-learning-model', 'library'], 'pkg:pypi/a2wsgi@1.10.10')
    """
    return _bill(release.name, release.sha256, lock, python, platform)


@cache
def _bill(name: str, sha256: str, lock: str, python: Python, platform: Platform) -> str:
    return image_bill(name, plain_model(name, sha256), locked(lock, python, platform))


def content_sha256(text: str) -> str:
    """sha256 of a text as a file holds it."""
    return hashlib.sha256(text.encode()).hexdigest()
