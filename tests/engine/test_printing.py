"""Verdicts on the terminal: the reason beside each, and what could not be judged apart."""

from __future__ import annotations

import pytest

from pizzeria.printing import print_verdicts

BED = {
    "amenity": "bed",
    "verdict": "confirmed",
    "probability": 0.987,
    "reason": "seen in a.jpg with 99 %",
    "evidence": {"photo": "a.jpg", "prediction_id": None, "box": None},
}
SOFA = {"amenity": "sofa", "probability": 0.9, "evidence": {"photo": "b.jpg", "prediction_id": None, "box": None}}


def test_verdicts_and_faults(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_verdicts(
        [
            {
                "listing_id": "L1",
                "verdicts": [BED],
                "undeclared": [SOFA],
                "not_judged": ["jacuzzi"],
                "unreadable": {"c.jpg": "the JPEG cannot be decoded"},
                "fault": "",
            },
            {"listing_id": "L2", "verdicts": [], "undeclared": [], "unreadable": {}, "fault": "t.csv:3: no photo"},
        ]
    )
    shown = capsys.readouterr()
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["listing", "amenity", "verdict", "probability", "reason"]
    assert lines[1] == ["L1", "bed", "confirmed", "0.99", "seen", "in", "a.jpg", "with", "99", "%"]
    assert lines[2] == ["sofa", "seen", "but", "not", "declared", "0.90", "seen", "in", "b.jpg"]
    assert lines[3] == ["jacuzzi", "not", "judged"]
    assert len(lines) == 4
    assert shown.err.splitlines() == ["listing L1: c.jpg: the JPEG cannot be decoded", "listing L2: t.csv:3: no photo"]


def test_an_answer_of_the_service_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_verdicts([{"listing_id": "L1", "verdicts": [BED], "undeclared": [], "photos": [], "model": "sha"}])
    assert "confirmed" in capsys.readouterr().out
