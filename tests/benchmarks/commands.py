"""How long commands take: medians of interleaved runs, beside an empty Python process as the yardstick.

    .venv/bin/python tests/benchmarks/commands.py [--repeats 11] [--demo]

`--demo` also times one fresh `pizzeria demo` and, on its run, an unchanged `pizzeria run`. Prints a Markdown table for
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIZZERIA = str(Path(sys.executable).with_name("pizzeria"))
COMMANDS = {
    "python -c pass (yardstick)": [sys.executable, "-c", "pass"],
    "pizzeria --help": [PIZZERIA, "--help"],
    "pizzeria validate experiment=amenities": [PIZZERIA, "validate", "experiment=amenities"],
    "pizzeria plan experiment=amenities": [PIZZERIA, "plan", "experiment=amenities"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--demo", action="store_true")
    arguments = parser.parse_args()
    commands = dict(COMMANDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {}
        if arguments.demo:
            _own_port(folder)
            rows["make demo, after installation"] = [_time([PIZZERIA, "demo"], folder)]
            commands["pizzeria run experiment=amenities, unchanged"] = [PIZZERIA, "run", "experiment=amenities"]
        for command in commands.values():
            _time(command, folder)  # once for the file cache
        for _ in range(arguments.repeats):
            for label, command in commands.items():
                rows.setdefault(label, []).append(_time(command, folder))
        if arguments.demo:
            _time([PIZZERIA, "stop", "amenities"], folder)
    print("| command | median s | least | most | runs |\n|---|---|---|---|---|")
    for label, seconds in rows.items():
        print(
            f"| {label} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} | {len(seconds)} |"
        )


def _time(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PIZZERIA_STORE": str(folder / "runs")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def _own_port(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "conf" / "deployment").mkdir(parents=True)
    (folder / "conf" / "deployment" / "local.yaml").write_text(f"use: local\nport: {port}\n")


if __name__ == "__main__":
    main()
