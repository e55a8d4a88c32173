"""Prometheus: what is written, and what a Pushgateway gets, is read again by Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from pizzeria.conformance.alerts import AlertSuite, Place, notices, standings
from pizzeria.errors import PizzeriaError
from pizzeria_plugins.alerts import prometheus

from .conftest import receiving


class TestFiles(AlertSuite):
    plugin = prometheus

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        yield Place({"folder": folder}, heard=lambda: "\n".join(one.read_text() for one in folder.glob("*.prom")))

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        yield Place({"folder": folder / "absent"})

    def test_what_it_tells_arrives(self, tmp_path: Path) -> None:
        """the state arrives: texts of alarms are no metrics"""
        options = self.make_options(folder=tmp_path)
        prometheus.show(options, standings()[1])
        assert 'subject="f1"' in (tmp_path / "pizzeria_amenities.prom").read_text()


class TestPushgateway(TestFiles):
    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            yield Place({"folder": None, "pushgateway": server.address}, heard=server.heard)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            server.status = 500
            yield Place({"folder": None, "pushgateway": server.address})


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Value by name and labels of each sample."""
    return {
        (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_state(tmp_path: Path) -> None:
    options = prometheus.Options(folder=tmp_path)
    prometheus.show(options, standings()[1])
    found = samples((tmp_path / "pizzeria_amenities.prom").read_text())
    own = "deployment=amenities"
    assert found["pizzeria_incidents_open", own, "kind=drift"] == 1
    assert found["pizzeria_incidents_open", own, "kind=quality"] == 0
    assert found["pizzeria_incident_open", own, "kind=performance", "subject=f1"] == 1
    assert found["pizzeria_estimated_performance", own, "method=CBPE", "metric=f1"] == 0.61
    assert found["pizzeria_realised_performance", own, "method=CBPE", "metric=f1"] == 0.63
    assert found["pizzeria_chunk_predictions", own] == 500
    assert found["pizzeria_chunk_findings", own, "outcome=undecided"] == 1
    assert found["pizzeria_monitored_timestamp_seconds", own] == 1795684324
    drift = ("kind=drift", "method=jensen_shannon")
    assert found["pizzeria_finding", own, *drift, "subject=brightness"] == 0.4
    assert ("pizzeria_finding_alert", own, *drift, "subject=contrast") not in found

    prometheus.show(options, standings()[0])  # all is well: what was open is gone
    found = samples((tmp_path / "pizzeria_amenities.prom").read_text())
    assert found["pizzeria_incidents_open", own, "kind=drift"] == 0
    assert not any(name == "pizzeria_incident_open" for name, *_ in found)


def test_news_and_state_do_not_overwrite_each_other(tmp_path: Path) -> None:
    options = prometheus.Options(folder=tmp_path)
    for notice in notices():
        prometheus.send(options, notice)
    prometheus.show(options, standings()[1])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"pizzeria_amenities{part}.prom" for part in (".decided", ".firing", "", ".resolved")]
    everything = "".join(path.read_text() for path in tmp_path.iterdir())
    assert samples(everything)["pizzeria_last_notice_alarms", "deployment=amenities", "state=firing"] == 2


def test_a_pushgateway_gets_a_group_of_the_deployment() -> None:
    with receiving() as server:
        options = prometheus.Options(folder=None, pushgateway=server.address)
        prometheus.show(options, standings()[1])
        prometheus.send(options, notices()[0])
    state, news = server.requests
    assert (state.method, state.path) == ("PUT", "/metrics/job/pizzeria/deployment/amenities")
    assert (news.method, news.path) == ("PUT", "/metrics/job/pizzeria_firing/deployment/amenities")
    assert samples(state.body.decode())["pizzeria_incidents_open", "deployment=amenities", "kind=drift"] == 1


def test_nowhere_to_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="both null"):
        prometheus.Options(folder=None)
    with pytest.raises(PizzeriaError, match="cannot be written to") as caught:
        prometheus.show(prometheus.Options(folder=tmp_path / "absent"), standings()[1])
    assert "textfile" in caught.value.hint
