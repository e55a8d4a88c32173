"""How a run ended, in the badge of its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pizzeria.report.verdict import outcome, phases


def test_an_unmet_expectation_that_only_warns_stops_nothing(build: Any, tmp_path: Path) -> None:
    run = build["rows"](tmp_path / "delays", "tabular_regression")
    plain = {"table": "rows", "name": "x", "arguments": {}, "unexpected": 1, "evaluated": 9, "examples": []}
    for severity, title, state in (("warning", "Deployed", "done"), ("critical", "Expectations failed", "failed")):
        (run.path / "stages" / "validate").mkdir(exist_ok=True)
        run.json("validate", "expectations.json", [plain | {"success": False, "severity": severity}])
        run.done("validate", 1.0)
        run.done("deploy", 1.0)
        from pizzeria.report.run_folder import RunFolder

        found = RunFolder(run.path)
        assert outcome(found).title == title
        assert next(one for one in phases(found) if one["title"] == "Data")["state"] in (state, "waiting")
