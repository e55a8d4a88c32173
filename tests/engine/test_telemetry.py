"""Libraries that phone home by default find it turned off, in a process that had none of it set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pizzeria.telemetry import OFF

SESSION = "import pizzeria.inference.predictor, onnxruntime, time; onnxruntime.SessionOptions(); time.sleep(0.5)"


def run(program: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in {*OFF, "CI"}}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"HOME": str(folder), "TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_onnx_runtime_keeps_no_store_of_events_to_upload(tmp_path: Path) -> None:
    run(SESSION, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name.lower() or path.name == ".ses"]


@pytest.mark.parametrize(
    ("library", "says"),
    [
        ("mlflow.telemetry.utils", "print(m.is_telemetry_disabled())"),
        ("ray._common.usage.usage_lib", "print(not m.usage_stats_enabled())"),
        ("huggingface_hub.constants", "print(m.HF_HUB_DISABLE_TELEMETRY)"),
    ],
)
def test_libraries_say_that_it_is_off(library: str, says: str, tmp_path: Path) -> None:
    said = run(f"import pizzeria, importlib; m = importlib.import_module({library!r}); {says}", tmp_path)
    assert said.strip().endswith("True")
