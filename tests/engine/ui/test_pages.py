"""Each page as the server sends it: what it shows, and that it is sound HTML in which nothing of others is live."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from .conftest import Served, settled
from .pantry import EVIL, HOURS

TABS = ("", "/runs", "/deployment", "/monitoring", "/alerts", "/data", "/decisions", "/labels")
PATHS = [
    "/",
    "/?text=pric",
    *(f"/{name}{tab}" for name in ("prices", "amenities") for tab in TABS),
    "/prices/runs/prices-bbbb0002",
    "/prices/runs?sort=metric&way=up&outcome=packaged",
    "/prices/runs/compare?with=prices-aaaa0001&with=prices-bbbb0002&with=prices-00000003",
    f"/prices/chunks/{HOURS}",
    f"/amenities/chunks/{HOURS}",
    f"/amenities/labels?chunk={HOURS}",
    "/prices/data?a=prices-aaaa0001&b=prices-bbbb0002",
    "/prices/monitoring?show=all&column=rooms",
    "/prices/monitoring?since=2026-05-02&until=2026-05-02",
    "/prices/monitoring?since=2030-01-01",
    "/prices/decisions?quiet=no",
    "/prices/alerts?only=open&kind=drift",
    "/prices/deployment?hours=168",
]


class Sound(HTMLParser):
    """Collects what a page must not have, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.words: list[str] = []
        self.count = {"main": 0, "h1": 0, "header": 0, "footer": 0}
        self._level = 0
        self._labelled = 0
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag in ("script", "style", "object", "embed", "base"):
            self.faults.append(f"<{tag}>")
        for name, value in given.items():
            if name.startswith("on") or name == "style":
                self.faults.append(f"{tag} has {name}")
            if name in ("href", "src", "action") and not re.match(r"[/?#]|$", value or ""):
                self.faults.append(f"{name}={value}")
        if re.fullmatch("h[1-6]", tag):
            if int(tag[1]) > self._level + 1:
                self.faults.append(f"{tag} follows h{self._level}")
            self._level = int(tag[1])
        if tag == "label":
            self._labelled += 1
        visible = tag in ("input", "select") and given.get("type") != "hidden"
        if visible and not self._labelled and "aria-label" not in given:
            self.faults.append(f"{tag} {given.get('name')} has no label")
        if tag == "img" and "alt" not in given:
            self.faults.append("img has no alt")

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._labelled -= 1

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(pages: Served, path: str) -> Sound:
    with pages.client() as client:
        answer = settled(client, path)
    assert answer.status_code == 200, answer.text
    assert EVIL not in answer.text
    return Sound(answer.text)


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_sound(pages: Served, path: str) -> None:
    page = read(pages, path)
    assert page.faults == []
    assert (page.count["main"], page.count["h1"]) == (1, 1)


def test_home_and_overview_say_how_it_is(pages: Served) -> None:
    home = read(pages, "/")
    assert "2 incidents open" in home.text
    assert "refused" in home.text
    prices = read(pages, "/prices")
    for words in (
        "estimated mae is 0.638",
        "12 new labels are there",
        "prices-bbbb0002",
        "live",
        "Guests want to know",
    ):
        assert words in prices.text
    assert EVIL in read(pages, "/amenities").text


def test_runs_are_sorted_filtered_and_paged(pages: Served) -> None:
    with pages.client() as client:
        first = client.get("/prices/runs").text
        assert "1 to 50 of 62 runs" in Sound(first).text
        best = re.findall(r"prices-[0-9a-f]{8}(?=</a>)", client.get("/prices/runs?sort=metric&way=up").text)
        assert best[0] == "prices-0000003b"
        last = re.findall(r"prices-[0-9a-f]{8}(?=</a>)", client.get("/prices/runs?page=2").text)
        assert len(last) == 12
        assert "51 to 62 of 62 runs" in Sound(client.get("/prices/runs?page=99").text).text
        assert "of 2 runs" in Sound(client.get("/prices/runs?outcome=packaged").text).text
        assert "No run fits" in client.get(f"/prices/runs?text={'%25_' * 3}").text


