"""How a run ended, in the badge of its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pizzeria.report.run_folder import RunFolder
from pizzeria.report.verdict import outcome, phases


def test_an_unmet_expectation_that_only_warns_stops_nothing(build: Any, tmp_path: Path) -> None:
    run = build["empty"](tmp_path / "delays", {"need": "Why.", "task": "tabular_regression"})
    plain = {"table": "rows", "name": "x", "arguments": {}, "unexpected": 1, "evaluated": 9, "examples": []}
    for severity, title, state in (("warning", "Deployed", "done"), ("critical", "Expectations failed", "failed")):
        run.json("validate", "expectations.json", [plain | {"success": False, "severity": severity}])
        run.done("validate", 1.0)
        for stage in ("collect", "split", "leakage", "deploy"):
            run.done(stage, 1.0)
        found = RunFolder(run.path)
        assert outcome(found).title == title
        assert next(one for one in phases(found) if one["title"] == "Data")["state"] == state
