"""Talking to the workstation over standard input and output: one JSON object a line, and files between them."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from typing import Any

MARK = "pizzeria-agent 1"
"""The first line that the agent writes; what a login script of the machine prints comes before it."""
_CHUNK = 1 << 20


class Failure(Exception):
    """The deployment cannot go on."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Gone(Exception):
    """The workstation is gone: its command was killed, or the connection was lost."""


class Conversation:
    """Both directions."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._buffer = b""
        self.settled = False
        """Set when the work has to be finished even if nobody listens any more."""

    def say(self, text: str) -> None:
        """One line for the user."""
        self._write({"say": text})

    def finish(self, **values: Any) -> None:
        """The last line."""
        self._write(values)

    def ask(self, **values: Any) -> dict[str, Any]:
        """Ask the workstation for something, and wait for its answer."""
        self._write(values)
        return self.line()

    def line(self) -> dict[str, Any]:
        """The next JSON object from the workstation."""
        while b"\n" not in self._buffer:
            self._fill()
        line, self._buffer = self._buffer.split(b"\n", 1)
        value = json.loads(line)
        if not isinstance(value, dict):
            raise Failure("the workstation sent no JSON object")
        return value

    def take(self, size: int) -> Iterator[bytes]:
        """The next so many bytes."""
        while size:
            if not self._buffer:
                self._fill()
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            yield piece

    def check(self) -> None:
        """Go on only while the workstation is there.

        Raises:
            Gone: it is not, and nothing is settled yet.
        """
        if self.settled:
            return
        look = select.poll()  # `select` takes no handle above 1023
        look.register(self._source, select.POLLIN)
        if look.poll(0):
            self._fill()

    def _fill(self) -> None:
        data = os.read(self._source, _CHUNK)
        if not data:
            raise Gone
        self._buffer += data

    def _write(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._sink, data) :]
        except OSError:
            if not self.settled:
                raise Gone from None
