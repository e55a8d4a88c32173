"""The corpus: it tries what it says, and the real service answers it as the contract in this process does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pizzeria.conformance.corpus import Case, comparable, differences, over_http, record
from pizzeria.errors import DeploymentError
from pizzeria.spec.stages import Serving

from ...plugins.servers import conftest as services
from ...plugins.servers.conftest import Service

detection_bundle = services.detection_bundle
classification_bundle = services.classification_bundle
tabular_bundle = services.tabular_bundle
mixed_bundle = services.mixed_bundle
service = services.service
tabular_service = services.tabular_service


@pytest.mark.parametrize("kind", ["detection", "classification", "tabular", "mixed"])
def test_it_has_good_and_bad_requests_for_each_task(kind: str, request: pytest.FixtureRequest) -> None:
    bundle: Path = request.getfixturevalue(f"{kind}_bundle")
    recorded = record(bundle, Serving(max_body_mb=0.2, max_megapixels=1))
    names = [one.case.name for one in recorded]
    assert len(set(names)) == len(names)
    counts = Counter(one.status for one in recorded)
    assert counts[200] >= 5
    assert {400, 404, 405, 413, 415, 422} <= counts.keys()
    assert not [one.case.name for one in recorded if one.status >= 500]
    assert [one.status for one in recorded if one.case.name.startswith(("golden", "a hundred"))] == [200] * 4


def test_a_record_is_the_same_twice(detection_bundle: Path) -> None:
    assert record(detection_bundle, Serving()) == record(detection_bundle, Serving())


@pytest.mark.slow
def test_a_service_of_photos_answers_it_equally(service: Service) -> None:
    recorded = record(service.release.bundle, service.release.serving)
    assert differences(recorded, over_http(service.url)) == []


@pytest.mark.slow
def test_a_service_of_rows_answers_it_equally(tabular_service: Service) -> None:
    recorded = record(tabular_service.release.bundle, tabular_service.release.serving)
    assert differences(recorded, over_http(tabular_service.url)) == []


def test_each_difference_is_told(detection_bundle: Path) -> None:
    recorded = record(detection_bundle, Serving())
    answers = {one.case.name: (one.status, one.body) for one in recorded}
    assert differences(recorded, lambda case: answers[case.name]) == []
    answers["golden, raw"] = (200, answers["golden, raw"][1].replace(b"bed", b"cot"))
    answers["wrong method"] = (404, answers["wrong method"][1])
    told = differences(recorded, lambda case: answers[case.name])
    assert len(told) == 2
    assert "status 404 instead of 405" in told[0]
    assert "cot" in told[1]


def test_ids_and_the_log_are_left_out_and_nothing_else() -> None:
    ready = b'{"status":"ready","sha256":"ab","log":{"waiting":1,"dropped":0,"trouble":false}}'
    assert comparable(ready) == b'{"status":"ready","sha256":"ab"}'
    assert comparable(b'{"error":{"code":"x","log":1}}') == b'{"error":{"code":"x","log":1}}'


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(DeploymentError, match="gives no answer to 'alive'"):
        over_http("http://127.0.0.1:9", timeout_s=2)(Case("alive", "GET", "/healthz"))
