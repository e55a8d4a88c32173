"""What a spec wishes of thresholds."""

from __future__ import annotations

import pytest
import yaml

from pizzeria.errors import SpecError
from pizzeria.loading import load_spec

FAULTS = [
    ("evaluation.thresholds=max_f2", ["found 'max_f2'", "max_f1, {precision: 0.9} or {recall: 0.9}"]),
    ("evaluation.thresholds={precison: 0.9}", ["thresholds.precison: unknown key", "did you mean precision?"]),
    ("evaluation.thresholds={precision: 90}", ["evaluation.thresholds.precision: found 90"]),
    ("evaluation.thresholds={precision: 0.9, recall: 0.5}", ["precision and recall exclude each other"]),
    ("evaluation.thresholds={by_class: {beed: max_f1}}", ["'beed' is not among problem.classes", "did you mean bed?"]),
    ("evaluation.thresholds={by_class: {bed: {recall: 0}}}", ["thresholds.by_class.bed.recall: found 0"]),
]


@pytest.mark.parametrize(("override", "expected"), FAULTS, ids=[one[0] for one in FAULTS])
def test_faults(override: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(["experiment=amenities", override])
    for text in expected:
        assert text in str(caught.value)


def test_a_task_without_a_threshold_has_no_wish_for_one() -> None:
    with pytest.raises(SpecError, match="tabular_classification says the likeliest class, and no threshold"):
        load_spec(["experiment=census", "evaluation.thresholds={precision: 0.9}"])


def test_a_right_one_is_taken_whole_and_written_as_one_would() -> None:
    text = "{precision: 0.9, by_class: {tv: {recall: 0.8}, bed: max_f1}}"
    spec = load_spec(["experiment=amenities", f"evaluation.thresholds={text}"])
    thresholds = spec.evaluation.thresholds
    told = [thresholds.of(name).text for name in ("sofa", "tv", "bed")]
    assert told == ["precision at least 0.9", "recall at least 0.8", "max_f1"]
    assert spec.resolved()["evaluation"]["thresholds"] == yaml.safe_load(text)
    assert load_spec(["experiment=amenities"]).resolved()["evaluation"]["thresholds"] == "max_f1"
