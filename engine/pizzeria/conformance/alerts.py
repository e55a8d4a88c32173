"""The suite that every alert channel passes: the built-in ones, and yours.

Example:
    A whole test file, with a receiver that keeps what it gets in a list::

        from my_package import pager
        from pizzeria.conformance.alerts import AlertSuite, Place

        class TestPager(AlertSuite):
            plugin = pager

            @contextmanager
            def receiver(self, folder):
                with my_server() as server:
                    yield Place({"address": server.address}, heard=lambda: server.text)

            @contextmanager
            def broken(self, folder):
                yield Place({"address": "http://127.0.0.1:1"})
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pizzeria.conformance.plugins import PluginSuite
from pizzeria.contracts import Alarm, Finding, Judged, Notice, Standing
from pizzeria.errors import PizzeriaError

_SECRET = "a-secret-that-nobody-may-see"  # noqa: S105 - the test's own
_AT = "2026-11-26T09:12:04.000+00:00"
_LARGE = 300


@dataclass(frozen=True)
class Place:
    """Where a channel sends to, in a test.

    Attributes:
        options: Options that lead there.
        environment: Values of the plugin's secrets; one that is not named has the environment's, or one of the suite.
        heard: All that the receiver got so far, as text; None where that cannot be told.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    heard: Callable[[], str] | None = None


