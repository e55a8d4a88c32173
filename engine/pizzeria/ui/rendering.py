"""From what a page knows to HTML. Everything is escaped: names, texts and labels are other people's."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pizzeria.report import wording
from pizzeria.ui import wheel
from pizzeria.ui.evidence import read_evidence
from pizzeria.ui.projects import Project
from pizzeria.ui.shop import shop_of

HERE = Path(__file__).parent
STYLE = HERE / "static" / "style.css"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)")
THEMES = ("light", "dark")

TABS = (
    ("", "Overview"),
    ("runs", "Runs"),
    ("deployment", "Deployment"),
    ("monitoring", "Monitoring"),
    ("alerts", "Alerts"),
    ("data", "Data"),
    ("decisions", "Decisions"),
    ("labels", "Labels"),
)


def render(
    request: Request, template: str, *, status: int = 200, project: Project | None = None, **facts: Any
) -> HTMLResponse:
    """One page.

    Args:
        template: Its file, without `.html.j2`.
        project: Whose page it is.
        facts: What the template shows.
    """
    shop = shop_of(request)
    session = shop.access.session(request.cookies)
    theme = request.cookies.get("pizzeria_theme", "")
    parts = request.url.path.strip("/").split("/")
    text = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            **facts,
            project=project,
            access=shop.access,
            session=session,
            acts=shop.access.actions and session is not None,
            theme=theme if theme in THEMES else "",
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            tab=parts[1] if len(parts) > 1 else "",
            tabs=TABS,
            style=f"/-/style.css?{_style()[1]}",
            unread=shop.runs.unread,
            ready=shop.runs.ready,
            slices=wheel.slices,
            wheel_words=wheel.summary,
        )
    )
    return HTMLResponse(text, status_code=status)


def style() -> bytes:
    """The style sheet."""
    return _style()[0]


@cache
def _style() -> tuple[bytes, str]:
    content = STYLE.read_bytes()
    return content, sha256(content).hexdigest()[:12]


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "number": wording.number,
        "duration": wording.duration,
        "fact": wording.fact,
        "moment": wording.moment,
        "short": short,
        "query": query,
        "evidence": read_evidence,
        "plainly": plainly,
    }
    environment.globals |= {"plural": wording.plural, "metric_title": wording.metric_title}
    return environment


def short(sha256: str) -> str:
    """The first digits of a hash."""
    return sha256[:12]


def plainly(text: str) -> str:
    """A time as people write it; other text as it is.

    Example:
        >>> plainly("2026-01-11T00:00:00.000+00:00"), plainly("2026-01-11")
        ('2026-01-11 00:00 UTC', '2026-01-11')
    """
    return wording.moment(text) if _TIME.fullmatch(text) else text


def query(values: dict[str, Any]) -> str:
    """The query of an address; what is empty is left out.

    Example:
        >>> query({"sort": "time", "text": "", "page": 2})
        '?sort=time&page=2'
    """
    kept = {key: value for key, value in values.items() if value not in ("", None)}
    return f"?{urlencode(kept, doseq=True)}" if kept else "?"
