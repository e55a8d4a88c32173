"""What was judged so far, beside the output: a run that was cut off, even by kill -9, goes on where it was.

A journal is a file of JSON lines. The first is the header, which says what is being judged by what; each further one
is a result, in the order of the listings. Lines are only ever added, so a kill leaves at most one torn line at the end.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pizzeria import atomic
from pizzeria.errors import DataError

_SYNC_S = 1.0


class Journal:
    """The journal of one output; one process at a time holds it.

    Args:
        path: Its file; made when it is not there.
        header: What is being judged by what. A journal with another one is of no use, and is begun anew.

    Attributes:
        results: Those that were there, in their order, and those added since.
        anew: Whether there was one that had to be begun anew.

    Raises:
        DataError: another process holds it, or it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Journal(Path(folder) / "j", {"bundle": "a"}) as journal:
        ...         journal.add({"listing_id": "1"})
        ...     with Journal(Path(folder) / "j", {"bundle": "a"}) as journal:
        ...         journal.results
        [{'listing_id': '1'}]
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        try:
            self._stream = open(path, "a+b")  # noqa: SIM115 -- held until `close`
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stream.close()
            raise DataError(
                f"{path} is in use by another `pizzeria verify`", hint="wait for it, or choose another --out"
            ) from None
        lines, sound = self._read()
        head = json.loads(json.dumps(header))
        self.anew = bool(lines) and lines[0] != head
        self.results: list[dict[str, Any]] = [] if self.anew else lines[1:]
        self._stream.truncate(0 if self.anew else sound)
        self._synced = time.monotonic()
        if self.anew or not lines:
            self._append(_dump(head))
            atomic.sync(path.parent)

    def add(self, result: Mapping[str, Any]) -> None:
        """Keep one result: at once against a kill of the process, within a second against the loss of power."""
        line = _dump(result)
        self._append(line)
        self.results.append(json.loads(line))  # as a later call would read it

    def _append(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()
        if time.monotonic() - self._synced >= _SYNC_S:
            os.fsync(self._stream.fileno())
            self._synced = time.monotonic()

    def remove(self) -> None:
        """Take it away, when all is judged and written."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def _read(self) -> tuple[list[dict[str, Any]], int]:
        """All whole lines, and where the last of them ends."""
        self._stream.seek(0)
        lines: list[dict[str, Any]] = []
        sound = 0
        for raw in self._stream:
            try:
                found = json.loads(raw) if raw.endswith(b"\n") else None
            except ValueError:
                found = None
            if not isinstance(found, dict):
                break
            lines.append(found)
            sound += len(raw)
        return lines, sound


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
