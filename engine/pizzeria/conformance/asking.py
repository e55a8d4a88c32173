"""What the suites work with: a client that asks while a target deploys, a progress that says nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pizzeria.conformance.corpus import Case, Send
from pizzeria.errors import DeploymentError, PizzeriaError

_PAUSE_S = 0.05


class Quiet:
    """A `pizzeria.contracts.Progress` that says nothing, and keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)


class Asker:
    """Asks for a prediction again and again, in a thread, while it is entered.

    Args:
        send: How to ask.
        find: Called after a failure: how to ask where the service is now, for services that move.
        photo: Body of the request.

    Attributes:
        asked: Requests so far.
        failures: What went wrong with those that failed.
    """

    def __init__(self, send: Send, find: Callable[[], Send], photo: bytes) -> None:
        self._send, self._find = send, find
        self._case = Case("while it deploys", "POST", "/predict", {"Content-Type": "image/jpeg"}, photo)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)
        self.asked = 0
        self.failures: list[str] = []

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def ask_once(self) -> None:
        """One request now."""
        self.asked += 1
        fault = self._fault(self._send)
        if fault:
            try:
                self._send = self._find()
            except PizzeriaError as error:
                fault = error.message
            else:
                fault = self._fault(self._send)
        if fault:
            self.failures.append(fault)

    def _go(self) -> None:
        while not self._over.wait(_PAUSE_S):
            self.ask_once()

    def _fault(self, send: Send) -> str:
        try:
            status, body = send(self._case)
        except DeploymentError as error:
            return error.message
        # A busy service may turn a request away; it answered.
        return "" if status in (200, 429) else f"status {status}: {body[:200]!r}"
