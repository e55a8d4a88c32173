"""Tells of alerts in a Slack channel, by an incoming webhook."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pizzeria.contracts import Notice
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.alerts.posting import Receiver, Variable, as_json, connected, post, secret
from pizzeria_plugins.alerts.texts import clean, sentences, title

# Limits of Slack's Block Kit.
_HEADER = 150
_SECTION = 3000
_FALLBACK = 3000


class Options(BaseOptions):
    """Options of Slack."""

    url_variable: Variable = Field(
        default="SLACK_WEBHOOK_URL",
        description="Environment variable with the address of the incoming webhook, which is a secret.",
    )


def secrets(options: Options) -> tuple[str, ...]:
    """Names of the environment variables that it needs."""
    return (options.url_variable,)


def send(options: Options, notice: Notice) -> None:
    """Post the notice as blocks of plain text, in which Slack reads no markup and mentions nobody.

    Raises:
        PizzeriaError: the variable is not set, or Slack does not take it.
    """
    url = secret(options.url_variable, "the address of Slack's incoming webhook")
    receiver = Receiver(url, f"the Slack webhook of {options.url_variable}", (url,))
    with connected(receiver) as client:
        post(client, receiver, as_json(message(notice)))


def message(notice: Notice) -> dict[str, Any]:
    """The message as Slack reads it."""
    said = "\n".join(f"- {one}" for one in sentences(notice))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(title(notice), _HEADER)},
        {"type": "section", "text": _plain(said, _SECTION)},
    ]
    about = [clean(notice.at, 40)]
    about += [f"bundle {notice.sha256[:12]}"] if notice.sha256 else []
    about += [f"run {clean(notice.run, 100)}"] if notice.run else []
    about += [f"report {clean(str(notice.report), 300)}"] if notice.report is not None else []
    blocks.append({"type": "context", "elements": [_plain(", ".join(about), _SECTION)]})
    if notice.links:
        links = " ".join(f"<{_link(link)}|{_escaped(clean(what, 50))}>" for what, link in notice.links.items())
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links[:_SECTION]}]})
    fallback = f"{title(notice)}: {' '.join(sentences(notice))}"
    return {"text": _escaped(clean(fallback, _FALLBACK // 5)), "blocks": blocks}


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "emoji": False, "text": text if len(text) <= most else f"{text[: most - 4]} ..."}


def _escaped(text: str) -> str:
    """As Slack asks for it: so that `<!channel>` is a text and calls nobody.

    Example:
        >>> _escaped("<!channel> & co")
        '&lt;!channel&gt; &amp; co'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(link: str) -> str:
    return _escaped(clean(link, 1000)).replace("|", "%7C").replace(" ", "%20")
