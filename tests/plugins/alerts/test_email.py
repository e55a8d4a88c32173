"""E-mail, to a real SMTP server: with and without TLS and login; hostile texts add no header and no markup."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from pizzeria.conformance.alerts import AlertSuite, Place, hostile_notices, notices
from pizzeria.errors import PizzeriaError
from pizzeria_plugins.alerts import email

from .conftest import certificate

Controller = pytest.importorskip("aiosmtpd.controller").Controller
AuthResult = pytest.importorskip("aiosmtpd.smtp").AuthResult

_FROM = {"sender": "pizzeria@example.org", "to": ("a@example.org", "b@example.org")}


class Inbox:
    """Keeps what comes, and refuses whom it is told to."""

    def __init__(self, refuses: tuple[str, ...] = ()) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Any] = []
        self.refuses = refuses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refuses:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.SMTP))  # type: ignore[arg-type]
        return "250 taken"

    def heard(self) -> str:
        """Headers and bodies, decoded."""
        said = []
        for mail in self.mails:
            said += [f"{name}: {value}" for name, value in mail.items()]
            said += [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
        return "\n".join(said)


class Listening(Controller):  # type: ignore[misc, valid-type]
    """On a socket that listens already: a port that is merely free may be somebody else's a moment later."""

    listening: socket.socket

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self.listening, ssl=self.ssl_context)


@contextmanager
def serving(inbox: Inbox, pem: Path | None = None, *, implicit: bool = False, login: bool = False) -> Iterator[int]:
    """An SMTP server; returns its port.

    Args:
        pem: With it the server speaks STARTTLS, and wants it.
        implicit: TLS from the first byte on instead.
        login: It takes mail of `cook` with the password `very-secret` alone.
    """
    options: dict[str, Any] = {}
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        options = {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": True}
    if login:
        options |= {
            "authenticator": lambda server, session, envelope, mechanism, data: AuthResult(
                success=(data.login, data.password) == (b"cook", b"very-secret"), handled=False
            ),
            "auth_required": True,
            "auth_require_tls": not implicit,
        }
    listening = socket.create_server(("127.0.0.1", 0))
    controller = Listening(inbox, hostname="127.0.0.1", port=listening.getsockname()[1], ready_timeout=60, **options)
    controller.listening = listening
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


class TestSuite(AlertSuite):
    plugin = email
    options: ClassVar = {
        **_FROM,
        "host": "127.0.0.1",
        "user_variable": "PIZZERIA_TEST_USER",
        "password_variable": "PIZZERIA_TEST_PASSWORD",
    }

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        pem, inbox = certificate(folder), Inbox()
        values = {"PIZZERIA_TEST_USER": "cook", "PIZZERIA_TEST_PASSWORD": "very-secret"}
        with serving(inbox, pem, login=True) as port:
            yield Place({"port": port, "ca": pem}, values, inbox.heard)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        pem = certificate(folder)
        with serving(Inbox(), pem, login=True) as port:
            yield Place({"port": port, "ca": pem})  # and another password


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_the_message_arrives(tmp_path: Path, security: Any) -> None:
    pem, inbox = certificate(tmp_path), Inbox()
    with serving(inbox, None if security == "none" else pem, implicit=security == "tls") as port:
        options = email.Options(
            host="127.0.0.1", port=port, security=security, ca=None if security == "none" else pem, **_FROM
        )
        email.send(options, notices()[0])
    (mail,), (envelope,) = inbox.mails, inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("pizzeria@example.org", ["a@example.org", "b@example.org"])
    assert mail["Subject"].startswith("[Pizzeria] amenities: 2 alerts: f1 is 0.61 in chunk 7")
    assert mail["Message-ID"] == "<key1@example.org>"
    assert mail["Date"].datetime.isoformat() == "2026-11-26T09:12:04+00:00"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "- 2 columns drifted in chunk 7. Likely behind it: brightness, contrast." in text.get_content()
    assert '<a href="https://pizzeria.example/amenities">' in page.get_content()


def test_certificates_are_verified(tmp_path: Path) -> None:
    inbox = Inbox()
    with (
        serving(inbox, certificate(tmp_path)) as port,
        pytest.raises(PizzeriaError, match="cannot be used: SSLCertVerificationError"),
    ):
        email.send(email.Options(host="127.0.0.1", port=port, **_FROM), notices()[0])
    assert inbox.mails == []


def test_hostile_texts_add_no_header_and_no_markup() -> None:
    options = email.Options(host="127.0.0.1", **_FROM)
    for notice in hostile_notices():
        mail = message_from_bytes(email.message(options, notice).as_bytes(policy=policy.SMTP), policy=policy.SMTP)
        assert set(mail.keys()) == {
            "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        }  # fmt: skip
        assert str(mail["To"]) == "a@example.org, b@example.org"
        assert len(str(mail["Subject"])) <= 150
        page = mail.get_body(("html",))  # type: ignore[attr-defined]
        assert _tags(page.get_content()) <= {"html", "body", "h1", "ul", "li", "table", "tr", "td", "a"}


def _tags(page: str) -> set[str]:
    found = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            found.add(tag)

    Tags().feed(page)
    return found


def test_recipients_that_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Inbox(refuses=("b@example.org",))) as port:
        email.send(email.Options(host="127.0.0.1", port=port, security="none", **_FROM), notices()[0])
    assert "refuses b@example.org" in caplog.text
    with (
        serving(Inbox(refuses=("a@example.org", "b@example.org"))) as port,
        pytest.raises(PizzeriaError, match=r"refuses all of a@example\.org, b@example\.org"),
    ):
        email.send(email.Options(host="127.0.0.1", port=port, security="none", **_FROM), notices()[0])


def test_a_server_without_starttls_gets_nothing() -> None:
    inbox = Inbox()
    with serving(inbox) as port, pytest.raises(PizzeriaError, match="STARTTLS") as caught:
        email.send(email.Options(host="127.0.0.1", port=port, **_FROM), notices()[0])
    assert "is that what the server speaks?" in caught.value.hint
    assert inbox.mails == []


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email, "TIMEOUT_S", 2.0)  # enough to be connected, however busy the machine is
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = email.Options(host="127.0.0.1", port=silent.getsockname()[1], **_FROM)
        with pytest.raises(PizzeriaError, match=r"cannot be used: SMTPServerDisconnected.*timed out"):
            email.send(options, notices()[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": ("a@example.org\nBcc: b@example.org",)}, "String should match"),
        ({"to": ()}, "at least 1 item"),
        ({"user_variable": "USER"}, "go together"),
        ({"security": "none", "user_variable": "U", "password_variable": "P"}, "for all to read"),
    ],
)
def test_options_that_cannot_be_right(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        email.Options(**{"host": "127.0.0.1", **_FROM, **options})
