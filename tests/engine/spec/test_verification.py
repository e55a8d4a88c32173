"""What a spec says about verdicts and rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria.errors import DataError, SpecError
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs.store import Store

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


def test_another_bundle_of_rooms_is_another_deployment(tmp_path: Path) -> None:
    rooms = tmp_path / "rooms"
    override = f"serving.verification={{rooms: {rooms}, prior: {{kitchen: {{stove: 0.7}}}}}}"
    spec = load_spec(["experiment=amenities", override])
    with pytest.raises(DataError, match="rooms"):
        plan(spec, Store(tmp_path / "runs"))
    rooms.mkdir()
    found = []
    for text in ("{}", '{"model.onnx": "ab12"}'):
        (rooms / "manifest.json").write_text(text)
        found.append({step.name: step.fingerprint for step in plan(spec, Store(tmp_path / "runs"))})
    assert [name for name in found[0] if found[0][name] != found[1][name]] == ["deploy"]
