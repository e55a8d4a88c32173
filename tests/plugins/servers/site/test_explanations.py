"""What an answer rests on, as the page shows it: a map over the photo, and how much each column pulls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROWS = '[{"rooms": 1, "beds": 1}, {"rooms": 4, "beds": -0.5}]'
HEAT = """
const canvas = document.querySelector(".heat"), frame = document.querySelector(".frame").getBoundingClientRect();
if (!canvas || !canvas.width) return null;
const place = canvas.getBoundingClientRect(), pen = canvas.getContext("2d");
const at = (x, y) => [...pen.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data];
return {covers: place.width / frame.width, opacity: getComputedStyle(canvas).opacity,
        ratio: canvas.width / canvas.height, centre: at(0.5, 0.5)};
"""
MOVE = """
arguments[0].value = arguments[1];
arguments[0].dispatchEvent(new Event("input", {bubbles: true}));
"""


def test_a_classifier_says_which_class_and_why(
    page: Any, start: Any, classification_bundle: Path, rooms: Callable[[int], list[Path]]
) -> None:
    page.open(start(classification_bundle).url)
    page.upload(*rooms(2))
    page.until(lambda: len(page.all("li.answered")) == 2)
    assert page.one(".found").text.startswith("bed"), "a dark photo"
    assert page.texts(".bars .name") == ["bed", "sofa"]
    assert page.all(".modes, .box") == [], "a classifier verifies no listing and draws no boxes"
    page.one("#why").click()
    heat = page.until(lambda: page.script(HEAT))
    assert heat["covers"] == pytest.approx(1, abs=0.01)
    assert heat["ratio"] == pytest.approx(320 / 240, abs=0.02)
    assert float(heat["opacity"]) == pytest.approx(0.7)
    assert heat["centre"][3] > 0
    assert "What speaks for bed" in page.one(".answer").text
    page.script(MOVE, page.one("#opacity"), "0.3")
    page.until(lambda: float(page.script(HEAT)["opacity"]) == pytest.approx(0.3))
    page.all(".tile")[1].click()
    page.until(lambda: page.one(".found").text.startswith("sofa"))
    assert page.all(".heat") == [], "the map belongs to the other photo"
    assert len([url for url in page.requests() if "explain=true" in url]) == 1


def test_each_column_of_a_row_pulls_up_or_down(page: Any, tabular_service: Any) -> None:
    page.open(tabular_service.url)
    area = page.one("#json")
    page.script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", area, ROWS)
    page.one("#predict").click()
    page.until(lambda: page.texts("tbody strong") == ["2", "3.5"])
    page.all("button.why")[1].click()
    page.until(lambda: len(page.all(".pulls li")) == 2)
    up, down = page.all(".pulls li")
    assert up.text.split("\n") == ["rooms 4", "+3.00"], "the model adds both up, and a usual row has 1 of each"
    assert down.text.split("\n") == ["beds -0.5", "\u22121.50"]
    assert "From 2 for a usual row to 3.5 here" in page.one(".because").text
    bars = [one.rect["width"] for one in page.all(".pull i")]
    assert bars[0] == pytest.approx(2 * bars[1], rel=0.05)
    middle = page.one(".pull").rect
    centre = middle["x"] + middle["width"] / 2
    rise, fall = (one.rect for one in page.all(".pull i"))
    assert rise["x"] == pytest.approx(centre, abs=1.5)
    assert fall["x"] + fall["width"] == pytest.approx(centre, abs=1.5)
