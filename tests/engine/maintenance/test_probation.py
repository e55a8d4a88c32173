"""A champion on probation: it stays, or the former comes back, and the cycle does not go mad over it."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.deployments import champion
from pizzeria.maintenance.probation import promotion
from pizzeria.maintenance.watching import truth_of
from pizzeria.monitoring.history import History, folder_of
from pizzeria.monitoring.incidents import update
from pizzeria.spec.problem import Problem

from .conftest import Place, new_world, smallest_flats


def test_it_goes_back_when_the_former_is_surely_better(promoted: Place) -> None:
    """The flats are as of old again, where the former is better; nobody trains the same model again."""
    promoted.settings(compare={"no_worse_by": 0.0, "resamples": 200})
    second = promoted.sha256()
    promoted.traffic(smallest_flats(300, 21))
    back = promoted.maintain()
    assert back.action == "rolled back", back.why
    assert back.evidence["how"] == "side by side"
    assert back.evidence["compared"]["high"] < 0
    assert promoted.sha256() == back.evidence["former"] != second
    assert promoted.ledger.champion("prices").event == "rolled_back"  # type: ignore[union-attr]
    assert promotion(champion("prices", promoted.store)[0], promoted.store) is None

    # The bell rings on, the labels are those of before: round and round it must not go.
    promoted.ring()
    trained = len(promoted.ledger.entries("prices", "run_finished"))
    said = set()
    for _ in range(6):
        promoted.later(hours=13)
        promoted.ring()
        found = promoted.maintain()
        said.add(found.action)
        if found.action == "promoted":
            pytest.fail(f"it was promoted again: {found.why}")
    assert len(promoted.ledger.entries("prices", "run_finished")) <= trained + 1
    assert "lacking" in said
    assert promoted.sha256() == back.evidence["former"]


def test_a_little_worse_is_borne_until_the_end(promoted: Place) -> None:
    promoted.settings(compare={"no_worse_by": 9.0, "resamples": 200})
    second = promoted.sha256()
    promoted.traffic(smallest_flats(200, 21))
    looked = promoted.maintain()
    assert looked.action == "kept", looked.why
    assert promoted.maintain(dry_run=True).action == "kept"
    promoted.later(days=2)
    assert promoted.maintain(dry_run=True).action == "rolled back"
    assert promoted.sha256() == second
    assert promoted.maintain().action == "rolled back"
    assert promoted.sha256() != second


def test_too_little_is_seen(promoted: Place) -> None:
    promoted.ring(False)
    first = promoted.maintain()
    assert first.action == "kept"
    assert "0 of its predictions have labels" in first.why
    promoted.later(days=2)
    assert "probation is extended to" in promoted.maintain().why
    promoted.later(days=2)
    over = promoted.maintain()
    assert over.action == "settled"
    assert "too little was seen" in over.why
    assert promoted.decided() == ["promoted", "kept", "kept", "settled"]


def test_no_probation_no_look(promoted: Place) -> None:
    promoted.settings(probation=None)
    assert "not been monitored yet" in promoted.maintain().why


def test_it_is_judged_by_what_it_reaches_where_the_former_cannot_be_asked(promoted: Place) -> None:
    [row] = [one for one in promoted.ledger.entries("prices", "decided") if one.detail["action"] == "promoted"]
    former = promoted.store.run(row.run).stage("package") / "bundle" / "model.onnx"
    promoted.traffic(new_world(60, 22))
    away = former.rename(former.with_name("away"))  # its bundle is spoilt, and cannot be asked
    found = promoted.maintain()
    assert (found.action, found.evidence["how"]) == ("kept", "realised")
    promoted.traffic(new_world(200, 23), truth=900.0)  # far beyond what the former did on its last ones
    found = promoted.maintain(dry_run=True)  # a look: what is kept was brought up to date by the pass before
    assert found.evidence["how"] == "realised"
    away.rename(former)


@pytest.mark.parametrize(("value", "alarm", "action"), [(40.0, True, "rolled back"), (40.0, False, "kept")])
def test_without_labels_the_estimate_decides_when_it_alerts_too(
    promoted: Place, value: float, alarm: bool, action: str
) -> None:
    entry, run, _ = champion("prices", promoted.store)
    former = promoted.last()["evidence"]["instead_of"]
    history = History(folder_of(promoted.store, "prices"))

    def chunk(sha256: str, name: str, mae: float, alarms: tuple[Alarm, ...] = ()) -> None:
        promoted.later(hours=1)
        at = promoted.at.isoformat()
        finding = Finding("performance", "mae", name, at, at, mae, "", bool(alarms), error=1.0)
        verdict = Verdict((finding,), alarms, (), chunks=(Judged(name, at, at, 500, 0, False),))

        def follow(connection: Any) -> None:
            update(connection, verdict, sha256=sha256, run=run.id, at=at, champion=sha256 == entry.sha256)

        history.record(verdict, sha256=sha256, run=run.id, at=at, then=follow)

    chunk(former, "91", 20.0)
    at = promoted.at.isoformat()
    chunk(entry.sha256, "1", value, (Alarm("performance", "mae", "1", at, at, "mae is high"),) if alarm else ())
    found = promoted.maintain()
    assert found.evidence["how"] == "estimated"
    assert found.action == action, found.why


def test_truth_of_photos() -> None:
    problem = Problem(
        need="Test.", owner="tests", task="object_detection", classes=("bed", "tv"),
        success=[{"metric": "map_50", "at_least": 0.1}],  # type: ignore[list-item]
    )  # fmt: skip
    box = {"class": "tv", "x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4}
    both = [{"boxes": [box], "classes": ["tv"]}, {"boxes": [], "classes": []}]
    frame = pd.DataFrame({"prediction_id": ["a", "b"], "truth": [json.dumps(one) for one in both]})
    found = truth_of(frame, problem)
    assert found.boxes is not None
    assert [len(one.labels) for one in found.boxes] == [1, 0]
    frame.loc[1, "truth"] = json.dumps({"classes": ["bed"]})
    shown = truth_of(frame, problem)
    assert shown.probabilities is not None
    assert shown.probabilities.tolist() == [[0, 1], [1, 0]]
