"""What workers count together; each worker is a process, as prometheus_client has it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pizzeria.torture.disk_full import impossible, mounting


def in_a_worker(folder: Path, program: str) -> Any:
    """Run `program` in a process whose counts lie in `folder`; what it prints, as JSON."""
    command = [sys.executable, "-c", "import json\nfrom pizzeria_plugins.servers import metrics\n" + program]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": ""}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout or "null")


@pytest.fixture
def other(tmp_path: Path) -> Any:
    """A second worker that lives, with 3 records waiting in trouble, 2 lost and a request in flight."""
    program = (
        "from pizzeria_plugins.servers import metrics\n"
        "metrics.watch_log(3, True); metrics.LOGGED.labels('dropped').inc(2); metrics.IN_FLIGHT.inc()\n"
        "print('ready', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


STATE = "print(json.dumps(metrics.log_state()))"


def test_nothing_counted_yet_is_well(tmp_path: Path) -> None:
    assert in_a_worker(tmp_path, STATE) == {"waiting": 0, "dropped": 0, "trouble": False}


def test_the_log_is_known_over_all_workers(tmp_path: Path, other: Any) -> None:
    here = "metrics.watch_log(4, False); metrics.LOGGED.labels('dropped').inc()\n" + STATE
    assert in_a_worker(tmp_path, here) == {"waiting": 7, "dropped": 3, "trouble": True}


def test_a_killed_worker_waits_for_nothing_and_what_it_lost_stays_lost(tmp_path: Path, other: Any) -> None:
    assert in_a_worker(tmp_path, STATE)["waiting"] == 3
    other.kill()
    other.wait()
    assert in_a_worker(tmp_path, STATE) == {"waiting": 0, "dropped": 2, "trouble": False}
    text = in_a_worker(tmp_path, "print(json.dumps(metrics.text().decode()))")
    assert "pizzeria_requests_in_flight 0.0" in text
    assert 'pizzeria_prediction_records_total{outcome="dropped"} 2.0' in text


def test_others_never_find_an_empty_file_of_a_worker_that_begins(tmp_path: Path) -> None:
    program = (
        "import json, os, pathlib, sys\n"
        "found, allocate = [], os.posix_fallocate\n"
        "def look(*given):\n"
        "    found.extend(one.name for one in pathlib.Path(sys.argv[1]).glob('*.db') if not one.stat().st_size)\n"
        "    allocate(*given)\n"
        "os.posix_fallocate = look\n"
        "os.environ['PROMETHEUS_MULTIPROC_DIR'] = sys.argv[1]\n"
        "from pizzeria_plugins.servers import metrics\n"
        "print(json.dumps([found, metrics.log_state()['waiting'], sorted(os.listdir(sys.argv[1])), os.getpid()]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    empty, waiting, names, pid = json.loads(ended.stdout)
    assert (empty, waiting) == ([], 0)
    assert names == [f"{kind}_{pid}.db" for kind in ("counter", "gauge_livesum", "gauge_max", "histogram")]


def test_a_worker_counts_on_when_the_disk_has_no_room_left(tmp_path: Path) -> None:
    if why := impossible(mounting(), tmp_path):
        pytest.skip(why)
    program = (
        "import os, subprocess, sys\n"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'torture', sys.argv[1]], check=True)\n"
        "os.environ['PROMETHEUS_MULTIPROC_DIR'] = sys.argv[1]\n"
        "from pizzeria_plugins.servers import metrics\n"
        "with open(sys.argv[1] + '/ballast', 'wb') as stream:\n"
        "    left = os.statvfs(sys.argv[1])\n"
        "    os.posix_fallocate(stream.fileno(), 0, left.f_bavail * left.f_frsize)\n"
        "for i in range(500):\n"
        "    metrics.REQUESTS.labels('/predict', str(i)).inc()\n"
        "    metrics.SECONDS.labels(f'/{i % 20}').observe(0.1)\n"
        "metrics.watch_log(3, True)\n"
        "print(metrics.log_state()['waiting'])\n"
    )
    ended = subprocess.run(
        [*mounting(), sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "3\n")  # without room of its own it died of SIGBUS
