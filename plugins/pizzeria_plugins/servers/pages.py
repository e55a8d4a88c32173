"""The pages that people see: the one to try the model, and the documentation. Both need no network but the service."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from pizzeria.inference.bundle import Bundle
from pizzeria.inference.contract import Reply
from pizzeria.inference.openapi import describe
from pizzeria_plugins.servers.settings import Settings

_HTML = "text/html; charset=utf-8"
_MOST_SAMPLE_BYTES = 3_000_000
_SAMPLE_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
# A page that loads nothing and talks to nobody but the service, whatever a class's name may contain.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make(bundle: Bundle, settings: Settings) -> Mapping[str, Reply]:
    """The replies of `/`, `/docs` and `/openapi.json`, which are the same for as long as the service lives."""
    description = describe(bundle)
    facts = {
        "name": escape(bundle.name),
        "task": escape(bundle.task.replace("_", " ")),
        "sha256": bundle.sha256,
        "short": bundle.sha256[:12],
        "max_body_mb": f"{settings.max_body_mb:g}",
    }
    return {
        "/": _page("page.html", facts | {"service": _script_data(_service(bundle))}),
        "/docs": _page("docs.html", facts | {"limits": _limits(settings), "routes": "\n".join(_routes(description))}),
        "/openapi.json": Reply(200, json.dumps(description).encode()),
    }


def _page(name: str, values: Mapping[str, str]) -> Reply:
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    head, *rest = text.split("{{")
    filled = head + "".join(values[key] + after for key, _, after in (part.partition("}}") for part in rest))
    return Reply(200, filled.encode(), headers=_HEADERS, content_type=_HTML)


def _service(bundle: Bundle) -> dict[str, Any]:
    name, data = bundle.sample_request()
    if not bundle.takes_photos:
        return {"photos": False, "classes": bundle.classes, "sample": json.dumps(json.loads(data), indent=2)}
    photo = base64.b64encode(data).decode() if len(data) <= _MOST_SAMPLE_BYTES else None
    kind = _SAMPLE_TYPES[name.rpartition(".")[2]]
    return {"photos": True, "classes": bundle.classes, "sample": photo, "sample_type": kind}


def _script_data(value: Any) -> str:
    """JSON for a script element, in which `</script>` and `<!--` would end or change it."""
    return json.dumps(value).replace("<", "\\u003c")


def _limits(settings: Settings) -> str:
    return escape(
        f"A body may have {settings.max_body_mb:g} MB, a photo {settings.max_megapixels:g} megapixels, a request "
        f"{settings.max_rows:,} rows. {settings.max_concurrency} requests may be at work at once; one more is answered "
        f"with 429 and Retry-After. A request that takes longer than {settings.timeout_s:g} s is given up with 504."
    )


def _routes(description: Mapping[str, Any]) -> Iterator[str]:
    for path in sorted(description["paths"], key=lambda path: "post" not in description["paths"][path]):
        for method, route in description["paths"][path].items():
            yield f'<section class="card"><h2><b>{method.upper()}</b> {escape(path)}</h2>'
            yield f"<p>{escape(route['summary'])}</p>"
            yield f"<pre>{escape(_curl(method, path, route))}</pre>"
            if route.get("parameters"):
                rows = [(f"?{one['name']}=", one["description"]) for one in route["parameters"]]
                yield _table("Query", "Meaning", rows)
            for kind, content in route.get("requestBody", {}).get("content", {}).items():
                yield _schema(f"Body as {kind}", content["schema"], description)
            for status, told in route["responses"].items():
                if status == "200":
                    yield _schema("Answer", told["content"]["application/json"]["schema"], description)
            refusals = [(status, told["description"]) for status, told in route["responses"].items() if status != "200"]
            if refusals:
                yield _table("Refusal", "When", refusals)
            yield "</section>"
    yield '<section class="card"><h2>Refusals</h2><p>Every one has this body:</p>'
    yield _schema("Error", description["components"]["schemas"]["Error"], description) + "</section>"


def _curl(method: str, path: str, route: Mapping[str, Any]) -> str:
    if method == "get":
        return f"curl $SERVICE{path}"
    content = route["requestBody"]["content"]
    if path == "/verify":
        declared = content["multipart/form-data"]["schema"]["properties"]["declared"]["examples"][0]
        return f"curl $SERVICE{path} -F photos=@kitchen.jpg -F photos=@bedroom.jpg -F 'declared={declared}'"
    if "application/json" in content:
        return f"curl $SERVICE{path} -H 'Content-Type: application/json' -d @rows.json"
    return f"curl $SERVICE{path} -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"


def _schema(title: str, schema: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("format") == "binary":
        return f"<p>{escape(title)}: the file's bytes.</p>"
    return f"<details><summary>{escape(title)}</summary><pre>{escape(json.dumps(schema, indent=2))}</pre></details>"


def _table(left: str, right: str, rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td><code>{escape(a)}</code></td><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table><thead><tr><th>{left}</th><th>{right}</th></tr></thead><tbody>{body}</tbody></table>"
