"""docs/maintenance/decisions.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import yaml

from pizzeria.maintenance.decided import Action
from pizzeria.spec.maintenance import Maintenance

PAGE = (Path(__file__).parents[3] / "docs" / "maintenance" / "decisions.md").read_text()


def test_the_section_is_the_default_but_for_approval() -> None:
    [block] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    found = Maintenance.model_validate(yaml.safe_load(block)["maintenance"], strict=False)
    assert found == Maintenance(approval=True)


def test_each_decision_is_explained() -> None:
    rows = set(re.findall(r"^\| ([a-z ]+) \|", PAGE, re.M)) - {"decision"}
    assert rows >= set(get_args(Action)) - {"would train"}
