"""Labels of CVAT, exported as "CVAT for images 1.1": XML with boxes, and with tags for whole photos."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from xml.sax import ContentHandler, SAXException, SAXParseException  # nosec B406  # names of classes; defusedxml parses

from pizzeria.errors import DataError
from pizzeria.inference.truth import FORMS
from pizzeria.labels.reading.said import Read, Said, box_in, photo_keys, turned

_SHAPES = ("polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton")


def read(path: Path, task: str) -> Read:
    """One label for each image with boxes or tags; images without one are `empty`.

    Raises:
        DataError: the file is no such export; says in which line.
    """
    if FORMS[task] == ("value",):
        raise DataError(f"{path} is CVAT's, which has no label for {task}", hint="give a CSV with prediction_id")
    from defusedxml import DefusedXmlException
    from defusedxml.sax import make_parser

    handler = _Images(path, task)
    parser = make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(handler)
    try:
        with open(path, "rb") as stream:
            parser.parse(stream)
    except SAXParseException as error:
        raise DataError(f"{path}:{error.getLineNumber()}: no XML: {error.getMessage()}") from None
    except DefusedXmlException as error:
        raise DataError(f"{path} holds a document type or entities, which no export has: {error}") from None
    except (SAXException, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    return handler.read()


class _Images(ContentHandler):
    """Gathers the images of an export."""

    def __init__(self, path: Path, task: str) -> None:
        super().__init__()
        self._path, self._task = path, task
        self._out = Read()
        self._image: Mapping[str, str] | None = None
        self._where = ""
        self._boxes: list[dict[str, Any]] = []
        self._tags: list[str] = []
        self._elements = 0

    def read(self) -> Read:
        """What was found."""
        return self._out

    def startElement(self, name: str, attrs: Any) -> None:
        self._elements += 1
        found = dict(attrs.items())
        if self._elements == 1 and name != "annotations":
            raise self._fault(f"<{name}> where <annotations> begins", 'export as "CVAT for images 1.1"')
        if name == "image":
            if not found.get("name"):
                raise self._fault("an image without a name")
            self._image, self._where, self._boxes, self._tags = found, self._here(), [], []
        elif self._image is None:
            if name == "track":
                raise self._fault("a track of a video", 'export as "CVAT for images 1.1"')
        elif name == "box":
            self._boxes.append(self._box(found))
        elif name == "tag":
            self._tags.append(found.get("label", ""))
        elif name in _SHAPES:
            raise self._fault(f"a {name}, which is no box", "draw rectangles, or label whole photos with tags")

    def endElement(self, name: str) -> None:
        if name != "image" or self._image is None:
            return
        said = Said(self._where, photo_keys(self._image["name"]), self._truth(), source="CVAT")
        (self._out.said if self._boxes or self._tags else self._out.empty).append(said)
        self._image = None

    def _truth(self) -> dict[str, Any]:
        forms = FORMS[self._task]
        if forms == ("class",):
            if len(self._tags) > 1:
                tags = ", ".join(self._tags)
                raise DataError(f"{self._where}: {len(self._tags)} tags: {tags}", hint="a photo has one class here")
            return {"class": self._tags[0]} if self._tags else {}
        if "boxes" in forms and (self._boxes or not self._tags):
            names = [*self._tags, *(box["class"] for box in self._boxes)]
            return {"boxes": self._boxes, **({"classes": names} if self._tags else {})}
        return {"classes": [*self._tags, *(box["class"] for box in self._boxes)]}

    def _box(self, found: Mapping[str, str]) -> dict[str, Any]:
        assert self._image is not None
        left, top, right, bottom = (self._number(found, key) for key in ("xtl", "ytl", "xbr", "ybr"))
        turn = self._number(found, "rotation") if found.get("rotation") else 0.0
        corners = turned(left, top, right - left, bottom - top, turn, about="centre")
        size = [self._number(self._image, side) if self._image.get(side) else None for side in ("width", "height")]
        return {"class": found.get("label", ""), **box_in(*corners, size=size)}

    def _number(self, found: Mapping[str, str], key: str) -> float:
        try:
            number = float(found[key])
        except (KeyError, ValueError):
            number = float("nan")
        if not isfinite(number):
            raise self._fault(f"{key} is {found.get(key)!r}", "a number of pixels")
        return number

    def _here(self) -> str:
        # defusedxml's parser is its own locator.
        return f"{self._path}:{self._locator.getLineNumber()}"  # type: ignore[attr-defined]

    def _fault(self, message: str, hint: str = "") -> DataError:
        return DataError(f"{self._here()}: {message}", hint=hint)
