"""The pages in a real browser: no error, nothing from elsewhere, dark and light, a phone, the keyboard, an action."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pizzeria.runs.store import Store

from .conftest import Served
from .pantry import HOURS, Pantry, prices
from .test_pages import PATHS

pytestmark = pytest.mark.slow

WIDER = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUSED = """
    const e = document.activeElement, slice = e.querySelector("path");
    return [getComputedStyle(e).outlineStyle, slice ? getComputedStyle(slice).strokeWidth : "0px",
            e.getAttribute("aria-label") || e.textContent];
"""


def look(browser: Any, url: str, *, width: int = 1280, scheme: str = "light") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(url)


def faults(browser: Any, pages: Served) -> list[str]:
    """What the console complains of, and requests to anywhere else."""
    found = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if urlsplit(url).scheme != "data" and not url.startswith(pages.url):
                found.append(f"asked {url}")
    return found


def red(browser: Any) -> int:
    script = "return +getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"
    found: int = browser.execute_script(script)
    return found


def test_no_page_has_an_error_or_asks_elsewhere(browser: Any, pages: Served) -> None:
    for path in PATHS:
        look(browser, pages.url + path)
        assert browser.execute_script("return window.hit === undefined"), path
        assert browser.execute_script(WIDER) == 0, path
    assert faults(browser, pages) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(browser: Any, pages: Served, scheme: str) -> None:
    for path in PATHS:
        look(browser, pages.url + path, width=375, scheme=scheme)
        assert browser.execute_script(WIDER) == 0, path
        assert (red(browser) < 60) == (scheme == "dark"), path


def test_the_switch_wins_over_the_system(browser: Any, pages: Served) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    look(browser, f"{pages.url}/prices/monitoring?column=rooms", scheme="light")
    for word, dark in (("dark", True), ("light", False), ("auto", False)):
        browser.find_element(
            By.CSS_SELECTOR, f".theme button:nth-of-type({['auto', 'light', 'dark'].index(word) + 1})"
        ).click()
        WebDriverWait(browser, 30).until(lambda one, dark=dark: (red(one) < 60) == dark, word)  # the page comes anew
        assert browser.current_url == f"{pages.url}/prices/monitoring?column=rooms"
    assert faults(browser, pages) == []


def test_the_keyboard_reaches_the_content_and_what_has_focus_is_seen(browser: Any, pages: Served) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    look(browser, f"{pages.url}/prices")
    focused = (
        "const e = document.activeElement; return [e.className, e.textContent.trim(), e.getBoundingClientRect().top]"
    )
    ActionChains(browser).send_keys(Keys.TAB).perform()
    name, text, top = browser.execute_script(focused)
    assert (name, text) == ("skip", "To the content")
    assert top >= 0
    ActionChains(browser).send_keys(Keys.ENTER).send_keys(Keys.TAB).perform()
    seen = []
    for _ in range(14):
        outline, stroke, words = browser.execute_script(FOCUSED)
        seen.append(words)
        assert outline != "none" or float(stroke.removesuffix("px")) >= 3, words
        ActionChains(browser).send_keys(Keys.TAB).perform()
    assert seen[0] == "Need: done"
    assert "Monitor: needs attention" in seen


def test_from_an_alarm_to_its_photos_and_the_label_queue(browser: Any, pages: Served) -> None:
    from selenium.webdriver.common.by import By

    look(browser, f"{pages.url}/amenities")
    browser.find_element(By.LINK_TEXT, "All 2, and who was told").click()
    browser.find_element(By.LINK_TEXT, "newest chunk").click()
    assert browser.current_url == f"{pages.url}/amenities/chunks/{HOURS}"
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 3000, "deviceScaleFactor": 1, "mobile": False}
    )
    from selenium.webdriver.support.ui import WebDriverWait

    drawn = "return [...document.images].filter(i => i.complete && i.naturalWidth).length"
    WebDriverWait(browser, 30).until(lambda b: b.execute_script(drawn) == 8)
    browser.find_element(By.LINK_TEXT, "What to label of it").click()
    assert "These show its alarms best" in browser.page_source
    assert faults(browser, pages) == []


def test_a_column_of_a_chart_is_a_link(browser: Any, pages: Served) -> None:
    from selenium.webdriver.common.by import By

    look(browser, f"{pages.url}/prices/monitoring")
    browser.find_element(By.CSS_SELECTOR, f".chart .draw a:nth-of-type({HOURS - 1}) rect").click()
    assert "/prices/chunks/" in browser.current_url
    assert "Chunk 2026-05-03T22" in browser.page_source


@pytest.fixture
def own(tmp_path: Path, tabular_bundle: Path, former_bundle: Path) -> Iterator[tuple[Pantry, Served]]:
    pantry = Pantry(Store(tmp_path / "runs"), {"tabular_regression": tabular_bundle, "former": former_bundle})
    prices(pantry, runs=1)
    served = Served(pantry.store, actions=True)
    yield pantry, served
    served.close()


def test_an_action_from_the_link_to_the_ledger(browser: Any, own: tuple[Pantry, Served]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    pantry, pages = own
    former = pantry.ledger.entries("prices", "promoted")[0].sha256
    faults(browser, pages)  # those of the tests before
    look(browser, f"{pages.url}/-/in?token={pages.access.token}")
    WebDriverWait(browser, 30).until(lambda b: b.current_url == f"{pages.url}/" and "actions on" in b.page_source)
    browser.get(f"{pages.url}/prices/deployment")
    browser.find_element(By.PARTIAL_LINK_TEXT, "Roll back").click()
    assert pantry.ledger.champion("prices").sha256 != former  # type: ignore[union-attr]
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    WebDriverWait(browser, 60).until(lambda b: f"prices is back at {former[:12]}" in b.page_source)
    assert pantry.ledger.champion("prices").sha256 == former  # type: ignore[union-attr]
    assert faults(browser, pages) == []
