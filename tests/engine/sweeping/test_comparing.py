"""The order of members, the page of a comparison, and its figure in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pizzeria.errors import GateError, PizzeriaError
from pizzeria.ports import free_port
from pizzeria.runs.store import Store
from pizzeria.sweeping.best import write_best
from pizzeria.sweeping.comparing import Comparison, of_sweep
from pizzeria.sweeping.page import cost_text, write_page
from pizzeria.sweeping.parallel import axis, parallel_coordinates
from pizzeria.sweeping.records import Member, State, Sweep
from pizzeria.sweeping.space import corners, settings
from pizzeria.sweeping.sweeping import judge

EVIL = '"><img src=x onerror="window.hit=1"><script>window.hit=2</script>'
PRICES = {"currency": "EUR", "cpu_core_hour": 0.04}


def member(number: int, value: float | None, state: State = "done", **varied: object) -> Member:
    return Member(
        number=number,
        settings=varied or {"training.learning_rate": 10.0**-number, "model.backbone": f"net{number % 3}"},
        spec={"name": "x", "cost": PRICES},
        run=f"x-{number:08x}",
        state=state,
        validation={} if value is None else {"auroc": value, "log_loss": 1 - value},
        test={} if value is None else {"auroc": value - 0.05},
        intervals={} if value is None else {"auroc": [value - 0.08, value - 0.02]},
        seconds={"train": 100.0, "collect": 3.0},
        training={"seconds": 90.0, "cores": 2, "gpus": 0},
        message="" if state == "done" else EVIL,
    )


def swept(folder: Path, members: list[Member], metric: str = "auroc") -> Comparison:
    better = "lower" if metric == "log_loss" else "higher"
    sweep = Sweep(folder / "x-1", ("x.yaml", "a=1,2"), "evaluate", metric, better, 6, "2026-11-26T08:00:00+00:00")
    sweep.begin()
    for one in members:
        sweep.keep(one)
    return of_sweep(sweep)


MEMBERS = [
    member(0, 0.80),
    member(1, 0.95, "missed"),
    member(2, None, "failed"),
    member(3, 0.90),
    member(4, 0.70, "missed"),
]


def test_the_best_meets_the_criteria_and_what_was_not_measured_is_last(tmp_path: Path) -> None:
    found = swept(tmp_path, MEMBERS)
    assert [one.number for one in found.members] == [1, 3, 0, 4, 2]
    assert found.best is not None
    assert found.best.number == 3
    assert found.row(found.best)["interval"] == [pytest.approx(0.82), pytest.approx(0.88)]
    assert cost_text(found.best) == "0.002 EUR"  # 90 s of two cores
    assert [one.number for one in swept(tmp_path, MEMBERS, "log_loss").members] == [1, 3, 0, 4, 2]

    missed = swept(tmp_path / "none", [member(0, 0.6, "missed"), member(1, 0.7, "missed")])
    assert missed.best is not None
    assert missed.best.number == 1
    path = write_best(missed, tmp_path / "best.yaml")
    assert path is not None
    assert "# It misses a success criterion, as all members do" in path.read_text()
    assert write_best(swept(tmp_path / "failed", [member(0, None, "failed")]), tmp_path / "best.yaml") is None
    assert not path.exists()  # no spec of an earlier comparison stays


def test_values_are_placed_by_size_logarithm_or_name() -> None:
    assert axis("n", [1, 2, 3]).places == [0.0, 0.5, 1.0]
    assert axis("n", [1, 2, 3], upside_down=True).places == [1.0, 0.5, 0.0]
    assert axis("rate", [1e-4, 1e-3, 1e-2]).places == [0.0, 0.5, 1.0]
    assert axis("flag", [True, False]).ticks == [(0.0, "false"), (1.0, "true")]
    assert axis("same", [4, 4]).places == [0.5, 0.5]
    assert [text for _, text in axis("near", [0.0, 0.001, 0.5, 1.0]).ticks] == ["0", "0.5", "1"]
    assert len(axis("many", [f"n{i}" for i in range(40)]).ticks) <= 12


def test_corners_have_every_choice_and_both_ends() -> None:
    found = corners(["a=choice(1,2,3)", "b=interval(0.5,1)", "c=int(interval(2,9))", "d=range(0,4)", "e=x"])
    assert found[0] == ["a=1", "b=0.5", "c=2", "d=0", "e=x"]
    values = {text for one in found for text in one}
    assert values == {"a=1", "a=2", "a=3", "b=0.5", "b=1.0", "c=2", "c=9", "d=0", "d=4", "e=x"}  # Optuna takes 4, too
    assert len(found) == 1 + 2 + 1 + 1 + 1
    assert settings(["a='x y'", "b=0.5"], ["a='x y',z", "b=interval(0,1)"]) == {"a": "x y", "b": 0.5}


def test_there_is_no_figure_of_nothing(tmp_path: Path) -> None:
    assert parallel_coordinates(swept(tmp_path, [member(0, 0.5), member(1, None, "failed")])) is None
    page = write_page(
        swept(tmp_path / "failed", [member(2, None, "failed")]), tmp_path / "compare.html", None, Store(tmp_path)
    )
    assert "No member was measured" in page.read_text()


@pytest.mark.slow
def test_the_page_draws_in_both_schemes_fits_a_phone_and_keeps_names_inert(tmp_path: Path) -> None:
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    evil = [member(i, 0.9 - i / 10, **{EVIL: f"{EVIL}{i}", "model.depth": i}) for i in range(4)]
    found = swept(tmp_path, [*evil, member(4, None, "failed")])
    page = write_page(found, tmp_path / "compare.html", tmp_path / "best.yaml", Store(tmp_path))
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver, port=free_port()))
    lines = "return document.querySelectorAll('.draw .scatterlayer .trace').length"
    try:
        for scheme, width in (("light", 1280), ("dark", 390)):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            size = {"width": width, "height": 4000, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get(page.as_uri())
            WebDriverWait(browser, 60).until(lambda b: b.execute_script(lines) == 4)
            assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            assert browser.execute_script("return window.hit === undefined")
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    finally:
        browser.quit()


def test_a_sweep_ends_with_what_became_of_its_members(tmp_path: Path) -> None:
    def sweep_of(*states: State) -> Sweep:
        found = swept(tmp_path / "-".join(states), [member(i, 0.5, state) for i, state in enumerate(states)]).sweep
        assert found is not None
        return found

    judge(sweep_of("done", "missed"))
    with pytest.raises(GateError, match="none of 2 members meets the success criteria"):
        judge(sweep_of("missed", "missed"))
    with pytest.raises(PizzeriaError, match="2 of 3 members failed: 1, 3"):
        judge(sweep_of("failed", "done", "failed"))
