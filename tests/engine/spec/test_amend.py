"""Changes of a resolved spec for one deployment."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from pizzeria.errors import SpecError
from pizzeria.spec.amend import amend

DATA: dict[str, Any] = {
    "deployment": {"use": "local", "port": 3000, "schedule": {"monitor": None}},
    "serving": {"use": "bentoml", "log": {"use": "sqlite", "keep_photos": True}},
}


def test_the_order_on_the_command_line_does_not_matter() -> None:
    typed = ["deployment.use=vm", "deployment.host=a", "deployment.schedule.monitor=1h"]
    wanted = {"use": "vm", "host": "a", "schedule": {"monitor": "1h"}}
    for order in permutations(typed):
        assert amend(DATA, order)[0]["deployment"] == wanted


def test_a_choice_starts_from_its_file() -> None:
    found, typed = amend(DATA, ["deployment.port=4000", "deployment=local"])
    assert found["deployment"]["port"] == 4000
    assert "schedule" not in found["deployment"]
    assert typed == {("deployment",): "deployment=local", ("deployment", "port"): "deployment.port=4000"}


def test_the_log_may_go_and_come() -> None:
    without, _ = amend(DATA, ["serving.log=null"])
    assert without["serving"] == {"use": "bentoml", "log": None}
    assert amend(without, ["serving.log.use=lines"])[0]["serving"]["log"] == {"use": "lines"}
    assert amend(DATA, ["serving.log={use: lines}"])[0]["serving"]["log"] == {"use": "lines"}
    assert DATA["serving"]["log"]["keep_photos"] is True  # nothing of the spec itself is changed


def test_values_are_read_as_hydra_reads_them() -> None:
    typed = ["deployment.rollout={steps: [5, 50], step_s: 1.5}", "deployment.host='a=b'", "+deployment.port=1"]
    found, _ = amend(DATA, typed)
    assert found["deployment"]["rollout"] == {"steps": [5, 50], "step_s": 1.5}
    assert (found["deployment"]["host"], found["deployment"]["port"]) == ("a=b", 1)


@pytest.mark.parametrize("text", ["name=x", "deployments.x=1", "deployment.x=[", "", "=", "deployment..x=1"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        amend(DATA, [text])


@pytest.mark.parametrize("target", ["aws_lambda", "azure_functions", "google_functions"])
def test_a_place_without_files_brings_a_log_along(target: str) -> None:
    data = {"deployment": {"use": "local"}, "serving": {"use": "bentoml", "log": {"use": "sqlite"}}}
    amended, _ = amend(data, [f"deployment={target}"])
    assert amended["deployment"]["use"] == target
    assert amended["serving"]["log"]["use"] == "lines"
    assert amended["serving"]["use"] == "bentoml"
    assert amend(data, ["deployment=container"])[0]["serving"]["log"] == {"use": "sqlite"}
    kept, _ = amend({**data, "serving": {"log": {"use": "postgresql", "dsn_from": "DSN"}}}, [f"deployment={target}"])
    assert kept["serving"]["log"] == {"use": "postgresql", "dsn_from": "DSN"}
    said, _ = amend(data, ["serving.log.use=parquet", f"deployment={target}"])
    assert said["serving"]["log"] == {"use": "parquet"}
    assert amend({**data, "serving": {"log": None}}, [f"deployment={target}"])[0]["serving"]["log"] is None
