"""What stands beside figures in the report: intervals, the trivial model, slices, and criteria on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pizzeria.report import render
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.slices import section
from pizzeria.report.verdict import criteria


def entry(count: int, value: float | None, interval: tuple[float, float] | None, **more: Any) -> dict[str, Any]:
    known = {} if value is None else {"map_50": value}
    found = {
        "metrics": known,
        "intervals": {} if interval is None else {"map_50": interval},
        "baseline": {"map_50": 0.1},
    }
    return found | {"count": count, "range": "", "undecided": "", "per_class": {}, "per_class_intervals": {}} | more


@pytest.fixture
def run(build: Any, tmp_path: Path) -> Any:
    """A run whose evaluation has slices, as the stage leaves them."""
    made = build["detection"](tmp_path / "amenities")
    path = made.path / "stages/evaluate/metrics.json"
    found = json.loads(path.read_text())
    found |= {
        "intervals": {"map_50": [0.7, 0.9]},
        "per_class_intervals": {"bed": {"map_50": [0.61, 0.97]}},
        "bootstrap": {"confidence": 0.9, "resamples": 500, "unit": "listing", "groups": 8},
        "baseline": {"name": "the usual boxes", "metrics": {"map_50": 0.11}, "per_class": {"bed": {"map_50": 0.07}}},
        "not_better": [],
        "slices": {
            "room": {
                "kitchen": entry(40, 0.3, (0.2, 0.4)),
                "bedroom": entry(25, 0.85, None),
                "hall <b>": entry(4, None, None, undecided="fewer than 20"),
            },
            "brightness": {"low": entry(30, 0.8, (0.6, 0.95), range="0.1 to 0.3")},
        },
    }
    path.write_text(json.dumps(found))
    return made


def test_the_worst_slices_are_named_and_small_ones_are_undecided(run: Any) -> None:
    found = section(RunFolder(run.path))
    assert found is not None
    assert found["sentence"].startswith("Surely worse than the whole test split (AP50 0.")
    assert found["sentence"].endswith("room kitchen 0.300 (0.200 to 0.400).")
    assert [one["column"] for one in found["tables"]] == ["room", "brightness"]
    assert [len(one.data[0]["x"]) for one in found["figures"]] == [2, 1]
    html = render(run.path).read_text()
    for text in (
        "undecided: fewer than 20",
        "hall &lt;b&gt;",
        "0.1 to 0.3",
        "0.700 to 0.900",
        "0.610 to 0.970",
        "trivial model 0.110",
        "90 of 100 cases: bootstrap, 500 draws from 8 listings",
        "The trivial model does not look: the usual boxes.",
        "Trivial AP50",
    ):
        assert text in html, text
    assert "No better than" not in html


def test_where_none_is_surely_worse_the_lowest_is_named_and_a_bad_model_is_told(run: Any) -> None:
    path = run.path / "stages/evaluate/metrics.json"
    found = json.loads(path.read_text()) | {"not_better": ["map_50"]}
    del found["slices"]["room"]["kitchen"]
    found["slices"]["brightness"]["low"]["metrics"]["map_50"] = 0.62
    path.write_text(json.dumps(found))
    told = section(RunFolder(run.path))
    assert told is not None
    assert told["sentence"].endswith("The worst figure has brightness low: 0.620 (0.600 to 0.950).")
    assert "No better than a model that does not look: AP50 (" in render(run.path).read_text()


def test_a_run_without_slices_has_no_such_section(build: Any, tmp_path: Path) -> None:
    assert section(RunFolder(build["rows"](tmp_path / "delays", "tabular_regression").path)) is None


def outcome(**more: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("of_class", "at_least", "at_most", "slice", "interval", "gain_over_champion", "gain"))
    return plain | {"metric": "map_50", "value": 0.61, "passed": True, "lower_bound": False, "text": ""} | more


@pytest.mark.parametrize(
    ("entry", "title", "bound", "words"),
    [
        (
            outcome(of_class="bed", slice={"room": "kitchen"}, at_least=0.4, lower_bound=True, interval=[0.45, 0.7]),
            "AP50 of bed, room kitchen",
            "lower end at least 0.400",
            "passed by 0.050",
        ),
        (
            outcome(gain_over_champion=-0.01, gain={"value": -0.03, "low": -0.06}, passed=False),
            "AP50",
            "at most 0.010 worse than the champion",
            "missed by 0.020",
        ),
        (
            outcome(gain_over_champion=0.0, lower_bound=True),
            "AP50",
            "surely no worse than the champion",
            "passed: there is no other champion",
        ),
    ],
)
def test_criteria_on_a_slice_a_bound_and_the_champion(
    run: Any, entry: dict[str, Any], title: str, bound: str, words: str
) -> None:
    run.json("evaluate", "gate.json", [entry])
    (shown,) = criteria(RunFolder(run.path))
    assert (shown["title"], shown["bound"], shown["words"]) == (title, bound, words)
