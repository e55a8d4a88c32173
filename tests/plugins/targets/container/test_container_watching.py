"""What a monitoring container does, without the container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pizzeria_plugins.targets.container_image.watching import lay_out


def _brought(folder: Path, run: str) -> Path:
    (folder / ".cache" / f"of-{run}").mkdir(parents=True)
    (folder / ".cache" / f"of-{run}" / "result.json").write_text(run)
    (folder / run / "stages").mkdir(parents=True)
    (folder / run / "stages/package").symlink_to(f"../../.cache/of-{run}")
    (folder / run / "spec.yaml").write_text(run)
    os.utime(folder / run / "spec.yaml", (315532800, 315532800))
    return folder


def test_the_run_of_the_image_is_the_newest_and_what_was_found_stays(tmp_path: Path) -> None:
    store = tmp_path / "store"
    lay_out(_brought(tmp_path / "one", "rooms-1"), store)
    (store / "rooms-1/monitoring").mkdir()
    lay_out(_brought(tmp_path / "two", "rooms-2"), store)
    assert (store / "rooms-2/stages/package/result.json").read_text() == "rooms-2"
    assert (store / "rooms-1/monitoring").is_dir()
    times = [(store / run / "spec.yaml").stat().st_mtime_ns for run in ("rooms-1", "rooms-2")]
    assert times == sorted(times)
    lay_out(tmp_path / "one", store)  # back to the model before
    times = [(store / run / "spec.yaml").stat().st_mtime_ns for run in ("rooms-2", "rooms-1")]
    assert times == sorted(times)


def test_a_pass_that_fails_stops_nothing_and_sigterm_ends_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "pizzeria_plugins.targets.container_image.watching", "rooms", "1h"]
    environment = {**os.environ, "PIZZERIA_STORE": str(tmp_path / "store")}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"monitor of rooms: exit code 2\n"  # there is no run of that name
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
