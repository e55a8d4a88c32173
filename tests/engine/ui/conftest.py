"""The application over a store with a history, and a real browser."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pizzeria.ports import free_port
from pizzeria.runs.store import Store
from pizzeria.ui.access import Access
from pizzeria.ui.app import make_app

from ...plugins.servers import conftest as services
from .pantry import Pantry, fill

LOOKS_AGAIN = '<meta http-equiv="refresh"'

detection_bundle = services.detection_bundle
tabular_bundle = services.tabular_bundle


@pytest.fixture(scope="session")
def former_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the same model as `tabular_bundle`, with other metrics: another bundle."""
    folder = tmp_path_factory.mktemp("former")
    services.regressor(folder / "model.onnx")
    columns = [{"name": name, "median": 1, "mean": 0, "std": 1} for name in ("rooms", "beds")]
    target = {"name": "price", "mean": 0, "std": 1}
    about = services.describe(
        "tabular_regression",
        name="prices",
        classes=[],
        preprocessing={"kind": "columns", "numeric": columns, "categorical": [], "target": target},
        calibration={"method": "none"},
        metrics={"mae": 0.5},
    )
    return services.bundle_of(folder, about, ("request.json", b'{"rows": [{"rooms": 2, "beds": 1}]}'))


@pytest.fixture(scope="session")
def filled(
    tmp_path_factory: pytest.TempPathFactory, detection_bundle: Path, tabular_bundle: Path, former_bundle: Path
) -> Pantry:
    """Made once, and only read."""
    store = Store(tmp_path_factory.mktemp("pantry") / "runs")
    bundles = {"object_detection": detection_bundle, "tabular_regression": tabular_bundle, "former": former_bundle}
    return fill(Pantry(store, bundles))


class Served:
    """The application in a thread, on a port of its own; it knows all runs that there are."""

    def __init__(self, store: Store, **access: Any) -> None:
        import uvicorn

        listening = socket.create_server(("127.0.0.1", 0))  # held from here on: a port that is free now may soon not be
        self.access = Access("127.0.0.1", listening.getsockname()[1], **access)
        self.url = f"http://127.0.0.1:{self.access.port}"
        app = make_app(store, self.access)
        app.state.shop.runs.read_all()  # a page waits but a moment for it, and then shows what was read so far
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.02)

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **more)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def settled(client: httpx.Client, path: str) -> httpx.Response:
    """A page with all that is asked for beside it; as long as something is still asked, the page says to look again."""
    until = time.monotonic() + 120
    answer = client.get(path)
    while LOOKS_AGAIN in answer.text and time.monotonic() < until:
        time.sleep(0.1)
        answer = client.get(path)
    return answer


@pytest.fixture(scope="session")
def pages(filled: Pantry) -> Iterator[Served]:
    """Read-only, over the filled store."""
    served = Served(filled.store)
    yield served
    served.close()


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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver, port=free_port()))
    yield opened
    opened.quit()
