"""Labels that are spoilt are told from those that say that the world has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.errors import PoisonError
from pizzeria.inference.truth import moment
from pizzeria.maintenance.doubts import Known
from pizzeria.maintenance.poison import judge
from pizzeria.spec.maintenance import Trust

START = datetime(2026, 1, 1, tzinfo=UTC)
CLASSIFICATION = "tabular_classification"
Lie = Callable[[int, str], str]


def honest(i: int, truth: str) -> str:
    return truth


def swapped(i: int, truth: str) -> str:
    return {"cold": "hot", "hot": "cold"}[truth]


def answers(count: int, seed: int, wrong: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Answers of a confident model, and the truth, of which so many are otherwise."""
    draw = np.random.default_rng(seed)
    out, truths = [], []
    for _ in range(count):
        hot = bool(draw.random() < 0.5)
        p = 0.97 if hot else 0.03
        out.append({"p:hot": p, "p:cold": 1 - p, "pred": "hot" if hot else "cold"})
        truths.append("hot" if hot != (draw.random() < wrong) else "cold")
    return out, truths


def labelled(
    source: str,
    count: int,
    lie: Lie = honest,
    *,
    seed: int = 0,
    wrong: float = 0.03,
    hour: float = 0.0,
    gap: float = 10,
) -> pd.DataFrame:
    """Labels of one source, `gap` minutes apart, from `hour` on."""
    said, truths = answers(count, seed, wrong)
    rows, heat = [], np.random.default_rng([seed, *source.encode()])
    for i, (answer, truth) in enumerate(zip(said, truths, strict=True)):
        rows.append(
            {
                "prediction_id": f"{source}{i}",
                "predicted_at": (START + timedelta(minutes=i)).isoformat(),
                "labelled_at": moment(START + timedelta(hours=hour, minutes=gap * i)),
                "source": source,
                "truth": json.dumps({"class": lie(i, truth)}),
                "answer": json.dumps(answer),
                "new": True,
                "feature:heat": float(heat.normal()),
            }
        )
    return pd.DataFrame(rows)


def known(task: str = CLASSIFICATION) -> Known:
    said, truths = answers(400, 99, 0.03)
    frame = pd.DataFrame(said).assign(true=truths)
    frame["feature:heat"] = np.linspace(-9, 9, 400)
    return Known(task, frame)


