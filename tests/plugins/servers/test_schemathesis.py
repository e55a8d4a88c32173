"""schemathesis against running services, driven by their own /openapi.json.

All of its checks are on, but for these:

- `use_after_free`, `ensure_resource_availability`, `object_level_authorization`: they follow what was made and deleted
  from one operation to the next, and a service of predictions makes nothing that a client could ask for later.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

KEY = "a key for schemathesis"
OFF = ("use_after_free", "ensure_resource_availability", "object_level_authorization")
# What is too large is refused with 413, which schemathesis does not expect of data that break a schema.
# A schema cannot say that a box has an area, nor that the classes beside boxes are those of the boxes.
SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 413, 415, 422, 431]

[[operations]]
include-path = "/feedback"
checks.positive_data_acceptance.expected-statuses = ["2xx", 401, 422]
"""


@pytest.mark.parametrize("bundle", ["detection_bundle", "classification_bundle", "mixed_bundle"])
def test_schemathesis_finds_nothing(start: Any, request: pytest.FixtureRequest, tmp_path: Path, bundle: str) -> None:
    service = start(request.getfixturevalue(bundle), max_rows=50, keys_from="KEYS", environment={"KEYS": KEY})
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    found = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "schemathesis.toml")),
            *("run", f"{service.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "3", "--continue-on-failure"),
            *("--exclude-checks", ",".join(OFF), "--suppress-health-check", "all", "--generation-database", "none"),
            *("--request-timeout", "120"),
            *("--no-color", "--report", "json", "--report-json-path", str(tmp_path / "report.json")),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert found.returncode == 0, found.stdout[:6_000] + found.stderr[-2_000:]
    assert (tmp_path / "report.json").is_file()
    assert "Traceback" not in service.output.read_text()
