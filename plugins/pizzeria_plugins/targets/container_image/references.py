"""References to images, as all registries take them."""

from __future__ import annotations

import re

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?"
_REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?P<digest>@sha256:[0-9a-f]{{64}})?"
)
_LONGEST = 255


def checked_reference(text: str) -> str:
    """The reference itself.

    Raises:
        ValueError: it is none; says what to write.

    Example:
        >>> checked_reference("registry.example.com:5000/kitchen/python:3.11-slim")
        'registry.example.com:5000/kitchen/python:3.11-slim'
    """
    if len(text) > _LONGEST or not _REFERENCE.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is no reference to an image; write name:tag, registry.example.com/name:tag or "
            "name@sha256:..., in lower case"
        )
    return text


def checked_image(text: str) -> str:
    """The name of an image that is to be built: a reference without a digest.

    Raises:
        ValueError: it is none.
    """
    if "@" in checked_reference(text):
        raise ValueError(f"{text[:80]!r} has a digest, which an image gets when it is built; write name or name:tag")
    return text


def tagged(image: str | None, name: str, sha256: str) -> str:
    """The reference of the image of a release: as given, with the model's sha256 as its tag where it has none.

    Example:
        >>> tagged(None, "rooms_of_a_house", "ab" * 32), tagged("kitchen/rooms:7", "rooms", "ab" * 32)
        ('pizzeria/rooms-of-a-house:abababababab', 'kitchen/rooms:7')
    """
    image = image or "pizzeria/" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    found = _REFERENCE.fullmatch(image)
    return image if found is not None and found["tag"] else f"{image}:{sha256[:12]}"


def for_monitor(image: str) -> str:
    """The image that watches beside an image.

    Example:
        >>> for_monitor("localhost:5000/rooms:7")
        'localhost:5000/rooms-monitor:7'
    """
    name, _, tag = image.rpartition(":")
    return f"{name}-monitor:{tag}"
