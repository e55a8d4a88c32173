"""PagerDuty: events that its Events API v2 takes, checked by a live server as its documentation says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema

from pizzeria.conformance.alerts import AlertSuite, Place, hostile_notices, notices
from pizzeria_plugins.alerts import pagerduty

from .conftest import Receiver, receiving

_KEY = {"type": "string", "minLength": 1}
_LINKS = {
    "type": "array",
    "items": {"type": "object", "required": ["href"], "properties": {"href": {"type": "string"}}},
}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$"}
_RESOLVE = {
    "required": ["routing_key", "event_action", "dedup_key"],
    "properties": {"routing_key": _KEY, "event_action": {"const": "resolve"}, "dedup_key": {"maxLength": 255}},
}
_TRIGGER = {
    "required": ["routing_key", "event_action", "payload"],
    "properties": {
        "routing_key": _KEY,
        "event_action": {"const": "trigger"},
        "dedup_key": {"type": "string", "maxLength": 255},
        "client": {"type": "string"},
        "links": _LINKS,
        "payload": {
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": _TIME,
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
    },
}
_CHANGE = {
    "required": ["routing_key", "payload"],
    "properties": {
        "routing_key": _KEY,
        "links": _LINKS,
        "payload": {
            "required": ["summary"],
            "properties": {"summary": {"type": "string", "minLength": 1, "maxLength": 1024}, "timestamp": _TIME},
        },
    },
}


def check(server: Receiver) -> None:
    """Whether all that a server got are events."""
    for request in server.requests:
        assert len(request.body) <= 512 * 1024
        body = json.loads(request.body)
        if request.path == "/v2/change/enqueue":
            jsonschema.validate(body, _CHANGE)
        else:
            assert request.path == "/v2/enqueue"
            jsonschema.validate(body, {"type": "object", "oneOf": [_TRIGGER, _RESOLVE]})


class TestSuite(AlertSuite):
    plugin = pagerduty

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            server.status, server.answer = 202, b'{"status":"success"}'
            yield Place({"address": server.address}, {}, server.heard)
            check(server)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            server.status = 400
            server.answer = b'{"status":"invalid event","errors":["a-secret-that-nobody-may-see is invalid"]}'
            yield Place({"address": server.address})


def test_what_begins_and_ends_is_one_incident(monkeypatch: object) -> None:
    firing, resolved, decided = notices()
    begins = pagerduty.event(firing, firing.alarms[0], None)
    ends = pagerduty.event(resolved, resolved.alarms[0], None)
    assert begins["dedup_key"] == ends["dedup_key"] == "pizzeria/amenities/performance/f1"
    assert (begins["event_action"], ends["event_action"]) == ("trigger", "resolve")
    assert begins["payload"]["severity"] == "error"
    assert pagerduty.event(firing, firing.alarms[1], None)["payload"]["severity"] == "warning"
    assert pagerduty.event(firing, firing.alarms[1], "critical")["payload"]["severity"] == "critical"
    assert begins["links"] == [{"href": "https://pizzeria.example/amenities", "text": "page"}]
    assert pagerduty.change(decided)["payload"]["summary"] == "amenities: a new model was promoted"


def test_keys_stay_apart_whatever_a_column_is_called() -> None:
    alarms = [alarm for notice in hostile_notices() for alarm in notice.alarms]
    keys = {pagerduty.dedup_key("amenities", alarm) for alarm in alarms}
    assert len(keys) == len({(alarm.kind, alarm.subject) for alarm in alarms})
    assert all(len(key) <= 255 and key.isprintable() for key in keys)
