"""The trial `flips` sees a break: a reader that checks nothing, one that ends with a traceback, or without a name."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import DamagedError
from pizzeria.runs import seals
from pizzeria.runs.store import Run
from pizzeria.torture.bench import Bench
from pizzeria.torture.flipping.damage import damaged, kept_as_it_is
from pizzeria.torture.flipping.kept import Kept, kept_in_files
from pizzeria.torture.flipping.looking import Look, look
from pizzeria.torture.flips import flip
from pizzeria.torture.trial import Tally

from ..runs.sealed import seal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench", True, random.Random(3))


@pytest.fixture
def stage(tmp_path: Path) -> Kept:
    """A sealed stage of one file, as a run has it."""
    folder = tmp_path / "run" / "stages" / "split"
    folder.mkdir(parents=True)
    (folder / "splits.json").write_text(json.dumps({str(i): "train" for i in range(100)}))
    seal(folder)
    run = Run(tmp_path / "run")
    return Kept("splits", folder, ("splits.json",), lambda: (run.stage("split") / "splits.json").read_bytes())


def test_what_is_sealed_holds(stage: Kept, bench: Bench) -> None:
    tally = Tally()
    flip([stage], 25, bench, tally)
    assert (tally.held, tally.broken) == (25, [])
    assert tally.figures == {"splits: refused by name": 25}


def test_a_check_that_is_switched_off_is_seen(stage: Kept, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "check", lambda folder, sealed: None)
    tally = Tally()
    flip([stage], 10, bench, tally)
    assert (tally.held, len(tally.broken)) == (0, 10)
    assert all("taken up as if it were true" in told for told in tally.broken)


def test_what_cannot_be_taken_up_as_it_is_is_told(stage: Kept, bench: Bench) -> None:
    (stage.place / "result.json").write_text("{")
    tally = Tally()
    flip([stage], 1, bench, tally)
    assert "take up splits as it is" in tally.broken[0]


def _refuse(message: str, hint: str = "") -> Any:
    raise DamagedError(message, hint=hint)


@pytest.mark.parametrize(
    ("take_up", "told"),
    [
        (lambda: "other", "taken up as if it were true"),
        (lambda: "same", "not noticed"),
        (lambda: {}["x"], "a traceback: KeyError"),
        (lambda: os.kill(os.getpid(), 9), "the process ended with 0x"),
        (lambda: _refuse("something is damaged", "remove it"), "refused without its name"),
        (lambda: _refuse("a.json is damaged"), "refused without what to do"),
        (lambda: _refuse("a.json is damaged", "remove it"), ""),
    ],
)
def test_what_must_not_come_of_it(take_up: Any, told: str) -> None:
    before = look(lambda: "same")
    problem, _ = look(take_up).judged(before, ["a.json"], harmless=False)
    assert problem.startswith(told)
    assert bool(problem) == bool(told)


def test_bytes_that_mean_nothing_hold_only_where_a_format_has_them() -> None:
    before = Look(value="1")
    assert before.judged(before, ["a"], harmless=True) == ("", True)
    assert before.judged(before, ["a"], harmless=False) == ("not noticed", False)


def test_damage_is_undone(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    files = {name: os.urandom(9000) for name in ("a", "b")}
    for name, data in files.items():
        (place / name).write_bytes(data)
    paths, said = sorted(place.iterdir()), set()
    for seed in range(60):
        with damaged(paths[0], paths, place, random.Random(seed)) as what:
            said.add(what.split()[0])
            assert paths[0].read_bytes() != files["a"]
        assert paths[0].read_bytes() == files["a"]
    assert said == {"bit", "all", "zeros", "the"}
    with kept_as_it_is(place):
        paths[0].unlink()
    assert {path.name: path.read_bytes() for path in place.iterdir()} == files


def test_ledger_and_prediction_log_hold(tmp_path: Path, bench: Bench) -> None:
    tally = Tally()
    flip(list(kept_in_files(tmp_path / "files")), 12, bench, tally)
    assert (tally.held, tally.broken) == (12, [])
