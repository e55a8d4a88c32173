"""The pages in a real browser: no error, nothing from elsewhere, dark and light, a phone, the keyboard, an action."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pizzeria.runs.store import Store

from .conftest import LOOKS_AGAIN, Served
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
    settle(browser)


def settle(browser: Any) -> None:
    """Wait until nothing is asked beside the page any more: until then it loads again by itself every few seconds."""
    wait(browser, lambda b: LOOKS_AGAIN not in b.page_source)


def wait(browser: Any, until: Callable[[Any], object]) -> Any:
    """A click does not wait for the page that it leads to."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 120, ignored_exceptions=[StaleElementReferenceException]).until(until)


def click(browser: Any, by: str, what: str) -> None:
    """Click on what is there, or is there soon."""

    def clicked(one: Any) -> bool:
        one.find_element(by, what).click()
        return True

    wait(browser, clicked)


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

    look(browser, f"{pages.url}/prices/monitoring?column=rooms", scheme="light")
    chosen = "return document.documentElement.dataset.theme || 'auto'"
    for word, dark in (("dark", True), ("light", False), ("auto", False)):
        click(browser, By.CSS_SELECTOR, f".theme button:nth-of-type({['auto', 'light', 'dark'].index(word) + 1})")
        wait(browser, lambda one, word=word: one.execute_script(chosen) == word)  # the page comes anew
        assert (red(browser) < 60) == dark, word
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
    click(browser, By.LINK_TEXT, "All 2, and who was told")
    click(browser, By.LINK_TEXT, "newest chunk")
    wait(browser, lambda b: b.current_url == f"{pages.url}/amenities/chunks/{HOURS}")
    settle(browser)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 3000, "deviceScaleFactor": 1, "mobile": False}
    )
    drawn = "return [...document.images].filter(i => i.complete && i.naturalWidth).length"
    wait(browser, lambda b: b.execute_script(drawn) == 8)
    click(browser, By.LINK_TEXT, "What to label of it")
    wait(browser, lambda b: "These show its alarms best" in b.page_source)
    assert faults(browser, pages) == []


def test_a_column_of_a_chart_is_a_link(browser: Any, pages: Served) -> None:
    from selenium.webdriver.common.by import By

    look(browser, f"{pages.url}/prices/monitoring")
    click(browser, By.CSS_SELECTOR, f".chart .draw a:nth-of-type({HOURS - 1}) rect")
    wait(browser, lambda b: "/prices/chunks/" in b.current_url)
    wait(browser, lambda b: "Chunk 2026-05-03T22" in b.page_source)


@pytest.fixture
def own(tmp_path: Path, tabular_bundle: Path, former_bundle: Path) -> Iterator[tuple[Pantry, Served]]:
    pantry = Pantry(Store(tmp_path / "runs"), {"tabular_regression": tabular_bundle, "former": former_bundle})
    prices(pantry, runs=1)
    served = Served(pantry.store, actions=True)
    yield pantry, served
    served.close()


def test_an_action_from_the_link_to_the_ledger(browser: Any, own: tuple[Pantry, Served]) -> None:
    from selenium.webdriver.common.by import By

    pantry, pages = own
    former = pantry.ledger.entries("prices", "promoted")[0].sha256
    faults(browser, pages)  # those of the tests before
    look(browser, f"{pages.url}/-/in?token={pages.access.token}")
    wait(browser, lambda b: b.current_url == f"{pages.url}/" and "actions on" in b.page_source)
    look(browser, f"{pages.url}/prices/deployment")
    click(browser, By.PARTIAL_LINK_TEXT, "Roll back")
    wait(browser, lambda b: "/prices/act/rollback" in b.current_url)
    assert pantry.ledger.champion("prices").sha256 != former  # type: ignore[union-attr]
    click(browser, By.CSS_SELECTOR, "main form button")
    wait(browser, lambda b: f"prices is back at {former[:12]}" in b.page_source)
    assert pantry.ledger.champion("prices").sha256 == former  # type: ignore[union-attr]
    assert faults(browser, pages) == []