def test_compared_runs_say_what_differs(pages: Served) -> None:
    page = read(pages, "/prices/runs/compare?with=prices-aaaa0001&with=prices-bbbb0002")
    assert "MAE 0.41 0.3895 best" in page.text
    assert "No setting differs" in page.text
    with pages.client() as client:
        one = client.get("/prices/runs/compare?with=prices-aaaa0001")
        moved = client.get("/prices/runs?with=prices-aaaa0001&with=prices-bbbb0002")
    assert "2 to 4" in one.text
    assert moved.headers["location"] == "/prices/runs/compare?with=prices-aaaa0001&with=prices-bbbb0002"


def test_a_column_of_the_chart_leads_to_its_chunk(pages: Served) -> None:
    with pages.client() as client:
        html = client.get("/prices/monitoring").text
        links = re.findall(r'<a href="(/prices/chunks/\d+)" tabindex="-1"><rect class="hit"[^>]*><title>([^<]*)', html)
        assert len(links) == 2 * HOURS  # the curve and the heat map
        href, title = links[HOURS - 1]
        assert title.endswith("0.638, beyond the rule")
        chunk = Sound(settled(client, href).text)
    for words in ("Chunk 2026-05-03T23", "2 alarms", "Likely behind it", "rooms", "0071-0", "usual", "still open"):
        assert words in chunk.text


def test_photos_are_shown_small_and_as_jpeg(pages: Served) -> None:
    with pages.client() as client:
        html = settled(client, f"/amenities/chunks/{HOURS}").text
        sources = [one.replace("&amp;", "&") for one in re.findall(r'<img src="([^"]+)"', html)]
        assert len(sources) == 8  # of the chunk and of the reference, once for both alarms
        for source in sources:
            answer = client.get(source)
            assert answer.headers["content-type"] == "image/jpeg"
            assert max(Image.open(io.BytesIO(answer.content)).size) <= 420
        for source in ("photo?id=none", "photo?id=..%2F..%2Fx", "photo", "reference?run=amenities-cccc0003&id=gone"):
            assert client.get(f"/amenities/{source}").status_code == 404


def test_traffic_is_counted_by_the_hour(pages: Served) -> None:
    page = read(pages, "/prices/deployment")
    assert "30 predictions in 48 hours" in page.text
    assert "Roll back to" in page.text


def test_what_to_label_next(pages: Served) -> None:
    page = read(pages, "/prices/labels")
    assert "246 predictions are logged" in page.text, page.text
    with pages.client() as client:
        answer = client.get("/prices/labels/queue.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="prices-queue.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[0]["why"]
    assert page.text.count("now-") >= 1


def test_who_was_told(pages: Served) -> None:
    page = read(pages, "/prices/alerts")
    for words in ("firing", "sent", "first chunk", "in 10 chunks"):
        assert words in page.text, page.text


def test_decisions_show_their_evidence(pages: Served) -> None:
    page = read(pages, "/prices/decisions")
    assert "labels 12 least 100 open drift, performance sources review 12" in page.text
    assert "3 decisions" in page.text
    assert "On the newest labels 90 rows" in page.text
    assert "mae 0.410 0.360 0.050 0.020 to 0.080" in page.text


def test_data_say_what_was_collected(pages: Served) -> None:
    page = read(pages, "/prices/data")
    assert "2 versions" in page.text
    assert "Version 1 made 2026-05-04 00:00 UTC" in page.text
    assert "labels 90 train 60" in page.text


def test_what_is_not_there(pages: Served) -> None:
    with pages.client() as client:
        for path, words in (
            ("/price", "did you mean"),
            ("/prices/runs/prices-none", "there is no run"),
            ("/prices/runs/amenities-cccc0003", "there is no run"),
            ("/prices/chunks/999999", "has no chunk"),
            ("/prices/act/delete", "there is no action"),
            ("/prices/act/rollback?to=abc", "cannot go back"),
            ("/prices/act/approve", "waits for approval"),
            ("/prices/runs/prices-bbbb0002/report", "has no report"),
            ("/prices/jobs/1", "no such action"),
            ("/prices/nothing", "there is no page"),
        ):
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert words in answer.text, (path, Sound(answer.text).text)
            assert Sound(answer.text).faults == []
        wrong = client.get("/prices/monitoring?since=yesterday")
    assert wrong.status_code == 400
    assert "is no day" in wrong.text
