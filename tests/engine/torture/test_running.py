"""The harness itself: what a trial finds is counted, shown and told by the exit code."""

from __future__ import annotations

import io
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from pizzeria import torture
from pizzeria.errors import NotFoundError
from pizzeria.torture import running
from pizzeria.torture.bench import Bench
from pizzeria.torture.showing import show
from pizzeria.torture.trial import Tally


def trial(run: Callable[[Bench, Tally], None]) -> types.SimpleNamespace:
    return types.SimpleNamespace(PROMISE="It holds", run=run)


def tried(monkeypatch: pytest.MonkeyPatch, run: Callable[[Bench, Tally], None]) -> running.Tried:
    monkeypatch.setattr(running, "find", lambda _: [("one", trial(run))])
    [found] = running.torture([], short=True, seed=3, say=lambda _: None)
    return found


def test_each_named_trial_is_a_module_with_a_promise() -> None:
    found = running.find([])
    assert [name for name, _ in found] == list(torture.TRIALS)
    assert all(one.PROMISE and callable(one.run) for _, one in found)


def test_an_unknown_trial_is_refused() -> None:
    with pytest.raises(NotFoundError, match="no trial 'kilz'") as caught:
        running.find(["kilz"])
    assert "kills" in caught.value.hint


def test_what_holds_and_what_breaks_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_bench: Bench, tally: Tally) -> None:
        tally.note("a push")
        tally.note("a kick", "it fell over")
        tally.leave_out("a flood", "there is no water here")

    found = tried(monkeypatch, run)
    assert (found.tally.tried, found.tally.held, found.verdict) == (2, 1, "broken")
    text = io.StringIO()
    show([found], Console(file=text, width=120))
    assert "broken: a kick: it fell over" in text.getvalue()
    assert "left out: a flood: there is no water here" in text.getvalue()


def test_nothing_tried_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(monkeypatch, lambda _bench, _tally: None).verdict == "undecided"


def test_a_trial_that_fails_has_not_held_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    def run(bench: Bench, _tally: Tally) -> None:
        folders.append(bench.folder)
        (bench.folder / "left").write_text("behind")
        raise ValueError("oops")

    found = tried(monkeypatch, run)
    assert found.verdict == "broken"
    assert "ValueError: oops" in found.tally.broken[0]
    assert not folders[0].exists()


def test_the_same_seed_makes_the_same_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    for _ in range(2):
        tried(monkeypatch, lambda bench, _tally: drawn.append(bench.random.random()))
    assert drawn[0] == drawn[1]
