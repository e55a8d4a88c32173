"""What a spec says about verdicts and rooms."""

from __future__ import annotations

import pytest

from pizzeria.errors import SpecError
from pizzeria.loading import load_spec

ROOMS = "rooms: rooms/bundle"
FAULTS = [
    (
        f"serving.verification={{{ROOMS}, prior: {{kitchen: {{stov: 0.7}}}}}}",
        ["prior.kitchen.stov: 'stov' is not", "stove"],
    ),
    (f"serving.verification={{{ROOMS}, prior: {{kitchen: {{stove: 1.7}}}}}}", ["kitchen: stove: found 1.7"]),
    (f"serving.verification={{{ROOMS}}}", ["rooms is of no use without prior"]),
    ("serving.verification={prior: {kitchen: {stove: 0.7}}}", ["prior is of no use without rooms"]),
    ("evaluation.verdicts.precison=0.8", ["unknown key", "did you mean precision?"]),
    ("evaluation.verdicts.omission=0", ["evaluation.verdicts.omission: found 0"]),
    ("evaluation.verdicts={precision: 0.3, omission: 0.4}", ["omission 0.4 is not below precision 0.3"]),
]


@pytest.mark.parametrize(("override", "expected"), FAULTS, ids=[one[0] for one in FAULTS])
def test_faults(override: str, expected: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(["experiment=amenities", override])
    for text in expected:
        assert text in str(caught.value)


def test_a_model_that_judges_no_presence_has_no_rooms() -> None:
    with pytest.raises(SpecError, match="a model for tabular_classification cannot verify listings"):
        load_spec(["experiment=electricity", "serving.verification={rooms: r, prior: {kitchen: {up: 0.7}}}"])


def test_a_right_one_is_taken_whole() -> None:
    spec = load_spec(["experiment=amenities", f"serving.verification={{{ROOMS}, prior: {{kitchen: {{stove: 0.7}}}}}}"])
    assert spec.serving.verification.prior == {"kitchen": {"stove": 0.7}}
    assert spec.evaluation.verdicts.precision == 0.9
