"""Pages somebody: PagerDuty's Events API v2, and whatever understands the same JSON."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import Field

from pizzeria.contracts import Alarm, Notice
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.alerts.posting import Receiver, Url, Variable, as_json, connected, post, secret
from pizzeria_plugins.alerts.texts import clean, plain_alarm, sentence

Severity = Literal["critical", "error", "warning", "info"]
_SEVERITIES: dict[str, Severity] = {"performance": "error", "concept": "error"}
_DEDUP = 255
_SUMMARY = 1024


class Options(BaseOptions):
    """Options of PagerDuty."""

    key_variable: Variable = Field(
        default="PAGERDUTY_ROUTING_KEY", description="Environment variable with the integration's routing key."
    )
    severity: Severity | None = Field(
        default=None, description="Of all alerts; null: error for performance and concept, warning for the rest."
    )
    address: Url = Field(
        default="https://events.pagerduty.com", description="Where events go, /v2/enqueue comes after it."
    )


def secrets(options: Options) -> tuple[str, ...]:
    """Names of the environment variables that it needs."""
    return (options.key_variable,)


def send(options: Options, notice: Notice) -> None:
    """Send one event for each alarm, `trigger` or `resolve`, with a `dedup_key` that one trouble keeps.

    Sent again, it is the same incident there. What maintenance did is a change event, which pages nobody.

    Raises:
        PizzeriaError: the variable is not set, or an event was not taken.
    """
    key = secret(options.key_variable, "the routing key of a PagerDuty integration")
    receiver = Receiver(options.address, options.address, (key,))
    with connected(receiver) as client:
        if notice.state == "decided":
            post(client, receiver, as_json({"routing_key": key, **change(notice)}), path="/v2/change/enqueue")
        for alarm in notice.alarms:
            body = {"routing_key": key, **event(notice, alarm, options.severity)}
            post(client, receiver, as_json(body), path="/v2/enqueue")


def event(notice: Notice, alarm: Alarm, severity: Severity | None) -> dict[str, Any]:
    """An alarm as an event, without the routing key."""
    resolves = notice.state == "resolved"
    head: dict[str, Any] = {
        "event_action": "resolve" if resolves else "trigger",
        "dedup_key": dedup_key(notice.name, alarm),
    }
    if resolves:
        return head
    payload = {
        "summary": clean(f"{notice.name}: {sentence(alarm)}", _SUMMARY),
        "source": clean(notice.name, 200),
        "severity": severity or _SEVERITIES.get(alarm.kind, "warning"),
        "timestamp": notice.at,
        "component": clean(alarm.subject, 200),
        "class": alarm.kind,
        "custom_details": {
            **plain_alarm(alarm),
            "sha256": notice.sha256,
            "run": clean(notice.run),
            "report": None if notice.report is None else clean(str(notice.report)),
        },
    }
    return {**head, "client": "Pizzeria", "payload": payload, "links": _links(notice)}


def change(notice: Notice) -> dict[str, Any]:
    """What maintenance did as a change event, without the routing key."""
    details = {"sha256": notice.sha256, "run": clean(notice.run)}
    payload = {
        "summary": clean(notice.text, _SUMMARY),
        "source": clean(notice.name, 200),
        "timestamp": notice.at,
        "custom_details": details,
    }
    return {"payload": payload, "links": _links(notice)}


def dedup_key(name: str, alarm: Alarm) -> str:
    """Names one trouble, the same when it begins and when it is over.

    Example:
        >>> dedup_key("amenities", Alarm("performance", "f1", "3", "", "", "f1 fell"))
        'pizzeria/amenities/performance/f1'
    """
    key = f"pizzeria/{name}/{alarm.kind}/{alarm.subject}"
    if key == clean(key, _DEDUP):
        return key
    return f"pizzeria/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _links(notice: Notice) -> list[dict[str, str]]:
    return [{"href": clean(link, 2000), "text": clean(what, 100)} for what, link in notice.links.items()]
