"""Reads text files that people made: UTF-8, or whatever their spreadsheet wrote."""

from __future__ import annotations

import codecs
from pathlib import Path

from pizzeria.errors import DataError

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WESTERN = "cp1252"


def read_text(path: Path, encoding: str | None = None) -> tuple[str, str]:
    """The text of a file, and the encoding that it was read as; `utf-8` stands for what needs no mention.

    Without `encoding`, UTF-8 is tried, then guessed. Between the Latin encodings a guess is a toss-up, so that Western
    Europe's is taken where it fits.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if encoding is not None:
        try:
            return data.decode(encoding), encoding
        except (LookupError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read as {encoding}: {error}", hint="mend data.encoding") from error
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, errors="strict"), "utf-8" if name == "utf-8-sig" else name
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        found = _guess(data)
    if found is None:
        raise DataError(f"{path} is not text in an encoding that can be told", hint="save it as UTF-8")
    return data.decode(found), found


def _guess(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    guessed = best.encoding if best is not None else None
    if guessed is None or guessed.startswith(("cp1250", "cp1252", "cp1254", "cp1257", "latin", "iso8859", "mac_latin")):
        try:
            data.decode(_WESTERN)
        except UnicodeDecodeError:
            return guessed
        return _WESTERN
    return guessed
