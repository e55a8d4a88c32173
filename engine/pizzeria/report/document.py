"""A page that needs nothing else: style, scripts and a policy that lets these run and no other."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pizzeria.errors import PizzeriaError
from pizzeria.report import wording

_HERE = Path(__file__).parent


def document(template: str, content: Mapping[str, Any], *, plots: bool) -> str:
    """The page as HTML text.

    Args:
        template: One that extends `document.html.j2`.
        plots: Whether there are figures, which need plotly.js.

    Raises:
        PizzeriaError: jinja2 or plotly is not installed.
    """
    scripts = _scripts() if plots else []
    return str(
        _environment()
        .get_template(template)
        .render(
            **content,
            style=(_HERE / "style.css").read_text(encoding="utf-8"),
            scripts=scripts,
            script_hashes=" ".join(map(_hash, scripts)) or "'none'",
            written=f"{datetime.now(UTC):%Y-%m-%d at %H:%M UTC}",
        )
    )


def _environment() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise PizzeriaError("a report needs jinja2", hint="pip install 'pizzeria[report]'") from error
    # Autoescape without exception: class names, file names and the need are the user's, and must stay inert.
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "duration": wording.duration,
        "fact": wording.fact,
        "money": wording.money,
    }
    return environment


def _scripts() -> list[str]:
    """plotly.js and the page's own script."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise PizzeriaError("a report needs plotly", hint="pip install 'pizzeria[report]'") from error
    return [get_plotlyjs(), (_HERE / "page.js").read_text(encoding="utf-8")]


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"
