"""What the pages load: a fixed table, cached by browsers, and never the disk; driven over HTTP without a browser."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.contract import Reply
from pizzeria_plugins.servers import pages
from pizzeria_plugins.servers.settings import Settings

SITE = Path(pages.__file__).parent / "site"
LARGEST = 34_000
"""Bytes of everything that the page loads, as they are sent."""


@pytest.fixture(scope="module")
def served(detection_bundle: Path) -> pages.Pages:
    return pages.make(open_bundle(detection_bundle), Settings(str(detection_bundle), 10, 40, 100, 16, 30))


def asset(served: pages.Pages, name: str) -> str:
    return next(path for path in served.paths() if path.endswith(f"/{name}"))


def test_the_page_is_small(served: pages.Pages) -> None:
    loaded = [path for path in served.paths() if path.endswith((".js", ".css", ".svg")) and "docs" not in path]
    sizes = {path: len(served.answer(path, {"accept-encoding": "gzip"}).body) for path in ["/", *loaded]}
    assert sum(sizes.values()) <= LARGEST, sizes


def test_nothing_is_inline_and_the_policy_forbids_it(served: pages.Pages) -> None:
    for path in ("/", "/docs"):
        reply = served.answer(path, {})
        policy = reply.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'; style-src 'self'" in policy
        text = reply.body.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        assert re.findall(r"<script(?! type=\"application/json\")[^>]*>(?!</script>)", text) == []
        outside = [url for url in re.findall(r"(?:src|href)=\"([^\"]+)", text) if not url.startswith(("/", "#"))]
        assert outside == []


def test_every_module_that_is_imported_is_there(served: pages.Pages) -> None:
    names = {path.name for path in SITE.iterdir()}
    for source in SITE.glob("*.js"):
        wanted = set(re.findall(r"from \"\./([\w.-]+)\"", source.read_text(encoding="utf-8")))
        assert wanted <= names, source.name
    for name in names:
        assert name.endswith((".html", ".md", ".LICENSE")) or asset(served, name)


def test_assets_are_kept_for_ever_and_pages_are_asked_about(served: pages.Pages) -> None:
    style = served.answer(asset(served, "style.css"), {})
    assert style.content_type.startswith("text/css")
    assert "immutable" in style.headers["Cache-Control"]
    page = served.answer("/", {})
    assert page.headers["Cache-Control"] == "no-cache"
    for tag in (page.headers["ETag"], f'"other", {page.headers["ETag"]}', "*"):
        known = served.answer("/", {"if-none-match": tag})
        assert (known.status, known.body) == (304, b"")
        assert known.headers["ETag"] == page.headers["ETag"]
    assert served.answer("/", {"if-none-match": '"other"'}).status == 200


def test_another_bundle_or_version_has_other_addresses(served: pages.Pages, tabular_bundle: Path) -> None:
    other = pages.make(open_bundle(tabular_bundle), Settings(str(tabular_bundle), 10, 40, 100, 16, 30))
    assert asset(other, "app.js") != asset(served, "app.js")
    assert other.answer("/", {}).headers["ETag"] != served.answer("/", {}).headers["ETag"]


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip, br", True), ("br;q=1, GZIP;q=0.5", True), ("", False), ("br", False), ("gzip;q=0, br", False)],
)
def test_text_is_sent_small_to_those_who_take_it(served: pages.Pages, accepted: str, zipped: bool) -> None:
    path = asset(served, "app.js")
    plain, reply = served.answer(path, {}), served.answer(path, {"accept-encoding": accepted})
    assert (reply.headers.get("Content-Encoding") == "gzip") == zipped
    assert (gzip.decompress(reply.body) if zipped else reply.body) == plain.body
    assert reply.headers["Vary"] == "Accept-Encoding"


def test_the_sample_is_the_bundles_own(served: pages.Pages, detection_bundle: Path) -> None:
    reply = served.answer(asset(served, "sample.jpg"), {"accept-encoding": "gzip"})
    assert reply.body == open_bundle(detection_bundle).sample_request()[1]
    assert reply.content_type == "image/jpeg"


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/x/app.js", "/assets/../settings.py", "/site/app.js", "/README.md"]
)
def test_what_is_not_in_the_table_is_not_there(served: pages.Pages, path: str) -> None:
    folder = asset(served, "app.js").rpartition("/")[0]
    for asked in (path, f"{folder}{path}", f"{folder}/../../pages.py", f"{folder}/page.html"):
        assert served.answer(asked, {}).status == 404


def test_a_service_may_do_without_pages(detection_bundle: Path) -> None:
    settings = Settings(str(detection_bundle), 10, 40, 100, 16, 30, pages=False)
    none = pages.make(open_bundle(detection_bundle), settings)
    assert list(none.paths()) == []
    assert none.answer("/", {}).status == 404


def test_a_photo_is_not_zipped() -> None:
    noise = Reply(200, bytes(2000), content_type="image/jpeg")
    there = pages.Pages({"/photo": noise, "/text": Reply(200, b"again and " * 200)})
    assert "Content-Encoding" not in there.answer("/photo", {"accept-encoding": "gzip"}).headers
    assert there.answer("/text", {"accept-encoding": "gzip"}).headers["Content-Encoding"] == "gzip"


@pytest.mark.slow
def test_over_http(service: Any) -> None:
    with service.client as client:
        page = client.get("/")
        assert page.headers["content-encoding"] == "gzip"
        head = client.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == page.headers["etag"]
        again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        style = re.search(r'href="(/assets/[^"]+\.css)"', page.text)
        assert style
        assert client.get(style[1]).headers["content-type"] == "text/css; charset=utf-8"
        assert client.head(style[1]).status_code == 200
        assert client.post(style[1], content=b"").status_code == 405
        assert client.get("/assets/0000000000000000/style.css").status_code == 404
        assert 'route="/assets"' in client.get("/metrics").text, "counted as one route, however many there are"
        assert "0000000000000000" not in client.get("/metrics").text
