"""Reads a Pascal VOC XML of one photo, and says on which line a malformed one is wrong.

Entities are refused before they are expanded: a file of 1 kB could ask for gigabytes, or for a file of this machine.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from xml.sax import SAXException, SAXParseException  # nosec B406  # names of classes; defusedxml parses
from xml.sax.handler import ContentHandler  # nosec B406  # names of classes; defusedxml parses
from xml.sax.xmlreader import AttributesImpl, InputSource, Locator  # nosec B406  # names of classes; defusedxml parses

from pizzeria.errors import DataError
from pizzeria_plugins.sources.plain_numbers import number
from pizzeria_plugins.sources.text_file import read_text

_MOST_BYTES = 16_000_000
_MOST_DEPTH = 50
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = ("difficult", "truncated", "occluded")
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", "unspecified", "")
_Values = dict[str, tuple[str, int]]


class VocObject(NamedTuple):
    """One object: its class, its corners as the file has them, its flags, and the line where it begins."""

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool
    truncated: bool
    occluded: bool
    line: int


class VocFile(NamedTuple):
    """What an XML says of a photo.

    Attributes:
        filename: Name of the photo, empty where it has none, with the line where it stands.
        size: Width and height in pixels; (0, 0) where it has none.
        objects: In the file's order.
        guessed: The encoding that it was read in, where it is not what the file says; else empty.
    """

    filename: tuple[str, int]
    size: tuple[int, int]
    objects: tuple[VocObject, ...]
    guessed: str


def read_voc(path: Path) -> VocFile:
    """Read and check one file; boxes with no extent, or outside, are left to `pizzeria.intake`.

    Raises:
        DataError: with the file and the line that is wrong.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.sax import make_parser

    text, encoding = _text(path)
    source = InputSource()
    source.setEncoding("utf-8")
    source.setByteStream(BytesIO(text.lstrip("\ufeff").encode("utf-8", errors="replace")))
    reader = _Reader(path)
    parser = make_parser()
    parser.setContentHandler(reader)
    try:
        parser.parse(source)
    except DefusedXmlException as error:
        kind = type(error).__name__.removesuffix("Forbidden")
        raise DataError(
            f"{path}:{parser.getLineNumber() or 1}: declares or refers to {_KINDS.get(kind, kind)}, which is not read",
            hint="write the text itself in its place",
        ) from None
    except SAXParseException as error:
        raise DataError(
            f"{path}:{error.getLineNumber()}: not XML: {error.getMessage()}", hint="the file may be cut off"
        ) from None
    except SAXException as error:
        raise DataError(f"{path}: not XML: {error.getMessage()}") from None
    return VocFile(reader.filename, reader.size(), tuple(reader.objects), encoding)


def _text(path: Path) -> tuple[str, str]:
    """The text, and the encoding that was guessed because the file says none, or not its own."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(400)
            size = stream.seek(0, 2)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if size > _MOST_BYTES:
        raise DataError(f"{path} has {size:,} bytes, too many for the objects of one photo")
    if not start.strip():
        raise DataError(f"{path} is empty", hint="a photo without objects has an <annotation> without <object>")
    declared = _DECLARED.search(start)
    if declared is not None and declared[1].lower() not in (b"utf-8", b"utf8"):
        try:
            return read_text(path, declared[1].decode())[0], ""
        except DataError:
            pass
    text, encoding = read_text(path)
    return text, "" if encoding in ("utf-8", "utf-16") else encoding


_KINDS = {"Entities": "an entity", "DTD": "a document type", "ExternalReference": "another file"}


class _Reader(ContentHandler):
    """Collects the texts that matter, with their lines; `part` of an object and what else tools add is passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.filename = ("", 0)
        self.objects: list[VocObject] = []
        self._size: _Values = {}
        self._object: _Values = {}
        self._open: list[str] = []
        self._lines: list[int] = []
        self._text: list[str] = []
        self._at: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:
        self._at = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        assert self._at is not None
        line = int(self._at.getLineNumber() or 0)
        if not self._open and name != "annotation":
            raise self._fault(line, f"begins with <{name}>, and is no Pascal VOC annotation", "it begins: <annotation>")
        if len(self._open) >= _MOST_DEPTH:
            raise self._fault(line, f"is nested more than {_MOST_DEPTH} deep", "an annotation is 4 deep")
        self._open.append(name)
        self._lines.append(line)
        self._text = []
        if self._open == ["annotation", "object"]:
            self._object = {}

    def characters(self, content: str) -> None:
        self._text.append(content)

    def endElement(self, name: str) -> None:
        found = ("".join(self._text).strip(), self._lines[-1])
        match self._open:
            case ["annotation", "filename"]:
                self.filename = found
            case ["annotation", "size", "width" | "height" as side]:
                self._size[side] = found
            case ["annotation", "object", key] if key not in ("bndbox", "part"):
                self._object[key] = found
            case ["annotation", "object", "bndbox", key]:
                self._object[f"bndbox/{key}"] = found
        if self._open == ["annotation", "object"]:
            self.objects.append(self._finished(self._lines[-1]))
        self._open.pop()
        self._lines.pop()
        self._text = []

    def size(self) -> tuple[int, int]:
        """What `size` says; (0, 0) where it says nothing, as some tools write."""
        sides = []
        for side in ("width", "height"):
            text, line = self._size.get(side, ("0", 0))
            value = number(text or "0")
            if value is None or value < 0:
                raise self._fault(line, f"{side} is {text!r}, not a number of pixels")
            sides.append(round(value))
        return (sides[0], sides[1]) if all(sides) else (0, 0)

    def _finished(self, line: int) -> VocObject:
        name = self._object.get("name", ("", 0))[0]
        if not name:
            raise self._fault(line, "the object has no name", "each <object> needs a <name>, its class")
        corners: list[float] = []
        for corner in _CORNERS:
            if f"bndbox/{corner}" not in self._object:
                hint = (
                    "rotated boxes and polygons are not read: export upright boxes"
                    if "bndbox/xmin" not in (self._object)
                    else ""
                )
                raise self._fault(line, f"the object {name!r} has no bndbox with {corner}", hint)
            text, at = self._object[f"bndbox/{corner}"]
            value = number(text)
            if value is None:
                raise self._fault(at, f"{corner} is {text!r}, not a number")
            corners.append(value)
        flags: list[bool] = []
        for flag in _FLAGS:
            text, at = self._object.get(flag, ("", line))
            if text.lower() not in (*_YES, *_NO):
                raise self._fault(at, f"{flag} is {text!r}, neither 0 nor 1")
            flags.append(text.lower() in _YES)
        xmin, ymin, xmax, ymax = corners
        difficult, truncated, occluded = flags
        return VocObject(name, xmin, ymin, xmax, ymax, difficult, truncated, occluded, line)

    def _fault(self, line: int, message: str, hint: str = "") -> DataError:
        return DataError(f"{self.path}:{line}: {message}", hint=hint)
