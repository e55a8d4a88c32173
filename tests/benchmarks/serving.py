"""Requests a second of Pizzeria's service, beside those of other servers and of the model alone on this machine.

    .venv/bin/python tests/benchmarks/serving.py [--rounds 3] [--seconds 3] [--only classifier] [--quick]

A photo classifier, a detector and a table of a thousand rows. All servers of a task are started once and then paused;
in every round each one has the machine for itself for some seconds, with 16 connections from wrk, so that noise hits
all alike. The answers are compared with golden ones before and after. A whole run writes its tables into
docs/performance.md; `--quick` and `--only` just print. wrk must be installed (Debian: wrk).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import serving_contenders as contenders
from serving_bundles import Case, prepare
from serving_contenders import CONNECTIONS, Contender
from serving_page import PAGE, circumstances, write_section
from serving_process import Load, Memory

PACKAGES = ("onnxruntime", "bentoml", "litserve", "uvicorn", "starlette", "pillow", "torch", "timm")
CASES = {
    "classifier": "Photos to one of six rooms: mobilenetv3_small_100 at 224 pixels, JPEGs of 640x480 pixels and 61 kB.",
    "detector": "The same photos to boxes of eight amenities: FCOS on mobilenetv3_small_100 at 256 pixels.",
    "table": "A thousand rows in a request, ten numbers and two categories each: a residual network of width 128.",
}
Start = Callable[[Case, Path], Contender]
SERVERS: dict[str, list[Start]] = {
    "classifier": [
        contenders.thin,
        contenders.bentoml_image,
        contenders.litserve,
        contenders.bentoml_torch,
        *(partial(contenders.pizzeria, workers=n, log=log) for n in (1, 2) for log in (True, False)),
    ],
    "detector": [contenders.thin, *(partial(contenders.pizzeria, workers=n, log=True) for n in (1, 2))],
    "table": [contenders.thin, *(partial(contenders.pizzeria, workers=n, log=True) for n in (1, 2))],
}


@dataclass
class Line:
    """What was measured of one contender."""

    contender: Contender
    turns: list[Load] = field(default_factory=list)
    memory: Memory | None = None

    def median(self, figure: str) -> float:
        return float(statistics.median(getattr(turn, figure) for turn in self.turns))


def measure(case: Case, folder: Path, rounds: int, seconds: int) -> list[Line]:
    """All contenders of one case, in turns."""
    lines: list[Line] = []
    try:
        for contender in contenders.limits(case, folder):
            lines.append(Line(contender))
        for start in SERVERS[case.name]:
            lines.append(Line(start(case, folder)))
            print(f"  {lines[-1].contender.name}: ready after {lines[-1].contender.group.seconds:.1f} s", flush=True)
        for line in lines:
            line.contender.check()
            line.contender.warm_up()
        for number in range(rounds):
            for line in lines:
                line.turns.append(line.contender.turn(seconds))
            rates = ", ".join(f"{line.turns[-1].rate:.0f}" for line in lines)
            print(f"  round {number + 1}: {rates}", flush=True)
        for line in lines:
            line.memory = line.contender.memory()
            line.contender.check()
        return lines
    finally:
        for line in lines:
            line.contender.group.stop()


def table(lines: list[Line]) -> str:
    """As Markdown; ratios are medians of each round's own, so that a slow round slows both sides."""
    photos = lines[0].contender.case.name != "table"
    own, first = lines[1], lines[0]
    ratios = ("of our decoding", "of full decoding") if photos else ("of the JSON limit", "of the arrays")
    head = [
        *("server", "requests/s", "least to most", *ratios, "p50 ms", "p99 ms", "p99/p50", "cores used", "CPU ms each"),
        *("worker MB", "its own", "all own MB", "ready s"),
    ]
    rows = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    for line in lines:
        rates = [turn.rate for turn in line.turns]
        p50, p99, memory, seconds = line.median("p50"), line.median("p99"), line.memory, line.contender.group.seconds
        assert memory is not None
        cells = [
            line.contender.name,
            f"{line.median('rate'):.0f}",
            f"{min(rates):.0f} to {max(rates):.0f}",
            f"{_ratio(line, own):.2f}",
            f"{_ratio(line, first):.2f}",
            f"{p50:.1f}",
            f"{p99:.1f}",
            f"{p99 / p50:.1f}",
            f"{line.median('cores'):.2f}",
            f"{line.median('cpu_ms'):.1f}",
            f"{memory.resident:.0f}",
            f"{memory.own:.0f}",
            f"{memory.all_own:.0f}",
            "" if seconds is None else f"{seconds:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _ratio(line: Line, yardstick: Line) -> float:
    return statistics.median(a.rate / b.rate for a, b in zip(line.turns, yardstick.turns, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of one server in one round")
    parser.add_argument("--only", choices=CASES, help="one task alone; the page is not written")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds; the page is not written")
    parser.add_argument("--bundles", type=Path, help="folder that keeps the exported bundles for the next run")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; Debian has it as the package wrk")
    rounds, seconds = (1, 2) if arguments.quick else (arguments.rounds, arguments.seconds)
    ran = circumstances(PACKAGES)
    parts = []
    with tempfile.TemporaryDirectory(prefix="pizzeria-serving-") as name:
        root = Path(name)
        for case_name in [arguments.only] if arguments.only else CASES:
            print(f"{case_name}: preparing", flush=True)
            folder = root / case_name
            folder.mkdir()
            case = prepare(arguments.bundles or root / "bundles", case_name)
            parts.append(f"{CASES[case_name]}\n\n{table(measure(case, folder, rounds, seconds))}")
            print(parts[-1], flush=True)
    conditions = f"Medians of {rounds} rounds of {seconds} s each, in turns, {CONNECTIONS} connections."
    if not arguments.quick and not arguments.only:
        write_section(PAGE, "serving", "\n\n".join([f"{ran} {conditions}", *parts]))


if __name__ == "__main__":
    main()
