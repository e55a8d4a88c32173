"""The trial `gates` sees what it claims to see: gates that let everything through are planted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pizzeria.errors import DataError
from pizzeria.torture import gates
from pizzeria.torture.hollow import Question, answers, lives, tables
from pizzeria.torture.trial import Tally


def _refuse() -> bool:
    raise DataError("there is nothing")


def _fall() -> bool:
    raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize(
    ("ask", "broken"),
    [
        (lambda: False, []),
        (_refuse, []),
        (lambda: True, ["gate: nothing: it passed"]),
        (_fall, ["gate: nothing: it fell over: ZeroDivisionError: by nothing"]),
    ],
)
def test_what_a_gate_says(ask: Callable[[], bool], broken: list[str]) -> None:
    tally = Tally()
    gates.ask([Question("gate", "nothing", ask)], tally)
    assert tally.tried == 1
    assert tally.broken == broken


def test_gates_that_let_everything_through_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pizzeria.gate.passes", lambda outcomes: True)
    monkeypatch.setattr("pizzeria.deployments.rollout.judge", lambda *given: ("passed", ""))
    tally = Tally()
    gates.ask([*answers._criteria(), *answers._rollouts()], tally)
    assert tally.tried == len(tally.broken) == 22


def test_data_that_are_not_judged_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(iter(tables.questions()))
    assert not first.ask()
    monkeypatch.setattr("pizzeria.stages.validate.judge", lambda results: None)
    assert first.ask()


def test_no_gate_passes_on_nothing_without_an_evaluator() -> None:
    tally = Tally()
    gates.ask([*answers._criteria(), *answers._rollouts()], tally)
    assert tally.tried == 22
    assert tally.broken == []


@pytest.mark.parametrize(
    ("code", "said", "problem"),
    [
        (4, "error: no rows", ""),
        (0, "done", "it passed"),
        (1, "Traceback\nKeyError: 1", "it fell over: KeyError"),
        (-9, "", "it died"),
    ],
)
def test_how_a_command_ended(code: int, said: str, problem: str) -> None:
    found = lives.judge(code, said)
    assert problem in found
    assert bool(found) is bool(problem)