def together(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def test_honest_labels_pass_with_and_without_drift() -> None:
    quiet = together(labelled("ann", 100, seed=1), labelled("ben", 60, seed=2))
    assert judge(quiet, known(), Trust()).rows == frozenset()
    # The world has changed: half of the confident answers are wrong, for whoever looks.
    drift = together(labelled("ann", 100, seed=1, wrong=0.45), labelled("ben", 60, seed=2, wrong=0.5))
    assert judge(drift, known(), Trust()).rows == frozenset()
    alone = labelled("ann", 200, seed=1, wrong=0.4)
    assert judge(alone, known(), Trust()).rows == frozenset()


@pytest.mark.parametrize("wrong", [0.03, 0.3])
def test_a_source_that_swaps_classes_is_named(wrong: float) -> None:
    mixed = together(labelled("ann", 100, seed=1, wrong=wrong), labelled("mal", 90, swapped, seed=2, wrong=wrong))
    with pytest.raises(PoisonError, match=r"labels of 'mal' contradict \d+ of \d+ confident answers") as caught:
        judge(mixed, known(), Trust())
    assert "by other labels of that time: mal" in caught.value.message
    assert 'maintenance.trust.trusted: ["mal"]' in caught.value.hint
    assert caught.value.evidence["doubts"][0]["labels"] == 90  # type: ignore[index]
    left = judge(mixed, known(), Trust(on_doubt="leave_out"))
    assert left.rows == frozenset(range(100, 190))
    assert len(left.texts) == 1
    assert judge(mixed, known(), Trust(trusted=("mal",))).rows == frozenset()


def test_what_cannot_be_compared_is_doubted_only_when_most_is_contradicted() -> None:
    with pytest.raises(PoisonError, match="there are no other labels of that time to compare with"):
        judge(labelled("ann", 60, swapped, seed=1), known(), Trust())


def test_inputs_unlike_all_before_explain_errors() -> None:
    far = labelled("ann", 60, swapped, seed=1)
    far["feature:heat"] += 1000.0
    assert judge(far, known(), Trust()).rows == frozenset()
    near = together(far, labelled("ann", 60, swapped, seed=2).assign(prediction_id="near"))
    with pytest.raises(PoisonError, match=r"of 60 confident answers, .* on inputs like those of the test set"):
        judge(near, known(), Trust())


def test_a_bad_day_of_the_only_source_is_no_proof() -> None:
    """Electricity, 26 April 1998: 41 of 48 confident answers were wrong, and the labels right."""
    days = [labelled("market", 48, seed=i, hour=24.0 * i, gap=0.1) for i in range(8)]
    for i, day in enumerate(days):
        day["predicted_at"] = [(START + timedelta(days=i, minutes=30 * k)).isoformat() for k in range(48)]
        day["prediction_id"] = [f"{i}-{k}" for k in range(48)]
    days[4]["truth"] = [json.dumps({"class": swapped(0, json.loads(text)["class"])}) for text in days[4]["truth"]]
    assert judge(together(*days), known(), Trust()).rows == frozenset()


def test_many_names_do_not_help() -> None:
    names = [labelled(f"m{i}", 5, swapped, seed=10 + i) for i in range(10)]
    with pytest.raises(PoisonError, match="labels of '\\(sources with few labels\\)' contradict"):
        judge(together(labelled("ann", 100, seed=1), *names), known(), Trust())


def test_one_evening_of_a_source_is_found() -> None:
    good, bad = labelled("ann", 200, seed=1, gap=30), labelled("ann", 40, swapped, seed=2, hour=300, gap=1)
    bad["prediction_id"] = [f"bad{i}" for i in range(40)]
    with pytest.raises(PoisonError, match=r"labels of 'ann' of 2026-01-13 12 h contradict"):
        judge(together(good, bad), known(), Trust())
    left = judge(together(good, bad), known(), Trust(on_doubt="leave_out"))
    assert left.rows == frozenset(range(200, 240))


def test_one_class_of_many_is_found_among_presences() -> None:
    """Somebody says of each photo with a bed that there is none."""
    draw = np.random.default_rng(3)

    def photos(source: str, count: int, lies: bool) -> pd.DataFrame:
        rows = []
        for i in range(count):
            bed, tv = draw.random(2) < 0.5
            shown = [name for name, there in (("bed", bed and not lies), ("tv", tv)) if there]
            p = {"p:bed": 0.95 if bed else 0.02, "p:tv": 0.95 if tv else 0.02}
            at = moment(START + timedelta(minutes=7 * i))
            rows.append(
                {"prediction_id": f"{source}{i}", "predicted_at": at, "labelled_at": at, "source": source, "new": True}
                | {"truth": json.dumps({"classes": shown}), "answer": json.dumps(p)}
                | {"photo_sha256": f"{source}{i}", "phash": f"{draw.integers(2**63):016x}"}
                | {"dhash": f"{draw.integers(2**63):016x}"}
            )
        return pd.DataFrame(rows)

    reference = pd.DataFrame({"p:bed": [0.95] * 99, "true:bed": [1] * 99, "p:tv": [0.02] * 99, "true:tv": [0] * 99})
    there = Known("object_detection", reference)
    assert judge(photos("ann", 100, False), there, Trust()).rows == frozenset()
    mixed = together(photos("ann", 100, False), photos("mal", 90, True))
    with pytest.raises(PoisonError, match=r"labels of 'mal' contradict .* confident answers 'bed'"):
        judge(mixed, there, Trust())
    twins = photos("ann", 60, False)
    again = twins.copy()
    again["prediction_id"] = "again" + twins["prediction_id"]
    again["source"] = "ben"
    again["truth"] = [json.dumps({"classes": ["tv"] if "bed" in text else ["bed"]}) for text in twins["truth"]]
    again["answer"] = "{}"
    with pytest.raises(PoisonError, match="conflict with another of photos that are the same"):
        judge(together(twins, again, photos("cy", 10, False)), there, Trust())
    gold = Known("object_detection", reference, {f"mal{i}": frozenset({"plant"}) for i in range(8)})
    lone = photos("mal", 30, False).assign(answer="{}")
    with pytest.raises(PoisonError, match="labels of 'mal' name other classes than the data before on 8 of 8 photos"):
        judge(lone, gold, Trust())


def test_a_flood_of_one_value_is_found_and_a_queue_of_one_class_is_none() -> None:
    def hot(i: int, truth: str) -> str:
        return "hot"

    flood = labelled("bot", 100, hot, seed=2, gap=0.1)
    flood["answer"] = [json.dumps({"p:hot": 0.3, "p:cold": 0.7, "pred": "cold"})] * 100
    with pytest.raises(PoisonError, match=r"labels of 'bot' came within an hour, 100 of 110 new ones.*say\s+hot"):
        judge(together(flood, labelled("ann", 10)), known(), Trust())
    asked = labelled("ann", 100, seed=2, gap=0.1)
    asked = asked[asked["truth"].str.contains("hot")]
    assert judge(asked, known(), Trust()).rows == frozenset()


def test_values_beyond_usual_errors() -> None:
    draw = np.random.default_rng(1)
    reference = pd.DataFrame({"pred": np.zeros(300), "true": draw.normal(0, 1, 300)})
    there = Known("tabular_regression", reference)

    def values(source: str, shift: float) -> pd.DataFrame:
        frame = labelled(source, 60, seed=1)
        frame["answer"] = json.dumps({"pred": 0.0})
        frame["truth"] = [json.dumps({"value": float(v)}) for v in draw.normal(shift, 1, 60)]
        return frame

    assert judge(together(values("ann", 0), values("ben", 0)), there, Trust()).rows == frozenset()
    with pytest.raises(PoisonError, match="labels of 'mal' contradict 60 of 60 answers by more than a usual error"):
        judge(together(values("ann", 0), values("mal", 100)), there, Trust())


def test_rows_that_are_equal_and_labelled_otherwise() -> None:
    twice = together(labelled("ann", 60, seed=1), labelled("ben", 60, swapped, seed=1))
    twice["feature:heat"] = [float(i % 60) for i in range(120)]
    twice["answer"] = "{}"
    with pytest.raises(PoisonError, match="120 of 120 new labels conflict with another of rows that are equal"):
        judge(twice, known(), Trust())
    noisy = known()
    noisy.reference["feature:heat"] = 1.0  # rows are equal and differ in the data before as well
    assert judge(twice, noisy, Trust(conflicting=0.2)).rows == frozenset()
