"""The pages that people see: the one to try the model at `/`, the documentation at `/docs`, and what both load.

All of it is read and filled once, when a worker starts: a request for a page is a look into a table, and never touches
the disk. What a page loads lies under `/assets/<hash>/`, where the hash is that of all the assets together, so that a
browser may keep them for ever.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from pizzeria.errors import RequestError
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.column_inputs import columns_of
from pizzeria.inference.contract import Reply, refusal
from pizzeria.inference.openapi import describe
from pizzeria.inference.requests import MAX_PHOTOS
from pizzeria_plugins.servers import documentation
from pizzeria_plugins.servers.settings import Settings

_SITE = Path(__file__).parent / "site"
_HTML = "text/html; charset=utf-8"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".json": "application/json",
}
_ZIPPED = ("text/", "application/json", "image/svg+xml")
_FOR_EVER = "public, max-age=31536000, immutable"
# A page that runs and loads only what this service brought along, and talks to nobody else, whatever names may contain.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types lit-html"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True)
class _Page:
    """A reply, its smaller form for clients that take gzip, and the tag by which a client says that it has it."""

    reply: Reply
    zipped: Reply
    tag: str


class Pages:
    """Replies by path.

    Args:
        replies: What each path answers, the same for as long as the service lives.

    Example:
        >>> pages = Pages({"/": Reply(200, b"<p>hello</p>", content_type="text/html")})
        >>> first = pages.answer("/", {})
        >>> first.status, pages.answer("/", {"if-none-match": first.headers["ETag"]}).status
        (200, 304)
        >>> pages.answer("/../settings.py", {}).status
        404
    """

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self._pages = {path: _page(reply) for path, reply in replies.items()}

    def paths(self) -> Collection[str]:
        """All that there are."""
        return self._pages.keys()

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """The reply to GET and HEAD of a path, 304 where the client has it already.

        Args:
            path: Without the query string.
            headers: Names in lower case.
        """
        page = self._pages.get(path)
        if page is None:
            return refusal(RequestError(404, "not_found", f"there is no {path[:100]}", hint="see /docs"))
        known = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
        if page.tag in known or known == ["*"]:
            return replace(page.reply, status=304, body=b"")
        return page.zipped if _takes_gzip(headers.get("accept-encoding", "")) else page.reply


def make(bundle: Bundle, settings: Settings) -> Pages:
    """The pages of one service; none if its settings want none."""
    if not settings.pages:
        return Pages({})
    description = describe(
        bundle,
        settings.limits,
        keyed=settings.keys_from is not None,
        metrics=settings.metrics,
        feedback=settings.feedback,
    )
    sample, sample_data = bundle.sample_request()
    assets = {
        path.name: path.read_bytes() for path in sorted(_SITE.iterdir()) if path.suffix in (".js", ".css", ".svg")
    }
    assets[f"sample{Path(sample).suffix}"] = sample_data
    folder = f"/assets/{_hash(*assets, *assets.values())}"
    words = {
        "name": escape(bundle.name),
        "task": escape(bundle.task.replace("_", " ")),
        "sha256": bundle.sha256,
        "short": bundle.sha256[:12],
        "assets": folder,
    }
    facts = _facts(bundle, settings) | {"sample": f"{folder}/sample{Path(sample).suffix}"}
    page = _filled("page.html", words | {"facts": _script_data(facts)})
    docs = _filled("docs.html", words | documentation.parts(bundle, settings, description))
    out = {
        "/": Reply(200, page, headers=_headers("no-cache") | {"Content-Security-Policy": _POLICY}, content_type=_HTML),
        "/docs": Reply(
            200, docs, headers=_headers("no-cache") | {"Content-Security-Policy": _POLICY}, content_type=_HTML
        ),
        "/openapi.json": Reply(200, json.dumps(description).encode(), headers=_headers("no-cache")),
    }
    for name, data in assets.items():
        out[f"{folder}/{name}"] = Reply(200, data, headers=_headers(_FOR_EVER), content_type=_TYPES[Path(name).suffix])
    return Pages(out)


def _facts(bundle: Bundle, settings: Settings) -> dict[str, Any]:
    """What the page must know of the service to offer what it can do."""
    facts = {
        "name": bundle.name,
        "task": bundle.task,
        "sha256": bundle.sha256,
        "photos": bundle.takes_photos,
        "boxes": bundle.task == "object_detection",
        "presence": bundle.judges_presence,
        "explains": bundle.task != "object_detection",
        "classes": bundle.classes,
        "needs_key": settings.keys_from is not None,
        "metrics": settings.metrics,
        "limits": {
            "bytes": int(settings.max_body_mb * 1e6),
            "megapixels": settings.max_megapixels,
            "rows": settings.max_rows,
            "photos": MAX_PHOTOS,
        },
    }
    if bundle.judges_presence:
        facts["thresholds"] = dict(bundle.thresholds)
    if bundle.takes_photos:
        return facts | {"types": [f"image/{name}" for name in settings.formats]}
    columns = {one["name"]: _kind(kind, one) for kind, one in columns_of(bundle.preprocessing)}
    return facts | {"columns": columns, "target": bundle.preprocessing["target"]["name"]}


def _kind(kind: str, column: Mapping[str, Any]) -> str:
    """How the page reads a field of a CSV file."""
    if kind == "dates" or column.get("time"):
        return "time"
    return "number" if kind == "numeric" else "text"


def _script_data(value: Any) -> str:
    """JSON for a script element, in which `</script>` and `<!--` would end or change it."""
    return json.dumps(value).replace("<", "\\u003c")


def _filled(name: str, values: Mapping[str, str]) -> bytes:
    head, *rest = (_SITE / name).read_text(encoding="utf-8").split("{{")
    return (head + "".join(values[key] + after for key, _, after in (part.partition("}}") for part in rest))).encode()


def _headers(cache: str) -> dict[str, str]:
    return _HEADERS | {"Cache-Control": cache}


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def _page(reply: Reply) -> _Page:
    tag = f'"{_hash(reply.body)}"'
    # Weak, as it stands for the plain and for the zipped form.
    reply = replace(reply, headers={**reply.headers, "ETag": f"W/{tag}", "Vary": "Accept-Encoding"})
    if not reply.content_type.startswith(_ZIPPED):
        return _Page(reply, reply, tag)
    small = gzip.compress(reply.body, 9, mtime=0)
    return _Page(reply, replace(reply, body=small, headers={**reply.headers, "Content-Encoding": "gzip"}), tag)


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";q=")
        if coding == "gzip":
            return weight.rstrip("0.") != "" or not weight
    return False
