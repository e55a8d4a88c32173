"""Who may read and act: hosts, tokens, cookies, forms, paths, and the headers that keep the browser safe."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizzeria.ui.access import Access

from .conftest import Served
from .pantry import Pantry

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def acting(filled: Pantry) -> Iterator[Served]:
    """With actions, over the filled store; nothing is to be done to it."""
    served = Served(filled.store, actions=True)
    yield served
    served.close()


def test_every_answer_has_its_headers(pages: Served) -> None:
    with pages.client() as client:
        for path in ("/", "/prices", "/none", "/-/style.css", "/-/in?token=x", "/prices/monitoring?since=x"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy, path
            assert "script" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers or "uvicorn" in headers["server"]
        assert "max-age" in client.get("/-/style.css?1").headers["cache-control"]
        assert client.get("/").headers["cache-control"] == "no-store"


def test_only_known_hosts_are_answered(pages: Served) -> None:
    with pages.client() as client:
        for host, status in (
            ("localhost:1", 200),
            ("127.0.0.1", 200),
            ("evil.test", 421),
            ("127.0.0.1.evil.test:8501", 421),
            ("localhost.evil.test", 421),
            ("", 421),
        ):
            assert client.get("/", headers={"host": host}).status_code == status, host


def test_paths_stay_in_the_store(pages: Served, tmp_path: Path) -> None:
    raw = http.client.HTTPConnection("127.0.0.1", pages.access.port)
    for path in (
        "/prices/runs/../../../../etc/passwd",
        "/prices/runs/..%2f..%2f..%2fetc%2fpasswd",
        "/prices/runs/%2e%2e/report",
        "/prices/runs/.cache",
        "/prices/runs/.ui",
        "/..%2f..%2fetc",
        "/.predictions",
        "/%00",
        "/prices/runs/compare?with=../x&with=../y",
        "/prices/data?a=../x&b=../y",
        "/prices/reference?run=../..&id=x",
        "/prices/photo?id=x&run=..%2f..",
    ):
        raw.request("GET", path)
        answer = raw.getresponse()
        body = answer.read()
        assert answer.status == 404, path
        assert b"root:" not in body
    raw.close()


def test_reading_needs_nothing_here_and_a_token_elsewhere(filled: Pantry) -> None:
    served = Served(filled.store)
    try:
        object.__setattr__(served.access, "host", "0.0.0.0")  # as if it listened to others
        with served.client() as client:
            assert client.get("/prices").status_code == 401
            assert client.get("/-/style.css").status_code == 200
            assert client.get("/-/in?token=wrong").status_code == 403
            answer = client.get(f"/-/in?token={served.access.token}")
            assert 'content="0; url=/"' in answer.text
            assert client.get("/prices").status_code == 200
    finally:
        served.close()


def test_a_read_only_application_does_nothing(pages: Served, filled: Pantry) -> None:
    [entry] = filled.ledger.entries("prices", "promoted", last=2)[:1]
    with pages.client() as client:
        client.get(f"/-/in?token={pages.access.token}")
        question = client.get(f"/prices/act/rollback?to={entry.sha256}")
        assert "only reads" in question.text
        assert '<form method="post" class' not in question.text
        word = pages.access.session(dict(client.cookies)).word  # type: ignore[union-attr]
        answer = client.post("/prices/act/rollback", data={"to": entry.sha256, "word": word})
    assert answer.status_code == 403
    assert filled.ledger.champion("prices").sha256 != entry.sha256  # type: ignore[union-attr]


def test_the_cookie_is_strict_signed_and_forgets_the_token(acting: Served) -> None:
    with acting.client() as client:
        answer = client.get(f"/-/in?token={acting.access.token}")
        cookie = answer.headers["set-cookie"]
        for words in ("HttpOnly", "SameSite=strict", "Path=/"):
            assert words in cookie
        assert acting.access.token not in cookie
        name, value = next(iter(client.cookies.items()))
        assert acting.access.session({name: value}) is not None
        head, dot, signature = value.rpartition(".")
        changed = ("x" if signature[0] != "x" else "y") + signature[1:]
        assert acting.access.session({name: head + dot + changed}) is None
        assert acting.access.session({}) is None
        assert Access(port=acting.access.port).session({name: value}) is None  # of another start


def test_forms_of_others_do_nothing(acting: Served, filled: Pantry) -> None:
    [entry] = filled.ledger.entries("prices", "promoted", last=2)[:1]
    with acting.client() as client:
        plain = {"to": entry.sha256}
        assert client.post("/prices/act/rollback", data=plain | {"word": "x"}).status_code == 403  # no session
        client.get(f"/-/in?token={acting.access.token}")
        word = acting.access.session(dict(client.cookies)).word  # type: ignore[union-attr]
        assert client.post("/prices/act/rollback", data=plain).status_code == 403
        assert client.post("/prices/act/rollback", data=plain | {"word": word + "x"}).status_code == 403
        for headers in ({"origin": "http://evil.test"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            answer = client.post("/prices/act/rollback", data=plain | {"word": word}, headers=headers)
            assert answer.status_code == 403, headers
        assert client.get("/prices/act/rollback", params=plain | {"word": word}).status_code == 200  # asks
        assert client.delete("/prices/act/rollback").status_code == 405
        long = client.post("/prices/act/rollback", content=b"word=" + b"x" * 100_000, headers=FORM)
        assert long.status_code == 413
    assert filled.ledger.champion("prices").sha256 != entry.sha256  # type: ignore[union-attr]


def test_colours_lead_back_to_pages_here_alone(pages: Served) -> None:
    with pages.client() as client:
        for back, location in (
            ("/prices?x=1", "/prices?x=1"),
            ("//evil.test", "/"),
            ("/\\evil", "/"),
            ("http://e", "/"),
        ):
            answer = client.post("/-/theme", data={"back": back, "theme": "dark"})
            assert (answer.status_code, answer.headers["location"]) == (303, location)
        assert 'data-theme="dark"' in client.get("/").text
        client.post("/-/theme", data={"back": "/", "theme": "<x>"})
        assert "data-theme" not in client.get("/").text


def test_the_report_is_in_a_sandbox(filled: Pantry, pages: Served) -> None:
    report = filled.store.root / "prices-aaaa0001" / "report.html"
    report.write_text("<script>window.hit = 1</script>")
    with pages.client() as client:
        answer = client.get("/prices/runs/prices-aaaa0001/report")
        page = client.get("/prices/runs/prices-aaaa0001").text
    report.unlink()
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert 'sandbox="allow-scripts"' in page
