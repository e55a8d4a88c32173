"""How the page looks and is used: by keyboard, on a phone, in the dark, with a key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow
Rooms = Callable[[int], list[Path]]
KEY = "a key of the tests and long enough"

CONTRASTS = """
const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const light = colour => {
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(one => one / 255)
    .map(one => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)|\\/ 0\\)|transparent/.test(colour)) return colour;
  }
  return "white";
};
return [...document.querySelectorAll("h1, a, p, span, strong, code, button, label, th, td, legend, figcaption, output")]
  .filter(one => one.checkVisibility() && !one.closest(".unseen, :disabled")
    && [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .map(one => {
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    return [one.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)];
  });
"""


def test_by_keyboard_alone(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    page.one(".welcome")
    page.tab_to("#sample")
    page.press(Keys.ENTER)
    page.until(lambda: page.all(".bars li"))
    page.upload(*rooms(3))
    page.until(lambda: len(page.all("li.answered")) == 4)
    tile = page.tab_to(".tile")
    outline = page.script("return getComputedStyle(arguments[0]).outlineStyle", tile)
    assert outline == "solid", "one sees where the focus is"
    assert "room 0.jpg" in page.one("figcaption").text
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.until(lambda: "room 2.jpg" in page.one("figcaption").text)
    page.press(Keys.ARROW_RIGHT)
    page.until(lambda: "room 2.jpg" in page.one("figcaption").text)
    page.press(Keys.HOME)
    page.until(lambda: "sample.jpg" in page.one("figcaption").text)
    assert page.script("return document.activeElement.getAttribute('aria-current')") == "true"
    page.tab_to("#threshold")
    page.press(Keys.ARROW_RIGHT)
    page.until(lambda: page.one(".setting output").text.endswith("%"))
    before = page.one(".setting output").text
    page.press(*[Keys.ARROW_RIGHT] * 5)
    page.until(lambda: int(page.one(".setting output").text[:-2]) == int(before[:-2]) + 5)
    assert "sample.jpg" in page.one("figcaption").text, "the slider keeps its arrow keys"
    page.tab_to("input[name=mode]")
    page.press(Keys.ARROW_RIGHT)
    page.until(lambda: page.all(".chip"))
    page.tab_to(".chip input")
    page.press(Keys.SPACE)
    page.tab_to("#verify")
    page.press(Keys.ENTER)
    page.until(lambda: page.all(".verdict"))
    page.tab_to(".verdict button")
    page.press(Keys.ENTER)
    page.until(lambda: page.all(".tile .mark"))


def test_everything_that_is_pressed_has_a_name(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    page.upload(*rooms(2))
    page.until(lambda: len(page.all("li.answered")) == 2)
    names = [one.accessible_name for one in page.all("button, input, a, textarea")]
    assert names
    assert all(names)
    assert page.one("#threshold").accessible_name == "Confidence at least"
    assert page.all("[role=status]")


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_light_and_in_the_dark(page: Any, service: Any, rooms: Rooms, dark: bool) -> None:
    page.open(service.url, dark=dark)
    page.upload(*rooms(2))
    page.until(lambda: len(page.all("li.answered")) == 2)
    [red] = re.findall(
        r"^rgb\((\d+)|^oklch\(([\d.]+)", page.script("return getComputedStyle(document.body).backgroundColor")
    )
    assert (float("".join(red)) < 0.3) == dark
    weak = [(text, round(found, 2)) for text, found in page.script(CONTRASTS) if found < 4.5]
    assert weak == [], "WCAG AA asks for 4.5"
    page.one(".modes label:nth-of-type(2)").click()
    page.all(".chip")[0].click()
    page.one("#verify").click()
    page.until(lambda: page.all(".verdict"))
    weak = [(text, round(found, 2)) for text, found in page.script(CONTRASTS) if found < 4.5]
    assert weak == []


def test_on_a_phone_nothing_scrolls_sideways(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url, width=360, height=740)
    page.one(".welcome")
    assert not page.overflows()
    page.upload(*rooms(12))
    page.until(lambda: len(page.all("li.answered")) == 12)
    assert not page.overflows()
    small = [one.text for one in page.all("button, label.button") if 0 < one.rect["height"] < 24]
    assert small == [], "a finger finds each of them (WCAG 2.5.8)"
    page.open(service.url + "/docs", width=360, height=740)
    page.one("h1")
    assert not page.overflows()


def test_nothing_moves_for_those_who_ask_for_calm(page: Any, service: Any, rooms: Rooms) -> None:
    page.open(service.url)
    calm = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": calm})
    page.upload(*rooms(1))
    page.until(lambda: page.all(".bars li"))
    moving = "return [...document.querySelectorAll('*')].map(one => getComputedStyle(one).transitionDuration)"
    assert set(page.script(moving)) == {"0s"}


def test_a_key_is_asked_for_and_kept_in_the_tab(
    page: Any, start: Any, detection_bundle: Path, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.expected = {401}
    monkeypatch.setenv("KEYS_OF_THE_TESTS", KEY)
    running = start(detection_bundle, keys_from="KEYS_OF_THE_TESTS")
    page.open(running.url)
    assert "only with a key" in page.one(".key").text
    page.upload(*rooms(2))
    page.until(lambda: len(page.all(".tile img")) == 2)
    assert not [url for url in page.requests() if "/predict" in url], "not without a key"
    page.one("#key").send_keys("a wrong key as long as it may be")
    page.one(".key button").click()
    page.until(lambda: "not one of" in page.one("#keysaid").text)
    assert page.all("li.refused") == []
    page.one("#key").clear()
    page.one("#key").send_keys(KEY + Keys.ENTER)
    page.until(lambda: len(page.all("li.answered")) == 2)
    page.browser.refresh()
    page.until(lambda: page.one("#key").get_attribute("value") == KEY)
    page.upload(*rooms(1))
    page.until(lambda: len(page.all("li.answered")) == 1)
    assert page.script("return [localStorage.length, document.cookie, location.search]") == [0, "", ""]


def test_the_documentation_is_complete_and_copies_its_lines(page: Any, service: Any) -> None:
    page.open(service.url + "/docs")
    text = page.one("body").text
    for said in ("POST /predict", "POST /verify", "0.2 MB, or 413", "jpeg, png, webp, or 415", "429 with Retry-After"):
        assert said in text
    assert f"SERVICE={service.url}" in text
    granted = {"permissions": ["clipboardReadWrite"], "origin": service.url}
    page.browser.execute_cdp_cmd("Browser.grantPermissions", granted)
    page.watch("button.copy")
    page.all("button.copy")[1].click()
    page.until(lambda: "Copied" in page.seen())
    line = page.script("return await navigator.clipboard.readText()")
    assert line == "curl $SERVICE/predict -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"
    page.one("summary").click()
    assert page.one("details[open] pre").is_displayed()
