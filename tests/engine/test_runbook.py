"""docs/operations.md says of every alert, decision and error what it means and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from pizzeria import errors
from pizzeria.contracts import Kind
from pizzeria.maintenance.decided import Action

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def _rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading, by its first cell."""
    [section] = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]
    return {row[0].strip("` "): row[1:] for row in cells if not set(row[0]) <= set("-| ")}


def test_every_kind_of_alert_is_in_the_runbook() -> None:
    rows = _rows("Runbook: alerts")
    assert list(rows) == list(get_args(Kind))
    assert all(len(row) == 3 and all(row) for row in rows.values())


def test_every_decision_is_in_the_runbook() -> None:
    rows = _rows("Runbook: decisions of maintenance")
    assert set(rows) == set(get_args(Action)) - {"would train"}
    assert all(len(row) == 2 and all(row) for row in rows.values())


def test_every_error_is_in_the_runbook_with_its_exit_code() -> None:
    rows = _rows("Runbook: errors")
    classes = {
        name: found
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.PizzeriaError) and found is not errors.PizzeriaError
    }
    assert set(rows) == set(classes)
    for name, found in classes.items():
        code = "-" if found is errors.RequestError else str(found.exit_code)
        assert rows[name][0] == code, name
        assert all(rows[name])
