"""Reads text files that people made: UTF-8, or whatever their spreadsheet wrote."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from pathlib import Path

from pizzeria.errors import DataError

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WESTERN = "cp1252"
_ALONE = 0.7


def read_text(path: Path, encoding: str | None = None) -> tuple[str, str]:
    """The text of a file, and the encoding that it was read as; `utf-8` stands for what needs no mention.

    Without `encoding`, UTF-8 is tried, then guessed.

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
    """In Western European text the letters that are no ASCII stand alone between others; in other scripts they come in
    runs, and a guess has something to go by."""
    from charset_normalizer import from_bytes

    runs = re.findall(rb"[\x80-\xff]+", data)
    alone = sum(len(run) == 1 for run in runs)
    if alone >= _ALONE * sum(map(len, runs)):
        with suppress(UnicodeDecodeError):
            data.decode(_WESTERN)
            return _WESTERN
    best = from_bytes(data).best()
    return best.encoding if best is not None else None
