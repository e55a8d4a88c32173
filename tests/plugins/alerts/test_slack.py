"""Slack: a message within the limits of Block Kit, in which no text is markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema

from pizzeria.conformance.alerts import AlertSuite, Place, hostile_notices, notices
from pizzeria_plugins.alerts import slack

from .conftest import receiving

# The parts of Slack's Block Kit reference that the channel uses: types and lengths.
_TEXT = {
    "type": "object",
    "required": ["type", "text"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["plain_text", "mrkdwn"]},
        "text": {"type": "string", "minLength": 1, "maxLength": 3000},
        "emoji": {"type": "boolean"},
    },
}
_SCHEMA = {
    "type": "object",
    "required": ["text", "blocks"],
    "additionalProperties": False,
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 4000},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": {
                "oneOf": [
                    {
                        "required": ["type", "text"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "header"},
                            "text": {**_TEXT, "properties": {**_TEXT["properties"], "text": {"maxLength": 150}}},
                        },
                    },
                    {
                        "required": ["type", "text"],
                        "additionalProperties": False,
                        "properties": {"type": {"const": "section"}, "text": _TEXT},
                    },
                    {
                        "required": ["type", "elements"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "context"},
                            "elements": {"type": "array", "minItems": 1, "maxItems": 10, "items": _TEXT},
                        },
                    },
                ]
            },
        },
    },
}


class TestSuite(AlertSuite):
    plugin = slack

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            yield Place({}, {"SLACK_WEBHOOK_URL": f"{server.address}/services/T0/B0/very-secret"}, server.heard)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            server.status, server.answer = 404, b"no_team: /services/T0/B0/very-secret"
            yield Place({}, {"SLACK_WEBHOOK_URL": f"{server.address}/services/T0/B0/very-secret"})


def test_the_message() -> None:
    message = slack.message(notices()[0])
    header, said, about, links = message["blocks"]
    assert header["text"]["text"] == "amenities: 2 alerts"
    assert said["text"]["text"].splitlines()[0] == (
        "- f1 is 0.61 in chunk 7, below 0.7. Likely behind it: brightness, contrast."
    )
    assert "run amenities-0d9f6b2c41aa" in about["elements"][0]["text"]
    assert links["elements"][0] == {"type": "mrkdwn", "text": "<https://pizzeria.example/amenities|page>"}
    assert slack.message(notices()[1])["blocks"][0]["text"]["text"] == "amenities: over"


def test_every_message_is_one_that_slack_takes() -> None:
    for notice in (*notices(), *hostile_notices()):
        message = json.loads(json.dumps(slack.message(notice)))
        jsonschema.validate(message, _SCHEMA)
        for text in _markup(message):
            assert "<!" not in text, "it would call everybody"
            assert "<https://evil" not in text


def _markup(message: dict[str, Any]) -> list[str]:
    """The texts in which Slack reads markup."""
    elements = [element for block in message["blocks"] for element in block.get("elements", [])]
    return [message["text"], *(element["text"] for element in elements if element["type"] == "mrkdwn")]
