"""The suite of alert channels finds what is wrong with one, and passes one that is good."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.outcomes import Failed, Skipped
from pydantic import Field

from pizzeria.conformance.alerts import AlertSuite, Place
from pizzeria.contracts import Notice
from pizzeria.errors import PizzeriaError
from pizzeria.spec.section import Options as BaseOptions

KEY = "PIZZERIA_TEST_BELL"


class Options(BaseOptions):
    """None."""

    path: Path = Field(description="Where the bell hangs.")


def secrets(options: Options) -> tuple[str, ...]:
    return (KEY,)


def good(options: Options, notice: Notice) -> None:
    """A line for each alarm; the folder `down` is a receiver that is down."""
    if KEY not in os.environ:
        raise PizzeriaError(f"{KEY} is not set")
    if options.path.parent.name == "down":
        raise PizzeriaError("the bell is down")
    said = [f"{alarm.subject} {alarm.text}" for alarm in notice.alarms] or [notice.text]
    with open(options.path, "a") as stream:
        for one in said:
            stream.write("".join(c if c.isprintable() else " " for c in f"{notice.name} {one}")[:500] + "\n")


def suite_of(send: Callable[[Options, Notice], Any]) -> type[AlertSuite]:
    class Suite(AlertSuite):
        plugin = SimpleNamespace(Options=Options, send=send, secrets=secrets, __doc__="A bell.", __name__="bell")

        @contextmanager
        def receiver(self, folder: Path) -> Iterator[Place]:
            yield Place({"path": folder / "heard"}, heard=(folder / "heard").read_text)

        @contextmanager
        def broken(self, folder: Path) -> Iterator[Place]:
            yield Place({"path": folder / "down" / "heard"})

    return Suite


def leaks(options: Options, notice: Notice) -> None:
    try:
        good(options, notice)
    except PizzeriaError as error:
        raise PizzeriaError(f"{error.message} (the key was {os.environ.get(KEY)})") from None


def swallows(options: Options, notice: Notice) -> None:
    if options.path.parent.name != "down":
        good(options, notice)


def raises_something_else(options: Options, notice: Notice) -> None:
    if options.path.parent.name == "down":
        raise OSError("down")
    good(options, notice)


def prints(options: Options, notice: Notice) -> None:
    print("ding", file=sys.stderr)
    good(options, notice)


def logs_the_secret(options: Options, notice: Notice) -> None:
    logging.getLogger("bell").debug("with %s", os.environ[KEY])
    good(options, notice)


def raw(options: Options, notice: Notice) -> None:
    with open(options.path, "a", errors="replace") as stream:
        stream.write(notice.text)


def chokes(options: Options, notice: Notice) -> None:
    notice.text.encode()
    good(options, notice)


def needs_no_key(options: Options, notice: Notice) -> None:
    os.environ.setdefault(KEY, "any")
    good(options, notice)


def only_news(options: Options, notice: Notice) -> None:
    if notice.state == "decided":
        raise PizzeriaError("what is that?")
    good(options, notice)


BAD = {
    leaks: "test_it_fails_aloud",
    swallows: "test_it_fails_aloud",
    raises_something_else: "test_it_fails_aloud",
    prints: "test_it_prints_nothing_and_logs_no_secret",
    logs_the_secret: "test_it_prints_nothing_and_logs_no_secret",
    raw: "test_hostile_texts_do_no_harm",
    chokes: "test_hostile_texts_do_no_harm",
    needs_no_key: "test_it_names_the_secret_that_lacks",
    only_news: "test_it_takes_each_state",
}
TESTS = [name for name in vars(AlertSuite) if name.startswith("test_")]


def outcome(suite: type[AlertSuite], test: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """`passed`, `skipped`, or what went wrong."""
    code = getattr(suite, test).__code__
    names = [name for name in code.co_varnames[1 : code.co_argcount] if name != "tmp_path"]
    fixtures = {name: request.getfixturevalue(name) for name in names}
    if "tmp_path" in code.co_varnames[: code.co_argcount]:
        fixtures["tmp_path"] = tmp_path
    try:
        getattr(suite(), test)(**fixtures)
    except Skipped:
        return "skipped"
    except (AssertionError, Failed, Exception) as error:
        return f"{type(error).__name__}: {error}"
    return "passed"


@pytest.mark.parametrize("test", TESTS)
def test_a_good_one_passes(test: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert outcome(suite_of(good), test, request, tmp_path) == (
        "skipped" if test == "test_it_shows_any_state" else "passed"
    )


@pytest.mark.parametrize("send", BAD, ids=lambda send: send.__name__)
def test_what_is_wrong_is_found(send: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert outcome(suite_of(send), BAD[send], request, tmp_path) not in ("passed", "skipped")