class AlertSuite(PluginSuite):
    """Subclass it with a name that begins with `Test`; say which channel, and give it a receiver."""

    kind = "alerts"

    def receiver(self, folder: Path) -> AbstractContextManager[Place]:
        """A receiver that takes what it gets, while it is entered; by default whatever `options` lead to."""
        return nullcontext(Place())

    def broken(self, folder: Path) -> AbstractContextManager[Place] | None:
        """One that is down, or refuses; None: there is none to try."""
        return None

    @contextmanager
    def _entered(self, place: AbstractContextManager[Place]) -> Iterator[tuple[Place, Any, list[str]]]:
        """Place, options, and the values of the secrets, which are in the environment."""
        with place as found:
            options = self.make_options(**found.options)
            names = self._secrets(options)
            values = {name: found.environment.get(name) or os.environ.get(name) or _SECRET for name in names}
            with mock.patch.dict(os.environ, values):
                yield found, options, list(values.values())

    def _secrets(self, options: Any) -> tuple[str, ...]:
        asked = getattr(self.guarded().plugin, "secrets", None)
        return () if asked is None else tuple(asked(options))

    def test_it_takes_each_state(self, tmp_path: Path) -> None:
        """it takes alerts, their end, decisions, and one notice twice"""
        with self._entered(self.receiver(tmp_path)) as (_, options, _):
            for notice in (*notices(), notices()[0]):
                assert self.guarded().plugin.send(options, notice) is None, "send returns something"

    def test_what_it_tells_arrives(self, tmp_path: Path) -> None:
        """the name of the deployment and what is wrong arrive"""
        with self._entered(self.receiver(tmp_path)) as (place, options, _):
            if place.heard is None:
                pytest.skip("its receiver cannot say what it heard")
            notice = notices()[0]
            self.guarded().plugin.send(options, notice)
            for text in (notice.name, *(alarm.subject for alarm in notice.alarms)):
                assert text in place.heard(), f"{text!r} did not arrive"

    def test_hostile_texts_do_no_harm(self, tmp_path: Path) -> None:
        """line breaks, markup, control characters and very long texts are taken, and made safe"""
        with self._entered(self.receiver(tmp_path)) as (place, options, _):
            for notice in hostile_notices():
                self.guarded().plugin.send(options, notice)
            if place.heard is not None:
                heard = place.heard()
                raw = sorted({c for c in heard if not c.isprintable() and c not in "\r\n\t"})
                assert not raw, f"control characters arrive as they are: {raw[:5]!r}"

    def test_it_fails_aloud(self, tmp_path: Path) -> None:
        """where the receiver is down or refuses, it is a PizzeriaError that says no secret"""
        place = self.broken(tmp_path)
        if place is None:
            pytest.skip("there is no broken receiver to try")
        with self._entered(place) as (_, options, values):
            for part, what in self._calls():
                with pytest.raises(PizzeriaError) as caught:
                    getattr(self.guarded().plugin, part)(options, what)
                _without(values, f"{caught.value.message} {caught.value.hint}", "its error")

    def test_it_names_the_secret_that_lacks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """without a secret in the environment it says which variable to set"""
        with self._entered(self.receiver(tmp_path)) as (_, options, _):
            names = self._secrets(options)
            if not names:
                pytest.skip("it needs no secret")
            for name in names:
                with monkeypatch.context() as patch:
                    patch.delenv(name)
                    with pytest.raises(PizzeriaError, match=name):
                        self.guarded().plugin.send(options, notices()[0])

    def test_it_prints_nothing_and_logs_no_secret(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """it prints nothing, and no log has a secret, even at DEBUG"""
        with (
            caplog.at_level(logging.DEBUG),
            self._entered(self.receiver(tmp_path)) as (_, options, values),
        ):
            for part, what in self._calls():
                getattr(self.guarded().plugin, part)(options, what)
        out, err = capfd.readouterr()
        assert not out + err, f"it prints {(out + err)[:200]!r}"
        _without(values, caplog.text, "its log")

    def test_it_shows_any_state(self, tmp_path: Path) -> None:
        """where it shows a state, it does so before the first chunk, with alarms, and with hostile texts"""
        if not hasattr(self.guarded().plugin, "show"):
            pytest.skip("it shows no state")
        with self._entered(self.receiver(tmp_path)) as (place, options, _):
            for standing in standings():
                self.guarded().plugin.show(options, standing)
            if place.heard is not None:
                assert standings()[0].name in place.heard()

    def _calls(self) -> list[tuple[str, Notice | Standing]]:
        shows = hasattr(self.guarded().plugin, "show")
        return [("send", notices()[0]), *([("show", standings()[1])] if shows else [])]


def notices() -> list[Notice]:
    """One of each state: `firing` with two alarms, `resolved`, `decided`."""
    f1 = Alarm(
        "performance", "f1", "7", _AT, _AT, "f1 is 0.61 in chunk 7, below 0.7", ("brightness", "contrast"), ("p1",)
    )
    columns = Alarm("drift", "columns", "7", _AT, _AT, "2 columns drifted in chunk 7", ("brightness", "contrast"))
    firing = Notice(
        "key1",
        "firing",
        "amenities",
        _AT,
        "amenities: 2 alerts",
        (f1, columns),
        sha256="3f0c9d1a77be" * 5 + "3f0c",
        run="amenities-0d9f6b2c41aa",
        report=Path("r.html"),
        links={"page": "https://pizzeria.example/amenities"},
    )
    resolved = replace(firing, key="key2", state="resolved", text="amenities: f1 is over", alarms=(f1,))
    decided = replace(firing, key="key3", state="decided", text="amenities: a new model was promoted", alarms=())
    return [firing, resolved, decided]


def hostile_notices() -> list[Notice]:
    """Texts that would do harm where they are taken for more than text, and sizes that nobody reads."""
    texts = (
        "f1\r\nBcc: everybody@example.org\r\n\r\n<script>alert(1)</script>",
        "<!channel> *bold* `code` <https://evil.example|click> & &amp; {{7*7}} ${HOME} $(id)",
        "\x1b[31mred\x00\x07\x9b \u202e reversed \ud800 \U0001f355 \u2028 next",
        '"; drop table incidents; --\\',
        "x" * 100_000,
        "",
    )
    bad = [Alarm("drift", text, text, _AT, _AT, text, (text,), (text,), (text,)) for text in texts]
    firing = notices()[0]
    return [
        *(replace(firing, key=f"bad{i}", text=texts[i], alarms=(alarm,)) for i, alarm in enumerate(bad)),
        replace(firing, key="all", alarms=tuple(bad), links={texts[1]: "https://pizzeria.example/\r\n<x>|y"}),
        replace(firing, key="many", alarms=tuple(replace(bad[0], subject=f"{i}") for i in range(_LARGE))),
        replace(firing, key="none", state="resolved", text="", alarms=(), run=texts[0], report=Path("a\nb.html")),
        replace(firing, key="decision", state="decided", text=texts[0], alarms=()),
    ]


def standings() -> list[Standing]:
    """Before the first chunk; with alarms; with hostile texts."""
    findings = (
        Finding("performance", "f1", "7", _AT, _AT, 0.61, "below 0.7", True, 0.63, "CBPE"),
        Finding("drift", "brightness", "7", _AT, _AT, 0.4, "above 0.25", True, None, "jensen_shannon"),
        Finding("drift", "contrast", "7", _AT, _AT, None, "above 0.25", None, None, "jensen_shannon"),
    )
    firing = notices()[0]
    chunk = Judged("7", _AT, _AT, 500, 120, True)
    full = Standing("amenities", _AT, firing.sha256, firing.run, firing.alarms, chunk, findings)
    bad = tuple(alarm for notice in hostile_notices() for alarm in notice.alarms)
    strange = tuple(replace(findings[1], subject=alarm.subject, method=alarm.subject) for alarm in bad)
    return [replace(full, open=(), chunk=None, findings=()), full, replace(full, open=bad, findings=strange)]


def _without(values: list[str], text: str, what: str) -> None:
    for value in values:
        assert value not in text, f"{what} has the value of a secret"
