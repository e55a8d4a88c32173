"""The long `pizzeria torture`, and its figures in docs/reliability.md.

    .venv/bin/python tests/benchmarks/torture.py [--only TRIAL]... [--seed 0] [--from FILE]...

Some hours, of which the soak is one. What each trial found last is kept in docs/reliability.json, so that one trial can
be run again alone; `--from` takes over what `pizzeria torture --json FILE` has written, and runs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving_page import write_section

from pizzeria import atomic
from pizzeria.torture import TRIALS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
KEPT = PAGE.with_suffix(".json")


def ran(only: list[str], seed: int) -> dict[str, Any]:
    """Run trials for long; returns what the command wrote."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        names = [word for name in only for word in ("--only", name)]
        subprocess.run(
            [sys.executable, "-m", "pizzeria.cli", "torture", *names, "--seed", str(seed), "--json", str(out)],
            check=False,
        )
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def merged(kept: dict[str, Any], found: dict[str, Any], when: str) -> dict[str, Any]:
    """What is known of each trial, the newest of it."""
    if found["short"]:
        raise SystemExit("these are the figures of a short torture; the page shows the long one")
    return kept | {one["name"]: one | {"when": when, "seed": found["seed"]} for one in found["trials"]}


def table(kept: dict[str, Any]) -> str:
    """As Markdown: a line for each promise, and the figures of each below it."""
    lines = ["| trial | promise | held | tried | minutes | on |", "|---|---|---:|---:|---:|---|"]
    known = [kept[name] for name in TRIALS if name in kept]
    for one in known:
        minutes = f"{one['seconds'] / 60:.1f}"
        lines.append(
            f"| `{one['name']}` | {one['promise']} | {one['held']} | {one['tried']} | {minutes} | {one['when']} |"
        )
    lines += ["", f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores.", ""]
    for one in known:
        told = [f"broken: {text}" for text in one["broken"]] + [f"left out: {text}" for text in one["left_out"]]
        told += [f"{name}: {_text(value)}" for name, value in one["figures"].items()]
        if told:
            lines += [f"**`{one['name']}`** " + "; ".join(told).replace("\n", " ") + ".", ""]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], choices=TRIALS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="files", type=Path, nargs="+", default=[])
    arguments = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if arguments.files:
        for path in arguments.files:
            day = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            kept = merged(kept, json.loads(path.read_text()), f"{day:%Y-%m-%d}")
    else:
        kept = merged(kept, ran(arguments.only, arguments.seed), f"{datetime.now(UTC):%Y-%m-%d}")
    atomic.write_json(KEPT, kept)
    write_section(PAGE, "torture", table(kept))


if __name__ == "__main__":
    main()
