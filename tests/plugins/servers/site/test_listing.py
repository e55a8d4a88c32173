"""Listings on the page: what is declared, the verdicts, and the evidence that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
Rooms = Callable[[int], list[Path]]


def listing(page: Any, url: str, *declared: str, photos: list[Path], **look: Any) -> None:
    page.open(url, **look)
    page.one(".modes label:nth-of-type(2)").click()
    for chip in page.until(lambda: page.all(".chip")):
        if chip.text in declared:
            chip.click()
    page.upload(*photos)
    page.until(
        lambda: len(page.all(".tile img")) + len(page.all("li.refused")) > 0 and page.one("#verify").is_enabled()
    )


def test_each_declared_amenity_gets_a_verdict_with_a_reason(page: Any, service: Any, rooms: Rooms) -> None:
    listing(page, service.url, "bed", photos=rooms(3))
    page.until(lambda: page.one(".row #verify + span").text == "3 photos")
    assert not [url for url in page.requests() if "/predict" in url], "photos of a listing are asked about together"
    page.one("#verify").click()
    page.until(lambda: page.all(".verdict"))
    [bed] = page.all(".verdicts[aria-label=Verdicts] .verdict")
    word = bed.find_element("css selector", ".word")
    assert word.text == "confirmed"
    assert bed.find_elements("css selector", ".icon"), "not by colour alone"
    reason = bed.find_element("css selector", ".reason").text
    assert "room 2.jpg" in reason
    colours = page.script("return [getComputedStyle(arguments[0]).color, getComputedStyle(document.body).color]", word)
    assert colours[0] != colours[1]
    [sofa] = page.all(".verdicts:not([aria-label=Verdicts]) .verdict")
    assert sofa.text.startswith("sofa\nseen")
    assert "Answered in" in page.one(".answer").text


def test_a_verdict_leads_to_its_evidence(page: Any, service: Any, rooms: Rooms) -> None:
    listing(page, service.url, "bed", "sofa", photos=rooms(3))
    page.until(lambda: page.one(".row #verify + span").text == "3 photos")
    page.one("#verify").click()
    verdict = page.until(lambda: page.all(".verdict button"))[0]
    assert "room 0.jpg" in page.one("figcaption").text
    verdict.click()
    page.until(lambda: "room 2.jpg" in page.one("figcaption").text)
    assert verdict.get_attribute("aria-pressed") == "true"
    bed = page.one(".box[data-class=bed]")
    assert "dim" not in bed.get_attribute("class")
    assert page.all(".tile")[2].find_elements("css selector", ".mark")
    assert len(page.all(".tile .mark")) == 1
    frame, box = page.one(".frame").rect, bed.rect
    assert box["width"] / frame["width"] == pytest.approx(12 / 32, abs=0.02)


def test_a_changed_listing_is_to_be_verified_again(page: Any, service: Any, rooms: Rooms) -> None:
    listing(page, service.url, "bed", photos=rooms(2))
    page.one("#verify").click()
    page.until(lambda: page.all(".verdict"))
    assert "has changed" not in page.one(".answer").text
    page.all(".chip")[1].click()
    page.until(lambda: "has changed" in page.one(".answer").text)
    page.one("#verify").click()
    page.until(lambda: len(page.all(".verdicts[aria-label=Verdicts] .verdict")) == 2)
    assert "has changed" not in page.one(".answer").text


def test_a_broken_photo_does_not_stop_the_others(page: Any, service: Any, rooms: Rooms, tmp_path: Path) -> None:
    page.expected = {400, 415}
    good = rooms(2)
    (tmp_path / "cut.jpg").write_bytes(good[0].read_bytes()[:700])
    listing(page, service.url, "bed", photos=[good[0], tmp_path / "cut.jpg", good[1]])
    page.one("#verify").click()
    page.until(lambda: page.all(".verdict"))
    assert len(page.all("li.refused")) == 1
    page.all(".tile")[1].click()
    page.until(lambda: "cannot be decoded" in page.one(".frame .note").text)
    assert page.one(".row #verify + span").text == "2 photos"


def test_photos_too_large_together_are_sent_smaller(page: Any, service: Any, tmp_path: Path) -> None:
    photos = []
    for i in range(4):
        photos.append(tmp_path / f"noise {i}.png")
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (180, 240, 3), np.uint8)).save(photos[-1])
    assert sum(path.stat().st_size for path in photos) > 200_000
    listing(page, service.url, "bed", photos=photos)
    page.until(lambda: len(page.all(".tile img")) == 4)
    page.one("#verify").click()
    page.until(lambda: page.all(".verdict"))
    assert page.all(".note.fault") == []


def test_on_a_phone_the_evidence_comes_into_view(page: Any, service: Any, rooms: Rooms) -> None:
    listing(page, service.url, "bed", photos=rooms(2), width=360, height=740)
    page.one("#verify").click()
    verdict = page.until(lambda: page.all(".verdict button"))[0]
    assert not page.overflows()
    page.script("arguments[0].scrollIntoView({block: 'center'})", verdict)
    verdict.click()
    page.until(lambda: page.script("return document.querySelector('.stage').getBoundingClientRect().top >= 0"))
