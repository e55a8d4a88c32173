"""Text files as UTF-8, whatever they were, in pieces."""

from __future__ import annotations

import codecs
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from pizzeria.errors import DataError
from pizzeria.fetching.bounded import bounded, most_in

_PIECE = 2**20
_SAMPLE = 2**18
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"))
_MARKS_16 = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Text:
    """A text file that is UTF-8.

    Attributes:
        path: The file itself, or a copy of it in UTF-8.
        encoding: What it was in, where that was something else.
        line: The first line that is no UTF-8.
    """

    path: Path
    encoding: str | None = None
    line: int = 0


def opened(path: Path) -> IO[bytes]:
    """The file's bytes; those of a .gz unpacked, up to a bound, beyond which they raise a `DataError`."""
    if not path.name.lower().endswith(".gz"):
        return open(path, "rb")
    return bounded(cast(IO[bytes], gzip.open(path)), most_in(path), path)


def as_utf8(path: Path, encoding: str | None, copy: Path) -> Text:
    """The file, if it is UTF-8; else a copy that is.

    Args:
        encoding: What it is in, where somebody knows; it is looked for otherwise.
        copy: Where to write a copy.

    Raises:
        DataError: the encoding is unknown, or cannot be found.
    """
    line = 0
    try:
        with opened(path) as stream:
            start = stream.read(4)
        if encoding is None:
            marked = [name for mark, name in (*_MARKS, *_MARKS_16) if start.startswith(mark)]
            if marked and marked[0] != "utf-8-sig":
                encoding = marked[0]
            else:
                line, sample = _first_fault(path)
                if not line:
                    return Text(path)
                encoding = _guessed(sample, path, line)
        elif _is_utf8(encoding, path) and not _first_fault(path)[0]:
            return Text(path)
        _rewrite(path, encoding, copy)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read: it is cut off or damaged: {error}") from error
    return Text(copy, encoding, line or 1)


def _first_fault(path: Path) -> tuple[int, bytes]:
    """The first line that is no UTF-8 (from 1; 0 when all is), and bytes of the file from there on."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with opened(path) as stream:
        while True:
            piece = stream.read(_PIECE)
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                held = error.object[: error.start]
                return line + held.count(b"\n"), error.object[max(0, error.start - _SAMPLE) :][: 2 * _SAMPLE]
            line += piece.count(b"\n")
            if not piece:
                return 0, b""


def _guessed(sample: bytes, path: Path, line: int) -> str:
    from charset_normalizer import from_bytes

    # Latin texts in all their code pages look alike; the one that Windows and spreadsheets write comes first.
    found = from_bytes(sample, cp_exclusion=["utf_8"]).best()
    guess = found.encoding if found is not None else None
    if guess is None or guess in ("ascii", "latin_1") or guess.startswith(("cp125", "iso8859", "mac_", "cp4", "cp8")):
        guess = _latin(sample, guess)
    if guess is None:
        raise DataError(
            f"{path}:{line} is not UTF-8, and what it is cannot be told",
            hint="say it: data.encoding=cp1252, for instance",
        )
    return guess


def _latin(sample: bytes, guess: str | None) -> str | None:
    """Which of the one-byte encodings: cp1252 where it fits and the sample is mostly ASCII."""
    high = sum(byte > 127 for byte in sample)
    if guess is not None and high > len(sample) / 5:
        return guess
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return guess
    return "cp1252"


def _is_utf8(encoding: str, path: Path) -> bool:
    try:
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    except LookupError as error:
        raise DataError(
            f"data.encoding: there is no encoding {encoding!r} (for {path})",
            hint="such as utf-8, cp1252, utf-16 or shift_jis",
        ) from error


def _rewrite(path: Path, encoding: str, copy: Path) -> None:
    decoder: Any = codecs.getincrementaldecoder(encoding)()
    line = 1
    with opened(path) as stream, open(copy, "wb") as target:
        while True:
            piece = stream.read(_PIECE)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                near = line + error.object[: error.start].count(b"\n")
                raise DataError(
                    f"{path}:{near} is not {encoding}: {error.reason}", hint="say what it is: data.encoding"
                ) from error
            line += text.count("\n")
            target.write(text.encode("utf-8"))
            if not piece:
                return
