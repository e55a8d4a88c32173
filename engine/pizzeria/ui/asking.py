"""Things that take time, asked beside the page: it waits a moment, and is shown without them if they take longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pizzeria.errors import PizzeriaError
from pizzeria.hiding import said

_MOST = 16
"""Questions at once: a machine that never answers keeps its thread."""
_KEPT = 500


@dataclass
class Answer:
    """What was answered, or why nothing was.

    Attributes:
        value: None until there is one.
        trouble: Why there is none.
        pending: Whether it is still being asked; the value is the last one, then.
        age_s: Of the value.
    """

    value: Any = None
    trouble: str = ""
    pending: bool = False
    age_s: float = 0.0


@dataclass
class _Asked:
    done: threading.Event
    value: Any = None
    trouble: str = ""
    at_s: float | None = None
    busy: bool = False


class Asker:
    """Asks each question once at a time, and remembers the answer for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, ...], _Asked] = {}
        self._at_work = 0

    def ask(self, key: tuple[str, ...], work: Callable[[], Any], *, fresh_s: float = 10, wait_s: float = 1.0) -> Answer:
        """The answer to a question.

        Args:
            key: Names the question.
            fresh_s: So old an answer is good enough.
            wait_s: Longest wait; what comes later is there for the next page.
        """
        now = time.monotonic()
        with self._lock:
            found = self._asked.setdefault(key, _Asked(threading.Event()))
            if found.at_s is not None and now - found.at_s <= fresh_s:
                return Answer(found.value, found.trouble, age_s=now - found.at_s)
            if not found.busy:
                if self._at_work >= _MOST:
                    return Answer(found.value, "too many answers are being waited for", pending=True)
                found.busy, found.done = True, threading.Event()
                self._at_work += 1
                threading.Thread(target=self._work, args=(found, work), daemon=True, name=f"asks {key[0]}").start()
            done = found.done
        in_time = done.wait(wait_s)
        with self._lock:
            self._forget()
            age_s = 0.0 if found.at_s is None else time.monotonic() - found.at_s
            return Answer(found.value, found.trouble, pending=not in_time, age_s=age_s)

    def _work(self, asked: _Asked, work: Callable[[], Any]) -> None:
        value, trouble = None, ""
        try:
            value = work()
        except PizzeriaError as error:
            trouble = error.message
        except Exception as error:  # a plugin's fault must not take the page with it
            trouble = said(error)
        with self._lock:
            asked.value, asked.trouble, asked.at_s, asked.busy = value, trouble, time.monotonic(), False
            self._at_work -= 1
        asked.done.set()

    def _forget(self) -> None:
        while len(self._asked) > _KEPT:
            idle = next((key for key, one in self._asked.items() if not one.busy), None)
            if idle is None:
                return
            del self._asked[idle]
