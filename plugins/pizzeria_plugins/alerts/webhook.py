"""Posts alerts as JSON to an address of yours, signed where you ask for it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import Field, field_validator

from pizzeria.clock import utcnow
from pizzeria.contracts import Notice
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.alerts.posting import Receiver, Url, Variable, as_json, connected, header_name_fault, post, secret
from pizzeria_plugins.alerts.texts import SHOWN, clean, plain_alarm

SIGNATURE = "X-Pizzeria-Signature"
TIMESTAMP = "X-Pizzeria-Timestamp"
_OWN = ("content-type", "content-length", "host", "transfer-encoding", SIGNATURE.lower(), TIMESTAMP.lower())


class Options(BaseOptions):
    """Options of the webhook."""

    url: Url | None = Field(default=None, description="Address; null where it is a secret, and url_variable has it.")
    url_variable: Variable = Field(
        default="PIZZERIA_WEBHOOK_URL", description="Environment variable with the address, where url is null."
    )
    headers: Mapping[str, Variable] = Field(
        default_factory=dict,
        description="More headers, each with the environment variable that has its value: {Authorization: TOKEN}.",
    )
    signature_variable: Variable | None = Field(
        default=None,
        description="Environment variable with a key: X-Pizzeria-Signature is then HMAC-SHA256 over timestamp, a dot "
        "and the body.",
    )
    ca: Path | None = Field(default=None, description="PEM file of a certificate authority of your own.")

    @field_validator("headers")
    @classmethod
    def _names(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name in headers:
            if fault := header_name_fault(name):
                raise ValueError(fault)
            if name.lower() in _OWN:
                raise ValueError(f"the header {name} is set by the webhook itself")
        return headers


def secrets(options: Options) -> tuple[str, ...]:
    """Names of the environment variables that it needs."""
    address = () if options.url is not None else (options.url_variable,)
    signature = () if options.signature_variable is None else (options.signature_variable,)
    return (*address, *options.headers.values(), *signature)


def send(options: Options, notice: Notice) -> None:
    """Post the notice as JSON.

    It has `key` (also as the header `Idempotency-Key`), `state`, `name`, `at`, `text`, `sha256`, `run`, `report`,
    `links`, `alarms`, and `more`, the number of alarms that are left out.

    Raises:
        PizzeriaError: a variable is not set, the address cannot be reached, or does not answer with 200 to 299.
    """
    receiver = _receiver(options)
    body = as_json(
        {
            "key": notice.key,
            "state": notice.state,
            "name": clean(notice.name),
            "at": notice.at,
            "text": clean(notice.text, 4000),
            "sha256": notice.sha256,
            "run": clean(notice.run),
            "report": None if notice.report is None else clean(str(notice.report)),
            "links": {clean(what, 100): clean(link, 2000) for what, link in notice.links.items()},
            "alarms": [plain_alarm(alarm) for alarm in notice.alarms[:SHOWN]],
            "more": max(len(notice.alarms) - SHOWN, 0),
        }
    )
    headers = {**receiver.headers, "Idempotency-Key": clean(notice.key, 100)}
    if options.signature_variable is not None:
        key = secret(options.signature_variable, "the key of the signature")
        timestamp = str(int(utcnow().timestamp()))
        headers[TIMESTAMP] = timestamp
        headers[SIGNATURE] = f"sha256={signature(key, timestamp, body)}"
        receiver = replace(receiver, hidden=(*receiver.hidden, key))
    with connected(receiver) as client:
        post(client, replace(receiver, headers=headers), body)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a dot and the body, in hexadecimal digits.

    Example:
        >>> signature("key", "1764147600", b"{}")[:16]
        '49f5008b4ebc3184'
    """
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _receiver(options: Options) -> Receiver:
    values = {name: secret(variable, f"the header {name}") for name, variable in options.headers.items()}
    hidden = tuple(values.values())
    if options.url is not None:
        return Receiver(options.url, options.url, hidden, options.ca, values)
    url = secret(options.url_variable, "the address of the webhook")
    return Receiver(url, f"the webhook of {options.url_variable}", (url, *hidden), options.ca, values)
