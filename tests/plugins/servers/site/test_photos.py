"""Photos on the page: boxes, the threshold, many at once, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
Rooms = Callable[[int], list[Path]]

PLACE_OF_BOX = """
const frame = document.querySelector(".frame").getBoundingClientRect();
const box = document.querySelector(`.box[data-class="${arguments[0]}"]`).getBoundingClientRect();
return [(box.left - frame.left) / frame.width, (box.top - frame.top) / frame.height, box.width / frame.width,
        box.height / frame.height];
"""
MOVE = """
arguments[0].value = arguments[1];
arguments[0].dispatchEvent(new Event("input", {bubbles: true}));
"""
COUNTED = """
const fetched = window.fetch;
window.begun = window.ended = 0;
window.fetch = (...given) => {
  window.begun += 1;
  return fetched(...given).finally(() => { window.ended += 1; });
};
"""
COUNTS = "return [window.begun, window.ended]"


def test_a_photo_gets_its_boxes_and_its_presence(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    heading = page.one("header").text
    assert heading.startswith("amenities\nobject detection")
    assert service.release.sha256[:12] in heading
    page.upload(*rooms(1))
    page.until(lambda: len(page.all(".bars li")) == 2)
    assert sorted(text.split("\n")[0] for text in page.texts(".bars li")) == ["bed", "sofa"]
    # The network sees the photo in the upper 24 of its 32 rows, and says (8, 8, 24, 20).
    assert page.script(PLACE_OF_BOX, "sofa") == pytest.approx([8 / 32, 8 / 24, 16 / 32, 12 / 24], abs=0.01)
    caption = page.one("figcaption").text
    assert "room 0.jpg" in caption
    assert "320 \u00d7 240" in caption
    assert "answered in" in caption
    assert "(service " in caption, "the service tells its own share of the time"


def test_the_threshold_filters_in_the_browser(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    page.upload(*rooms(1))
    page.one(".box")
    assert [one.text for one in page.all(".bars .yes .name")] == ["sofa"], "the bed is under the model's own 0.5"
    assert len(page.all(".box")) == 1
    marks = page.script("return [...document.querySelectorAll('.track i')].map(one => parseFloat(one.style.left))")
    assert sorted(marks) == pytest.approx([100 * (p - 0.05) / 0.94 for p in (0.4, 0.5)], abs=0.1)
    page.requests()
    slider = page.one("#threshold")
    page.script(MOVE, slider, "0.1")
    page.until(lambda: len(page.all(".box")) == 2)
    assert sorted(page.texts(".bars .yes .name")) == ["bed", "sofa"]
    assert page.one(".setting output").text == "10 %"
    page.script(MOVE, slider, "0.9")
    page.until(lambda: not page.all(".box"))
    assert page.all(".bars .yes") == []
    assert "0 boxes drawn" in page.one(".answer").text
    page.one(".setting button").click()
    page.until(lambda: len(page.all(".box")) == 1)
    assert page.requests() == [], "the boxes were all there already"


def test_one_class_is_shown_alone(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    page.upload(rooms(2)[1])
    page.until(lambda: len(page.all(".box")) == 2)
    next(one for one in page.all(".bars button") if one.text == "sofa").click()
    page.until(lambda: page.all(".box.dim"))
    assert [one.get_attribute("data-class") for one in page.all(".box.dim")] == ["bed"]


def test_a_broken_photo_is_told_beside_it_and_stops_none(page: Any, service: Any, rooms: Rooms, tmp_path: Path) -> None:
    page.expected = {400, 415}
    good = rooms(3)
    (tmp_path / "cut.jpg").write_bytes(good[0].read_bytes()[:700])
    (tmp_path / "notes.jpg").write_text("no photo at all")
    page.open(service.url)
    page.upload(good[0], tmp_path / "cut.jpg", tmp_path / "notes.jpg", *good[1:])
    page.until(lambda: len(page.all("li.answered")) == 3 and len(page.all("li.refused")) == 2)
    assert "5 photos, 2 refused" in page.one(".gallery").text
    page.all(".tile")[1].click()
    page.until(lambda: "cut.jpg" in page.one("figcaption").text)
    assert "cannot be decoded" in page.one(".frame .note").text
    page.all(".tile")[2].click()
    page.until(lambda: "Send JPEG" in page.one(".frame .note").text)
    page.all(".tile")[3].click()
    page.until(lambda: page.all(".bars li"))
    assert page.all(".frame .note") == []


def test_sixty_four_photos_and_no_more(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    page.upload(*rooms(66))
    page.until(lambda: len(page.all("li.answered")) == 64)
    assert "2 photos were left out" in page.one(".gallery").text
    assert len({url for url in page.requests() if "/predict" in url}) == 64, "each was asked about once, under its name"
    assert not page.overflows()
    page.one(".gallery .row button:nth-of-type(2)").click()
    page.one(".welcome")


def test_a_photo_over_the_limit_is_sent_smaller(page: Any, service: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > 200_000, "more than this service takes, in bytes and in pixels"
    page.open(service.url)
    page.upload(tmp_path / "noise.png")
    page.until(lambda: len(page.all(".bars li")) == 2)
    caption = page.one("figcaption").text
    assert "1200 \u00d7 900" in caption
    assert "sent smaller" in caption


def test_the_sample_photo_is_one_click_away(page: Any, service: Any) -> None:
    page.open(service.url)
    page.one("#sample").click()
    page.until(lambda: len(page.all(".bars li")) == 2)
    assert "sample.jpg" in page.one("figcaption").text


def test_a_photo_is_dropped_and_pasted(page: Any, service: Any) -> None:
    page.open(service.url)
    page.one(".welcome")
    make = """
      const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
      canvas.getContext("2d").fillRect(0, 0, 9, 9);
      const blob = await new Promise(done => canvas.toBlob(done, "image/png"));
      const data = new DataTransfer();
      data.items.add(new File([blob], arguments[0] + ".png", {type: "image/png"}));
    """
    page.script(
        make + 'document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}));', "dropped"
    )
    page.until(lambda: len(page.all("li.answered")) == 1)
    page.script(make + 'document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));', "pasted")
    page.until(lambda: len(page.all("li.answered")) == 2)
    assert "pasted.png" in page.one("figcaption").text


def test_a_busy_service_is_asked_again(page: Any, start: Any, slow_bundle: Path, rooms: Rooms) -> None:
    page.expected = {429}
    page.open(start(slow_bundle, max_concurrency=1).url)
    page.one(".welcome")
    page.watch(".banner")
    page.upload(*rooms(3))
    page.until(lambda: len(page.all("li.answered")) == 3)
    assert [said for said in page.seen() if "is busy" in said]
    assert page.all("li.refused") == []


def test_a_service_that_is_gone_is_said_plainly(page: Any, start: Any, detection_bundle: Path, rooms: Rooms) -> None:
    running = start(detection_bundle)
    page.open(running.url)
    page.one(".welcome")
    running.stop()
    page.script(COUNTED)
    page.upload(*rooms(2))
    page.until(lambda: "does not answer" in page.one(".banner").text)
    page.until(lambda: len(page.all(".tile img")) == 2)
    assert page.all("li.refused") == [], "the photos wait"
    begun, _ = page.script(COUNTS)
    page.one(".banner button").click()
    page.until(lambda: (now := page.script(COUNTS))[0] == now[1] > begun)  # only then is the console complete
    assert "does not answer" in page.one(".banner").text
    told = page.browser.get_log("browser")
    assert told
    assert all("ERR_CONNECTION_REFUSED" in one["message"] for one in told)


def test_the_answer_is_taken_along(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    [room] = rooms(1)
    page.upload(room)
    copy = page.until(lambda: page.all(".takeaway button"))[1]
    page.browser.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite"], "origin": service.url}
    )
    copy.click()
    page.until(lambda: "Copied" in page.one(".takeaway").text)
    line = page.script("return await navigator.clipboard.readText()")
    address = f"{service.url}/predict?min_confidence=0.05"
    assert line == f"curl '{address}' -H 'Content-Type: image/jpeg' --data-binary '@room 0.jpg'"


def test_names_of_classes_and_files_are_text(
    page: Any, start: Any, detection_bundle: Path, rewritten: Callable[..., Path], rooms: Rooms, tmp_path: Path
) -> None:
    evil = '<img src=x onerror="document.title=1">'
    thresholds = {evil: 0.1, "</script><b>": 0.1}
    bundle = rewritten(
        detection_bundle, classes=list(thresholds), calibration={"method": "none", "thresholds": thresholds}
    )
    page.open(start(bundle).url)
    named = tmp_path / "<b>bold & 'quoted'.jpg"
    rooms(1)[0].rename(named)
    page.upload(named)
    page.until(lambda: len(page.all(".bars li")) == 2)
    assert evil in page.texts(".bars .name")
    assert named.name in page.one("figcaption").text
    assert page.all("img[src=x]") + page.all("figcaption b") == []
    assert page.browser.title == "amenities: try it"
