"""The page to try the model, opened in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.slow
ROOM = (230, 225, 215)
PIXEL_OF_CANVAS = """
const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");
const [x, y] = arguments;
return Array.from(pen.getImageData(Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is absent: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1100,900", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as chrome:
        yield chrome


def wait(browser: webdriver.Chrome, condition: Any) -> Any:
    return WebDriverWait(browser, 20).until(condition)


def complaints(browser: webdriver.Chrome) -> list[str]:
    return [one["message"] for one in browser.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]


def test_a_photo_gets_its_boxes_and_its_table(browser: webdriver.Chrome, service: Any, tmp_path: Path) -> None:
    browser.get(service.url)
    heading = browser.find_element(By.TAG_NAME, "header").text
    assert heading.startswith("amenities\nobject detection")
    assert service.release.sha256[:12] in heading
    Image.new("RGB", (640, 480), ROOM).save(tmp_path / "room.jpg")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "room.jpg"))
    wait(browser, lambda page: len(page.find_elements(By.CSS_SELECTOR, "#answer tbody tr")) == 2)
    cells = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#answer td")]
    assert cells[0].endswith("bed")
    assert cells[1].endswith("%")
    widths = [one.size["width"] for one in browser.find_elements(By.CSS_SELECTOR, "#answer .bar i")]
    assert widths[0] > 1.3 * widths[1], "bars are as long as the probabilities"
    assert "2 boxes drawn" in browser.find_element(By.ID, "answer").text
    assert "Answered in" in browser.find_element(By.ID, "wait").text
    edge = browser.execute_script(PIXEL_OF_CANVAS, 4 / 32, 10 / 24)
    assert max(abs(found - room) for found, room in zip(edge, ROOM, strict=False)) > 30, "the bed's left edge is drawn"
    browser.save_screenshot(str(tmp_path / "page.png"))
    assert complaints(browser) == []


def test_the_sample_photo_is_one_click_away(browser: webdriver.Chrome, service: Any) -> None:
    browser.get(service.url)
    browser.find_element(By.ID, "sample").click()
    wait(browser, lambda page: page.find_elements(By.CSS_SELECTOR, "#answer tbody tr"))
    assert complaints(browser) == []


def test_a_file_that_is_no_photo_is_explained(browser: webdriver.Chrome, service: Any, tmp_path: Path) -> None:
    browser.get(service.url)
    (tmp_path / "notes.jpg").write_text("no photo at all")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "notes.jpg"))
    wait(browser, lambda page: page.find_element(By.ID, "error").is_displayed())
    assert "no photo" in browser.find_element(By.ID, "error").text
    # The browser itself reports every 4xx that a page fetches; the page has nothing to add to that.
    assert [one for one in complaints(browser) if "415" not in one] == []


def test_rows_are_tried_as_json(browser: webdriver.Chrome, start: Any, tabular_bundle: Path) -> None:
    browser.get(start(tabular_bundle).url)
    assert '"rooms": 2' in browser.find_element(By.ID, "json").get_attribute("value")
    browser.find_element(By.ID, "send").click()
    wait(browser, lambda page: page.find_elements(By.CSS_SELECTOR, "#answer tbody tr"))
    assert [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#answer td")] == ["1", "3"]
    assert complaints(browser) == []


def test_the_documentation_opens_without_a_complaint(browser: webdriver.Chrome, service: Any) -> None:
    browser.get(service.url + "/docs")
    assert "POST /predict" in browser.find_element(By.TAG_NAME, "body").text
    browser.find_element(By.TAG_NAME, "summary").click()
    assert complaints(browser) == []
