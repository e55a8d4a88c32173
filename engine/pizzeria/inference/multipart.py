"""Reads multipart/form-data bodies that are already in memory, with the python-multipart library."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from pizzeria.errors import RequestError

# What is wrong with a form is told to the client; in a log it would let strangers fill the disk.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MAX_PARTS = 256
_HINT = "send multipart/form-data as a browser or `curl -F` does"


@dataclass
class Part:
    """One part of a form.

    Attributes:
        name: The field's name.
        filename: The last component of the file's name; None for a plain field.
        data: The content.
    """

    name: str
    filename: str | None
    data: bytes

    def text(self) -> str:
        """A plain field as text.

        Raises:
            RequestError: 400, not UTF-8.
        """
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError:
            raise RequestError(400, "bad_multipart", f"the field {self.name!r} is not UTF-8", hint=_HINT) from None


@dataclass
class _Reader:
    """Collects what the parser calls back."""

    parts: list[Part] = field(default_factory=list)
    complete: bool = False
    _headers: dict[str, bytes] = field(default_factory=dict)
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _data: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise RequestError(413, "too_many_parts", f"the form has more than {MAX_PARTS} parts", hint="send fewer")
        self._headers = {}
        self._data = bytearray()

    def _header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        encoding = self._headers.get("content-transfer-encoding", b"binary").strip().lower()
        if encoding not in (b"binary", b"8bit", b"7bit"):
            raise RequestError(400, "bad_multipart", f"a part is encoded as {encoding.decode('latin-1')}", hint=_HINT)
        disposition, options = parse_options_header(self._headers.get("content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise RequestError(400, "bad_multipart", "a part has no form-data name", hint=_HINT)
        filename = options.get(b"filename")
        self.parts.append(
            Part(
                name=options[b"name"].decode("utf-8", "replace"),
                filename=None if filename is None else base_name(filename.decode("utf-8", "replace")),
                data=bytes(self._data),
            )
        )

    def _finish(self) -> None:
        self.complete = True


def read_parts(content_type: str, body: bytes) -> list[Part]:
    """All parts of a form, in their order.

    Args:
        content_type: The request's header, with the boundary.
        body: The whole body.

    Raises:
        RequestError: 400 malformed or cut off; 413 more than 256 parts; 415 this service has no python-multipart.

    Example:
        >>> body = b'--x\\r\\nContent-Disposition: form-data; name="declared"\\r\\n\\r\\nbed\\r\\n--x--\\r\\n'
        >>> read_parts("multipart/form-data; boundary=x", body)
        [Part(name='declared', filename=None, data=b'bed')]
    """
    try:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header
    except ImportError:
        raise RequestError(
            415, "no_multipart", "this service reads no forms", hint="send one photo as the raw body"
        ) from None
    boundary = parse_options_header(content_type.encode("latin-1", "replace"))[1].get(b"boundary")
    if not boundary:
        raise RequestError(400, "bad_multipart", "the Content-Type names no boundary", hint=_HINT)
    reader = _Reader()
    try:
        MultipartParser(boundary, reader.callbacks()).write(body)  # type: ignore[arg-type]
    except FormParserError as error:
        raise RequestError(400, "bad_multipart", f"the form cannot be read: {error}", hint=_HINT) from None
    if not reader.complete:
        raise RequestError(400, "bad_multipart", "the form is cut off before its last boundary", hint=_HINT)
    return reader.parts


def base_name(filename: str) -> str:
    """The last component of a file name, 200 characters at most, without control characters.

    Example:
        >>> base_name("C:\\\\photos\\\\bed.jpg"), base_name("../../etc/passwd")
        ('bed.jpg', 'passwd')
    """
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[-200:]
