"""The report in a real browser: it opens without a console error, draws all its figures and fits a phone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pizzeria.ports import free_port
from pizzeria.report import render

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver, port=free_port()))
    opened.set_script_timeout(120)  # a script waits for figures that are being drawn, on a machine that may be busy
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def runs(build: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    evil = [
        "<script>window.hit=1</script>",
        '"><img src=x onerror="window.hit=2">',
        "<a href='javascript:alert(1)'>x</a>",
    ]
    found = {
        "detection": build["detection"](root / "amenities").path,
        "evil": build["detection"](root / "evil", classes=evil, need="<img src=x onerror='window.hit=3'>").path,
        "regression": build["rows"](root / "delays", "tabular_regression").path,
        "classification": build["photos"](root / "rooms", "image_classification").path,
        "empty": build["empty"](root / "empty", {"need": "Why.", "task": "object_detection"}).path,
    }
    for path in found.values():
        render(path)
    return found


def look(browser: Any, run: Path, *, width: int = 1280, scheme: str = "light") -> None:
    """Open the report, tall enough that every figure is in view, and wait until all are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get_log("browser")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 30_000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((run / "report.html").as_uri())
    undrawn = "return [...document.querySelectorAll('.draw')].filter(b => !b.querySelector('svg.main-svg')).length"
    WebDriverWait(browser, 120).until(lambda b: b.execute_script(undrawn) == 0)


def errors(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("name", ["detection", "evil", "regression", "classification", "empty"])
def test_no_console_error(browser: Any, runs: dict[str, Path], name: str) -> None:
    look(browser, runs[name])
    assert errors(browser) == []
    assert browser.execute_script("return window.hit === undefined")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_the_window_in_both_schemes(browser: Any, runs: dict[str, Path], scheme: str, width: int) -> None:
    look(browser, runs["detection"], width=width, scheme=scheme)
    assert errors(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    red = browser.execute_script("return +getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (red < 60) == (scheme == "dark")


def test_what_is_read_on_the_page_is_what_was_measured(browser: Any, runs: dict[str, Path]) -> None:
    look(browser, runs["detection"])
    metrics = json.loads((runs["detection"] / "stages/evaluate/metrics.json").read_text())["metrics"]
    read = "return [...document.querySelectorAll('[data-metric]')].map(e => [e.dataset.metric, e.innerText])"
    told = dict(browser.execute_script(read))
    known = {name: value for name, value in metrics.items() if value is not None}
    assert set(known) <= set(told) <= set(metrics)
    for name, value in known.items():
        assert float(told[name]) == pytest.approx(value, abs=5e-4), name


def test_contents_lead_to_the_sections(browser: Any, runs: dict[str, Path]) -> None:
    look(browser, runs["detection"])
    links = "return [...document.querySelectorAll('nav a')].map(a => document.getElementById(a.hash.slice(1))?.tagName)"
    assert set(browser.execute_script(links)) == {"H2"}


def test_figures_follow_a_change_of_the_colour_scheme(browser: Any, runs: dict[str, Path]) -> None:
    look(browser, runs["regression"])
    colour = "return document.querySelector('.draw .xtick text').style.fill"
    before = browser.execute_script(colour)
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 120).until(lambda b: b.execute_script(colour) != before)
