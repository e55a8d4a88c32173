"""Rows on the page: JSON text, CSV files, and the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow


def write(page: Any, text: str) -> None:
    area = page.one("#json")
    page.until(lambda: area.get_attribute("value"))  # the sample, which would come between the keys
    area.send_keys(Keys.CONTROL + "a")
    area.send_keys(text)
    page.one("#predict").click()


def test_the_sample_is_there_to_begin_with(page: Any, tabular_service: Any) -> None:
    page.open(tabular_service.url)
    page.until(lambda: '"rooms": 2' in page.one("#json").get_attribute("value"))
    page.one("#predict").click()
    page.until(lambda: page.texts("tbody strong") == ["3"])
    assert "1 row answered in" in page.one(".answer").text
    assert page.one("thead").text.split() == ["Row", "price"]


def test_a_wrong_row_is_explained(page: Any, tabular_service: Any) -> None:
    page.expected = {422}
    page.open(tabular_service.url)
    write(page, '[{"rooms": 2, "beds": "many"}]')
    assert "rows[0].beds" in page.one(".answer .note").text.lower()
    write(page, "[{")
    page.until(lambda: "This is not JSON" in page.one(".answer .note").text)
    write(page, '{"rooms": 4, "beds": null}')
    page.until(lambda: page.texts("tbody strong") == ["5"])
    assert page.all(".answer .note") == []


def test_a_csv_file_is_sent_in_parts(page: Any, tabular_service: Any, tmp_path: Path) -> None:
    lines = ['"street, no.";rooms;beds;row_id']
    lines += [f'"Main ""St"" {i}\n";{i};;house {i}' for i in range(120)]
    (tmp_path / "houses.csv").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    page.open(tabular_service.url)
    page.one("#file").send_keys(str(tmp_path / "houses.csv"))
    page.until(lambda: "120 rows answered" in page.one(".answer").text)
    assert "Left out, as the model does not know it: street, no." in page.one("main").text
    assert [url for url in page.requests() if url.endswith("/predict")] == [f"{tabular_service.url}/predict"] * 3
    assert page.texts("tbody strong")[:3] == ["1", "2", "3"], "the median stands for what is empty"
    assert page.texts("tbody th")[:2] == ["house 0", "house 1"]
    assert len(page.all("tbody strong")) == 100
    page.until(lambda: [one for one in page.all(".answer button") if one.text == "Show more"])[0].click()
    page.until(lambda: len(page.all("tbody strong")) == 120)
    next(one for one in page.all("button") if one.text == "Back to the text").click()
    page.one("#json")


def test_a_fault_far_down_a_file_names_its_row_in_the_file(page: Any, tabular_service: Any, tmp_path: Path) -> None:
    page.expected = {422}
    lines = ["rooms,beds", *("1,1" for _ in range(70)), "1,none"]
    (tmp_path / "houses.csv").write_text("\n".join(lines))
    page.open(tabular_service.url)
    page.one("#file").send_keys(str(tmp_path / "houses.csv"))
    page.until(lambda: "rows[70].beds" in page.one(".answer .note").text.lower())
    (tmp_path / "empty.csv").write_text("rooms,beds\n")
    page.one("#file").send_keys(str(tmp_path / "empty.csv"))
    page.until(lambda: "no row below its first line" in page.one(".answer .note").text)
