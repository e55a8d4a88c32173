"""What comes out of a compressed file, up to a bound: a few kilobytes may hold petabytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

from pizzeria.errors import DataError

RATIO = 200
"""A file that holds more than its own size so many times, and a gigabyte, is refused."""
FREE = 2**30


def most_in(file: Path) -> int:
    """Bytes that may come out of a compressed file."""
    return FREE + RATIO * file.stat().st_size


def too_much(address: object) -> DataError:
    """What is said of a file that holds more."""
    return DataError(
        f"{address} unpacks to more than {RATIO} times its size",
        hint="unpack it yourself if you trust it, and name what comes out",
    )


def bounded(stream: IO[bytes], limit: int, address: object) -> io.BufferedReader:
    """The same stream, which raises a `DataError` when it is read, or sought, beyond `limit` bytes.

    Example:
        >>> bounded(io.BytesIO(b"bed"), 3, "a").read()
        b'bed'
        >>> bounded(io.BytesIO(b"sofa"), 3, "a.gz").read()
        Traceback (most recent call last):
        pizzeria.errors.DataError: a.gz unpacks to more than 200 times its size
    """
    return io.BufferedReader(_Bounded(stream, limit, address), 2**16)


class _Bounded(io.RawIOBase):
    def __init__(self, stream: IO[bytes], limit: int, address: object) -> None:
        self._stream, self._limit, self._address = stream, limit, address

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        if self._stream.tell() > self._limit:
            raise too_much(self._address)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > self._limit:
            raise too_much(self._address)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        super().close()
        self._stream.close()
