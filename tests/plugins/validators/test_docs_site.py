"""The pages about an outcome: complete, linked, and readable without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators import batches
from pizzeria_plugins.validators.great_expectations import validate

PROBLEM = Problem(
    need="n",
    owner="o",
    task="tabular_classification",
    classes=("yes", "no"),
    target="sold",
    success=({"metric": "x", "at_least": 0},),
)
LOADS = re.compile(r"<script|<link|<iframe|<img|srcset=|url\(|@import", re.IGNORECASE)


@pytest.mark.parametrize("limit", [10**9, -1])
def test_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Also of data that look like HTML, of outcomes that GX cannot write down by itself, and of both engines."""
    monkeypatch.setattr(batches, "LARGE", limit)
    frame = pd.DataFrame({"row_id": [f"r{n}" for n in range(40)], "x": range(40), "sold": ["yes", "no"] * 20})
    frame["name"] = ["<svg onload=alert(1)>", "b"] * 20
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    ranges = {"quantiles": [0.5], "value_ranges": [[100, 200]]}
    own = {
        "rows": [
            {"expect_column_values_to_be_in_set": {"column": "name", "value_set": ["b"], "severity": "warning"}},
            {"expect_column_quantile_values_to_be_between": {"column": "x", "quantile_ranges": ranges}},
            {"expect_column_values_to_be_of_type": {"column": "x", "type_": "nonsense", "severity": "info"}},
        ]
    }
    outcomes = validate(Tables(rows=tmp_path / "rows.parquet"), PROBLEM, own, tmp_path)
    assert any(outcome.severity == "critical" and outcome.success is False for outcome in outcomes)
    root = tmp_path / "data_docs"
    index = (root / "index.html").read_text()
    assert "1 critical" in index
    linked = re.findall(r'href="([^"#]+)"', index)
    assert len(linked) == 1
    page = (root / linked[0]).read_text()
    assert "values must" in page.lower()
    for file in root.rglob("*.html"):
        text = file.read_text()
        assert not LOADS.search(text), LOADS.search(text)
        assert "<svg" not in text
        assert "default-src 'none'" in text
        for target in re.findall(r'<a[^>]*href="([^"#]+)"', text):
            if not target.startswith("http"):
                assert (file.parent / target.split("?")[0]).exists(), (file, target)
    assert sum(file.stat().st_size for file in root.rglob("*")) < 600_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data_docs", "rows.parquet"]


def test_a_page_that_cannot_be_written_is_an_error_and_no_missing_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Great Expectations would log it, with a traceback, and go on."""
    pd.DataFrame({"row_id": ["a", "b"], "x": [1, 2], "sold": ["yes", "no"]}).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "data_docs").mkdir()
    (tmp_path / "data_docs" / "validations").touch()
    with pytest.raises(OSError, match="validations"):
        validate(Tables(rows=tmp_path / "rows.parquet"), PROBLEM, {}, tmp_path)
    assert "Traceback" not in caplog.text
