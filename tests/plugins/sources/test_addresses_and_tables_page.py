"""The blocks of docs/data/addresses-and-tables.md are specs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pizzeria.loading import load_spec

PAGE = Path(__file__).parents[3] / "docs" / "data" / "addresses-and-tables.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
REST = """
defaults: [{override /features: columns}, {override /model: tabular_network}]
name: page
problem:
  {need: n, owner: o, task: tabular_regression, target: delay, success: [{metric: rmse, at_most: 1}]}
"""


def test_the_page_has_blocks():
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_validates(block, working_folder):
    (working_folder / "mine.yaml").write_text(yaml.safe_dump(yaml.safe_load(REST) | yaml.safe_load(block)))
    spec = load_spec(["mine.yaml"])
    assert spec.data.use in ("table", "sql", "duckdb")
