"""Puts figures where their readers look: between two marks of docs/performance.md, in one step."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pizzeria.atomic import write_bytes

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def write_section(page: Path, mark: str, text: str) -> None:
    """Replace what stands between `<!-- mark:begin -->` and `<!-- mark:end -->`."""
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page}: no lines {begin} and {end}; write them where the table shall be")
    write_bytes(page, f"{before}{begin}\n{text.strip()}\n{end}{after}".encode())


def circumstances(packages: tuple[str, ...], *, wrk: bool = True) -> str:
    """When, on what and with what (`wrk`, too?) a benchmark ran, as two sentences."""
    command = " ".join([".venv/bin/python", os.path.relpath(sys.argv[0]), *sys.argv[1:]])
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = f", {_wrk()}" if wrk else ""
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, on {len(os.sched_getaffinity(0))} cores ({_processor()}), "
        f"load average {os.getloadavg()[0]:.1f} before. Python {platform.python_version()}, {versions}{load}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _wrk() -> str:
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return " ".join(said.split()[:2])
