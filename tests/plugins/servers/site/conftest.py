"""The pages in a real Chromium; every test also fails on a complaint in its console, or a request to another host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image, ImageDraw
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from pizzeria.inference.bundle import draft_bundle, open_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample

PATIENCE_S = 120
SEEN = """
const texts = new Set(), css = arguments[0];
const look = () => document.querySelectorAll(css).forEach(one => texts.add(one.textContent));
new MutationObserver(look).observe(document.body, {childList: true, characterData: true, subtree: true});
window.textsSeen = texts;
"""


class Page:
    """A tab of the browser, as a person uses it.

    Attributes:
        expected: Statuses whose refusals the browser may report in its console; it reports each one.
    """

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser
        self.expected: set[int] = set()
        self._host = ""

    def open(self, url: str, *, width: int = 1100, height: int = 900, dark: bool = False) -> None:
        self.resize(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self._host = urlsplit(url).netloc
        self.browser.get(url)

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        """The one element, waited for."""
        return self.until(lambda: self.all(css))[0]

    def texts(self, css: str) -> list[str]:
        return [found.text for found in self.all(css)]

    def watch(self, css: str) -> None:
        """Keep what these elements say from now on, for `seen`: some say it for a moment only."""
        self.script(SEEN, css)

    def seen(self) -> list[str]:
        """All that was said while this page was watched."""
        return list(self.script("return [...window.textsSeen]"))

    def until(self, condition: Callable[[], Any]) -> Any:
        ignored = (Exception,) if condition.__name__ == "<lambda>" else ()
        return WebDriverWait(self.browser, PATIENCE_S, 0.05, ignored).until(lambda _: condition())

    def script(self, code: str, *values: Any) -> Any:
        return self.browser.execute_script(code, *values)

    def upload(self, *paths: Path) -> None:
        self.one("input[type=file]").send_keys("\n".join(map(str, paths)))

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def tab_to(self, css: str, most: int = 40) -> WebElement:
        """Press Tab until the focus is on an element that `css` selects."""
        for _ in range(most):
            self.press(Keys.TAB)
            focused = self.browser.switch_to.active_element
            if self.script("return arguments[0].matches(arguments[1])", focused, css):
                return focused
        raise AssertionError(f"Tab never comes to {css}")

    def overflows(self) -> bool:
        """Whether one could scroll sideways."""
        return bool(self.script("return document.documentElement.scrollWidth > innerWidth"))

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        out = []
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                out.append(message["params"]["request"]["url"])
        return out

    def check(self) -> None:
        """Nothing was asked of anybody but the service, and nothing was wrong."""
        strangers = [url for url in self.requests() if not url.startswith(("data:", "blob:", f"http://{self._host}/"))]
        assert strangers == []
        told = [one["message"] for one in self.browser.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
        assert [one for one in told if not any(f"status of {status} " in one for status in self.expected)] == []


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is absent: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
    for flag in (*flags, "--no-proxy-server"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture
def page(browser: webdriver.Chrome) -> Iterator[Page]:
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    page = Page(browser)
    yield page
    page.check()


@pytest.fixture
def rooms(tmp_path: Path) -> Callable[[int], list[Path]]:
    """Photos of rooms from dark to bright: `rooms(3)` are three files."""

    def draw(count: int) -> list[Path]:
        paths = []
        for i, level in enumerate(np.linspace(40, 245, count).astype(int)):
            image = Image.new("RGB", (320, 240), (int(level),) * 3)
            ImageDraw.Draw(image).rectangle((40, 100, 160, 200), fill=(150, 40, 40))
            paths.append(tmp_path / f"room {i}.jpg")
            image.save(paths[-1])
        return paths

    return draw


@pytest.fixture
def rewritten(tmp_path: Path) -> Callable[..., Path]:
    """`rewritten(bundle, classes=[...])`: the same model with another description."""

    def write(bundle: Path, **changes: Any) -> Path:
        opened = open_bundle(bundle)
        model = tmp_path / "model.onnx"
        model.write_bytes(opened.read("model.onnx"))
        described = {**opened.description, **changes}
        sample = opened.sample_request()
        answer = answer_sample(Predictor(draft_bundle(described, model), 1), sample)
        write_bundle(tmp_path / "rewritten", described, model, sample, answer)
        return tmp_path / "rewritten"

    return write
