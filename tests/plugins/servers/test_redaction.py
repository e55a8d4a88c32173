"""What `serving.log.redact` leaves out of the records."""

from __future__ import annotations

from typing import Any

import pytest

from pizzeria.errors import DeploymentError
from pizzeria_plugins.servers.redaction import redactor

RECORD: dict[str, Any] = {
    "timestamp": "2026-05-01T12:00:00+00:00",
    "prediction_id": "1",
    "sha256": "aa",
    "input_id": "Anna's kitchen.jpg",
    "listing_id": "42",
    "latency_ms": 2.5,
    "feature:price": 90,
    "feature:rooms": 2,
    "embedding": "AAAA",
    "pred": 100.0,
}


def left(*names: str) -> dict[str, Any]:
    redact = redactor(names, ["price", "rooms"])
    assert redact is not None
    (one,) = redact([RECORD])
    return dict(one)


def test_names_become_empty_and_values_go() -> None:
    assert left("input_id") == RECORD | {"input_id": ""}
    assert left("input_id", "listing_id") == RECORD | {"input_id": "", "listing_id": ""}
    assert left("feature:price") == {key: value for key, value in RECORD.items() if key != "feature:price"}
    assert left("embedding") == {key: value for key, value in RECORD.items() if key != "embedding"}


def test_all_features_go_and_nothing_else() -> None:
    assert set(RECORD) - set(left("feature:*")) == {"feature:price", "feature:rooms"}


def test_the_record_itself_is_left_as_it_is() -> None:
    before = dict(RECORD)
    left("feature:*", "input_id")
    assert before == RECORD


def test_nothing_to_leave_out_costs_nothing() -> None:
    assert redactor([], ["price"]) is None


@pytest.mark.parametrize(
    ("name", "hint"), [("feature:prise", "feature:price"), ("inputid", "input_id"), ("pred", "there is")]
)
def test_a_name_that_no_record_has_is_refused(name: str, hint: str) -> None:
    with pytest.raises(DeploymentError, match=f"no record has '{name}'") as refused:
        redactor([name], ["price", "rooms"])
    assert hint in refused.value.hint


def test_the_columns_of_a_table_are_redacted_too() -> None:
    redact = redactor(["input_id", "feature:price"], ["price", "rooms"])
    assert redact is not None
    columns = {"input_id": ["Anna"], "feature:price": [90], "feature:rooms": [2], "pred": [100.0]}
    (one,) = redact([{"prediction_id": "1", "input_id": "", "rows": 1, "columns": columns}])
    assert one == {"prediction_id": "1", "input_id": "", "rows": 1, "columns": {"feature:rooms": [2], "pred": [100.0]}}
    assert set(columns) == {"input_id", "feature:price", "feature:rooms", "pred"}
