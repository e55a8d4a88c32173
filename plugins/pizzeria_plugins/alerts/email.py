"""Tells of alerts by e-mail, through an SMTP server."""

from __future__ import annotations

import html
import logging
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from pizzeria.contracts import Notice
from pizzeria.errors import PizzeriaError
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.alerts.posting import TIMEOUT_S, Variable, secret
from pizzeria_plugins.alerts.texts import clean, sentences, title

if TYPE_CHECKING:
    import smtplib
    import ssl

Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$")]
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_SUBJECT = 150


class Options(BaseOptions):
    """Options of e-mail."""

    host: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,255}$", description="The SMTP server.")
    port: int | None = Field(
        default=None, gt=0, lt=65536, description="Its port; null: 587, or 465 for tls, or 25 for none."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is kept private; none: it is not, and nobody logs in."
    )
    sender: Address = Field(description="From whom: pizzeria@example.org.")
    to: tuple[Address, ...] = Field(min_length=1, description="To whom.")
    user_variable: Variable | None = Field(
        default=None, description="Environment variable with the user's name; null: nobody logs in."
    )
    password_variable: Variable | None = Field(default=None, description="Environment variable with the password.")
    ca: Path | None = Field(default=None, description="PEM file of a certificate authority of your own.")

    @model_validator(mode="after")
    def _login(self) -> Options:
        if (self.user_variable is None) != (self.password_variable is None):
            raise ValueError("user_variable and password_variable go together; set both, or none")
        if self.user_variable is not None and self.security == "none":
            raise ValueError("security: none would send the password for all to read; write starttls or tls")
        return self


def secrets(options: Options) -> tuple[str, ...]:
    """Names of the environment variables that it needs."""
    return tuple(one for one in (options.user_variable, options.password_variable) if one is not None)


def send(options: Options, notice: Notice) -> None:
    """Send one message to all, as text and HTML.

    Where the server takes some recipients and refuses others, it counts as sent, and a warning in the log
    `pizzeria.alerts` names the others: a second try would reach the first ones twice.

    Raises:
        PizzeriaError: a variable is not set, the server cannot be reached, or takes it for nobody.
    """
    import smtplib
    import ssl

    login = None
    if options.user_variable is not None and options.password_variable is not None:
        login = (
            secret(options.user_variable, "the user's name"),
            secret(options.password_variable, "the user's password"),
        )
    port = options.port or _PORTS[options.security]
    where = f"the SMTP server {options.host}:{port}"
    try:
        with _server(options, port) as server:
            if login is not None:
                server.login(*login)
            refused = server.send_message(message(options, notice), options.sender, list(options.to))
    except smtplib.SMTPRecipientsRefused as error:
        raise PizzeriaError(f"{where} refuses all of {', '.join(error.recipients)}") from None
    except smtplib.SMTPResponseException as error:
        said = _without(clean(_text(error.smtp_error), 200), login)
        raise PizzeriaError(f"{where} answered {error.smtp_code}: {said}") from None
    except (smtplib.SMTPException, ssl.SSLError, OSError) as error:
        said = _without(clean(f"{type(error).__name__}: {error}", 200), login)
        raise PizzeriaError(f"{where} cannot be used: {said}", hint=_hint(options)) from None
    for one in refused:
        logging.getLogger("pizzeria.alerts").warning("%s refuses %s", where, one)


def message(options: Options, notice: Notice) -> EmailMessage:
    """The message."""
    mail = EmailMessage()
    mail["Subject"] = clean(f"[Pizzeria] {title(notice)}: {sentences(notice)[0]}", _SUBJECT)
    mail["From"] = options.sender
    mail["To"] = ", ".join(options.to)
    mail["Date"] = _moment(notice.at)
    # A message that is sent again has the same: mail programs show it once.
    mail["Message-ID"] = f"<{_token(notice.key)}@{options.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    said = sentences(notice)
    about = _about(notice)
    lines = [
        title(notice),
        "",
        *(f"- {one}" for one in said),
        "",
        *(f"{what}: {value}" for what, value in about.items()),
    ]
    mail.set_content("\n".join(lines) + "\n")
    rows = "".join(f"<tr><td>{html.escape(what)}</td><td>{_shown(value)}</td></tr>" for what, value in about.items())
    items = "".join(f"<li>{html.escape(one)}</li>" for one in said)
    page = f"<html><body><h1>{html.escape(title(notice))}</h1><ul>{items}</ul><table>{rows}</table></body></html>"
    mail.add_alternative(page, subtype="html")
    return mail


def _about(notice: Notice) -> dict[str, str]:
    about = {"when": clean(notice.at, 40), "deployment": clean(notice.name)}
    if notice.run:
        about["run"] = clean(notice.run)
    if notice.sha256:
        about["bundle"] = notice.sha256[:12]
    if notice.report is not None:
        about["report"] = clean(str(notice.report))
    return about | {clean(what, 50): clean(link, 2000) for what, link in notice.links.items()}


def _shown(value: str) -> str:
    safe = html.escape(value)
    return f'<a href="{safe}">{safe}</a>' if value.startswith(("https://", "http://")) else safe


def _server(options: Options, port: int) -> smtplib.SMTP:
    import smtplib

    if options.security == "tls":
        return smtplib.SMTP_SSL(options.host, port, timeout=TIMEOUT_S, context=_context(options))
    server = smtplib.SMTP(options.host, port, timeout=TIMEOUT_S)
    if options.security == "starttls":
        try:
            server.starttls(context=_context(options))
        except BaseException:
            server.close()
            raise
    return server


def _context(options: Options) -> ssl.SSLContext:
    import ssl

    try:
        return ssl.create_default_context(cafile=None if options.ca is None else str(options.ca))
    except (OSError, ssl.SSLError) as error:
        raise PizzeriaError(
            f"the certificates of {options.ca} cannot be read: {error}", hint="ca is a PEM file"
        ) from None


def _hint(options: Options) -> str:
    return "" if options.security == "none" else f"security is {options.security}; is that what the server speaks?"


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _without(text: str, login: tuple[str, str] | None) -> str:
    """The text without user and password, also as they travel, in Base64."""
    import base64

    for one in login or ():
        for form in (one, base64.b64encode(one.encode()).decode(), base64.b64encode(f"\0{one}".encode()).decode()):
            text = text.replace(form, "[hidden]")
    return text


def _moment(at: str) -> str:
    from datetime import UTC, datetime
    from email.utils import format_datetime

    try:
        return format_datetime(datetime.fromisoformat(at).astimezone(UTC))
    except ValueError:
        from pizzeria.clock import utcnow

        return format_datetime(utcnow())


def _token(key: str) -> str:
    import hashlib

    return (
        key
        if key.isascii() and key.isalnum() and len(key) < 100
        else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    )
