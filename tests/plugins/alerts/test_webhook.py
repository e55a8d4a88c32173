"""The webhook: JSON to a real server, signed, and by TLS; no redirects, no secrets in what it says."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from pizzeria.conformance.alerts import AlertSuite, Place, notices
from pizzeria.errors import PizzeriaError
from pizzeria_plugins.alerts import posting, webhook
from pizzeria_plugins.alerts.texts import SHOWN

from .conftest import certificate, receiving


class TestSuite(AlertSuite):
    plugin = webhook
    options: ClassVar = {"headers": {"Authorization": "PIZZERIA_TEST_TOKEN"}, "signature_variable": "PIZZERIA_TEST_KEY"}

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            yield Place({}, {"PIZZERIA_WEBHOOK_URL": f"{server.address}/T0/B0/very-secret"}, server.heard)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            server.status, server.answer = 403, b"no: /T0/B0/very-secret, a-secret-that-nobody-may-see" * 100
            yield Place({}, {"PIZZERIA_WEBHOOK_URL": f"{server.address}/T0/B0/very-secret"})


class TestDown(AlertSuite):
    plugin = webhook
    options: ClassVar = {"url": "http://127.0.0.1:1/alerts"}

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        with receiving() as server:
            yield Place({"url": f"{server.address}/alerts"}, {}, server.heard)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        with socket.socket() as held:  # so that nobody else gets the port; nobody listens there
            held.bind(("127.0.0.1", 0))
            yield Place({"url": f"http://127.0.0.1:{held.getsockname()[1]}"})


def test_what_a_receiver_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "Bearer secret")
    monkeypatch.setenv("KEY", "of the signature")
    with receiving() as server:
        options = webhook.Options(
            url=f"{server.address}/alerts", headers={"Authorization": "TOKEN"}, signature_variable="KEY"
        )
        firing = notices()[0]
        webhook.send(options, replace(firing, alarms=firing.alarms[:1] * (SHOWN + 3)))
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/alerts")
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == firing.key
    signed = request.headers["x-pizzeria-timestamp"].encode() + b"." + request.body
    wanted = hmac.new(b"of the signature", signed, hashlib.sha256).hexdigest()
    assert request.headers["x-pizzeria-signature"] == f"sha256={wanted}"
    body = json.loads(request.body)
    assert {key: body[key] for key in ("key", "state", "name", "at", "run", "report", "more")} == {
        "key": "key1",
        "state": "firing",
        "name": "amenities",
        "at": firing.at,
        "run": firing.run,
        "report": "r.html",
        "more": 3,
    }
    assert len(body["alarms"]) == SHOWN
    assert body["alarms"][0]["causes"] == ["brightness", "contrast"]
    assert body["links"] == {"page": "https://pizzeria.example/amenities"}


def test_certificates_are_verified(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    with receiving(pem) as server:
        with pytest.raises(PizzeriaError, match=r"cannot be reached: ConnectError.*CERTIFICATE_VERIFY_FAILED"):
            webhook.send(webhook.Options(url=server.address), notices()[0])
        assert server.requests == []
        webhook.send(webhook.Options(url=server.address, ca=pem), notices()[0])
        assert len(server.requests) == 1
        with pytest.raises(PizzeriaError, match=r"the certificates of .*absent.pem cannot be read"):
            webhook.send(webhook.Options(url=server.address, ca=tmp_path / "absent.pem"), notices()[0])


def test_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as elsewhere, receiving() as server:
        server.status, server.headers = 307, {"Location": elsewhere.address}
        with pytest.raises(PizzeriaError, match="answered 307") as caught:
            webhook.send(webhook.Options(url=server.address), notices()[0])
        assert "points elsewhere" in caught.value.hint
        assert elsewhere.requests == []


def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TIMEOUT_S", 2.0)  # enough to be connected, however busy the machine is
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PizzeriaError, match="cannot be reached: ReadTimeout"):
            webhook.send(webhook.Options(url=address), notices()[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "https://user:password@there"}, "holds a user or password"),
        ({"url": "there"}, "no address"),
        ({"url": "https://there/\r\nX: y"}, "no address"),
        ({"url": "https://there", "headers": {"a b": "TOKEN"}}, "no name of a header"),
        ({"url": "https://there", "headers": {"Authorization": "Bearer abc"}}, "String should match"),
        ({"url": "https://there", "headers": {"Content-Type": "TOKEN"}}, "set by the webhook itself"),
    ],
)
def test_options_that_cannot_be_right(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        webhook.Options.model_validate(options)
    assert "password@" not in str(caught.value.errors()[0]["msg"])


def test_a_secret_that_no_header_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret\r\nX-Other: 1")
    options = webhook.Options(url="http://127.0.0.1:1", headers={"Authorization": "TOKEN"})
    with pytest.raises(PizzeriaError, match="the value of TOKEN has") as caught:
        webhook.send(options, notices()[0])
    assert "secret" not in caught.value.message
