"""A page waits a moment for an answer, and is not held up by one that does not come."""

from __future__ import annotations

import threading
import time

from pizzeria.errors import DataError
from pizzeria.ui.asking import Asker


def test_an_answer_is_remembered_for_a_while() -> None:
    asker, asked = Asker(), []
    for _ in range(3):
        answer = asker.ask(("x",), lambda: asked.append(1) or len(asked), fresh_s=600, wait_s=60)  # type: ignore[func-returns-value]
        assert (answer.value, answer.pending) == (1, False)
    assert asker.ask(("x",), lambda: 2, fresh_s=0, wait_s=60).value == 2
    assert asker.ask(("y",), lambda: 3, wait_s=60).value == 3


def test_a_page_does_not_wait_for_what_hangs() -> None:
    asker, go = Asker(), threading.Event()
    begun = time.monotonic()
    first = asker.ask(("slow",), lambda: go.wait(60) and "there", wait_s=0.01)
    second = asker.ask(("slow",), lambda: "never asked", wait_s=0.01)
    assert (first.pending, second.pending, first.value) == (True, True, None)
    assert asker.ask(("fast",), lambda: "fast", wait_s=40).value == "fast"
    assert time.monotonic() - begun < 50
    go.set()
    assert asker.ask(("slow",), lambda: "never asked", fresh_s=600, wait_s=60).value == "there"


def test_what_goes_wrong_is_told() -> None:
    def fails() -> None:
        raise DataError("the log is gone")

    def breaks() -> None:
        raise ValueError("odd")

    asker = Asker()
    assert asker.ask(("a",), fails, wait_s=60).trouble == "the log is gone"
    assert asker.ask(("b",), breaks, wait_s=60).trouble == "ValueError: odd"


def test_not_too_many_are_asked_at_once() -> None:
    asker, go = Asker(), threading.Event()
    answers = [asker.ask((str(i),), lambda: go.wait(60), wait_s=0) for i in range(40)]
    assert sum("too many" in answer.trouble for answer in answers) == 40 - 16
    go.set()
