"""What `/docs` says: the routes with curl lines, from the service's own OpenAPI, its limits, keys and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from pizzeria.inference.bundle import Bundle
from pizzeria.inference.feedback import MAX_LABELS
from pizzeria.inference.requests import MAX_PHOTOS
from pizzeria_plugins.servers.settings import Settings

_KEY = ' -H "Authorization: Bearer $KEY"'
_PLACES = ("query", "header")


def parts(bundle: Bundle, settings: Settings, description: Mapping[str, Any]) -> dict[str, str]:
    """What `docs.html` has gaps for, as HTML.

    Args:
        bundle: What is served.
        settings: With its limits.
        description: The OpenAPI document.
    """
    paths = sorted(description["paths"], key=lambda path: "post" not in description["paths"][path])
    routes = [
        _route(method, path, route, description)
        for path in paths
        for method, route in description["paths"][path].items()
    ]
    return {
        "contents": "".join(f'<li><a href="#{_anchor(path)}">{escape(path)}</a></li>' for path in paths),
        "limits": _table("What", "At most", list(_limits(bundle, settings))),
        "keys": _keys(settings),
        "routes": "\n".join(routes),
        "refusals": _refusals(description),
        "error": _schema("The schema of a refusal", description["components"]["schemas"]["Error"], description),
        "metrics": '<a href="/metrics">Metrics</a>' if settings.metrics else "",
    }


def _limits(bundle: Bundle, settings: Settings) -> Iterator[tuple[str, str]]:
    yield "Body of a request", f"{settings.max_body_mb:g} MB, or 413"
    if bundle.takes_photos:
        yield "Pixels of a photo", f"{settings.max_megapixels:g} million, or 413"
        yield "Formats of photos", f"{', '.join(settings.formats)}, or 415"
        if bundle.judges_presence:
            yield "Photos of a listing", f"{MAX_PHOTOS}, or 413"
    else:
        yield "Rows of a request", f"{settings.max_rows:,}, or 413"
    if settings.feedback:
        yield "Labels of a request", f"{MAX_LABELS:,}, or 413"
    yield "Requests at work at once", f"{settings.concurrency}, or 429 with Retry-After"
    if settings.platform is None:
        yield from _limits_of_protocol()
    yield "Time of a request", f"{settings.timeout_s:g} s, or 504; 408 if its body is not whole by then"
    if settings.platform is not None:
        yield "Besides", f"the limits of {settings.platform}, of which this service is a function"


def _limits_of_protocol() -> Iterator[tuple[str, str]]:
    """Only where the service speaks HTTP itself: a function lacks the library for it."""
    from pizzeria_plugins.servers.protocol import Protocol

    yield "Head of a request", f"{Protocol.MAX_HEAD // 1024} KiB in {Protocol.MAX_HEADERS} headers, or 431"
    yield "Time until the head is whole", f"{Protocol.HEAD_S:g} s, or 408"


def _keys(settings: Settings) -> str:
    if settings.keys_from is None:
        return "<p>This service asks for no key.</p>"
    asking = "<code>/predict</code>, <code>/verify</code>, <code>/feedback</code> and <code>/metrics</code>"
    return (
        f"<p>{asking} want an API key, as <code>Authorization: Bearer KEY</code> or <code>X-API-Key: KEY</code>. "
        "Without one, or with one that the service does not know, the answer is 401. Keep the key in a variable, out "
        f"of the history of your shell:</p>{_code('read -rs KEY')}"
    )


def _route(method: str, path: str, route: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    out = [
        f'<section class="route" id="{_anchor(path)}"><h3><b>{method.upper()}</b> {escape(path)}</h3>',
        f"<p>{escape(route['summary'])}</p>",
        _code(_curl(method, path, route) + _KEY * ("security" in route)),
    ]
    asked = [one for one in route.get("parameters", []) if one["in"] in _PLACES]
    if asked:
        out.append(_table("Query", "Meaning", [(f"?{one['name']}=", one.get("description", "")) for one in asked]))
    bodies = route.get("requestBody", {}).get("content", {})
    files = [kind for kind, content in bodies.items() if content["schema"].get("format") == "binary"]
    if files:
        out.append(f"<p>Body: the bytes of the file, as {escape(', '.join(files))}.</p>")
    out += [_schema(f"Body as {kind}", bodies[kind]["schema"], description) for kind in bodies if kind not in files]
    told = next(one for status, one in route["responses"].items() if status < "300").get("content", {})
    out += [_schema("Answer", one["schema"], description) for one in told.values() if "schema" in one]
    return "\n".join((*out, "</section>"))


def _refusals(description: Mapping[str, Any]) -> str:
    """Which routes refuse with which status, and when."""
    when: dict[tuple[str, str], list[str]] = {}
    for path, methods in description["paths"].items():
        for route in methods.values():
            for status, told in route["responses"].items():
                if status >= "300":
                    when.setdefault((status, told["description"]), []).append(path)
    everywhere = len(description["paths"])
    rows = [
        (status, text if len(paths) == everywhere else f"{text} ({', '.join(paths)})")
        for (status, text), paths in sorted(when.items())
    ]
    return _table("Status", "When", rows)


def _curl(method: str, path: str, route: Mapping[str, Any]) -> str:
    if method == "get":
        return f"curl $SERVICE{path}"
    content = route["requestBody"]["content"]
    if path == "/verify":
        declared = content["multipart/form-data"]["schema"]["properties"]["declared"]["examples"][0]
        return f"curl $SERVICE{path} -F photos=@kitchen.jpg -F photos=@bedroom.jpg -F 'declared={declared}'"
    if path == "/feedback":
        return f"curl $SERVICE{path} -H 'Content-Type: application/json' --data-binary @labels.json"
    if "application/json" in content:
        return f"curl $SERVICE{path} -H 'Content-Type: application/json' --data-binary @rows.json"
    kind = next(kind for kind in content if kind.startswith("image/"))
    name = f"photo.{kind.removeprefix('image/').replace('jpeg', 'jpg')}"
    return f"curl $SERVICE{path} -H 'Content-Type: {kind}' --data-binary @{name}"


def _schema(title: str, schema: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return f"<details><summary>{escape(title)}</summary><pre>{escape(json.dumps(schema, indent=2))}</pre></details>"


def _code(line: str) -> str:
    return f'<pre class="line"><code>{escape(line)}</code></pre>'


def _table(left: str, right: str, rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th scope=row>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table><thead><tr><th>{left}</th><th>{right}</th></tr></thead><tbody>{body}</tbody></table>"


def _anchor(path: str) -> str:
    return path.strip("/").replace("/", "-") or "page"
