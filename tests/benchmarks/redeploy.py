"""What clients see of redeploys on the target `local`, at half of what the service can take.

    .venv/bin/python tests/benchmarks/redeploy.py [--times 20] [--pause 2] [--quick]

Two bundles take turns. Measured first: as many connections as the service has places (its capacity). Then requests
leave at random moments at half that rate (open loop), half of them on connections that are kept and half on a
connection of their own each, while `pizzeria_plugins.targets.local.apply` puts one bundle after the other live. The
service lets 64 requests in (`serving.max_concurrency`), so that bursts wait and are not turned away. A whole run writes
its table into docs/performance.md; `--quick` just prints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import uvloop
from overload_client import Outcome, closed_loop, open_loop
from serving_bundles import prepare
from serving_page import PAGE, circumstances, write_section
from serving_process import free_port

from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.predictor import usable_cores
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import local

PACKAGES = ("bentoml", "uvicorn", "onnxruntime", "uvloop")
CONNECTIONS = 3 * usable_cores()
PLACES = 64
_CAPACITY_S, _WARM_S, _LONGEST_S = 8, 2, 3600


class Silent:
    def say(self, text: str) -> None:
        pass


@dataclass
class Run:
    """What came of it: rates in requests a second, and when (`time.perf_counter`) each redeploy began and ended."""

    capacity: float
    rate: float
    outcomes: dict[str, Outcome]
    redeploys: list[tuple[float, float]]


async def run(releases: list[Release], options: local.Options, requests: list[bytes], times: int, pause: float) -> Run:
    """Deploy, measure the capacity, then redeploy under load."""
    await asyncio.to_thread(local.apply, releases[0], options, Silent())
    host, port = options.host, options.port
    await closed_loop(host, port, requests, connections=CONNECTIONS, seconds=_WARM_S)
    capacity = (await closed_loop(host, port, requests, connections=CONNECTIONS, seconds=_CAPACITY_S)).goodput
    stop = asyncio.Event()
    rate = capacity / 2
    loads = {
        name: asyncio.create_task(
            open_loop(host, port, requests, rate=rate / 2, seconds=_LONGEST_S, keep=keep, stop=stop)
        )
        for name, keep in (("kept connections", True), ("a connection for each", False))
    }
    redeploys = []
    for number in range(times):
        await asyncio.sleep(pause)
        begun = time.perf_counter()
        await asyncio.to_thread(local.apply, releases[(number + 1) % len(releases)], options, Silent())
        redeploys.append((begun, time.perf_counter()))
    await asyncio.sleep(pause)
    stop.set()
    return Run(capacity, rate, {name: await load for name, load in loads.items()}, redeploys)


def table(found: Run) -> str:
    """As Markdown."""
    seconds = [end - begun for begun, end in found.redeploys]
    head = ("clients", "requests", "failed", "429", "p50 ms outside", "p99", "p50 ms during", "p99", "longest")
    rows = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    for name, outcome in found.outcomes.items():
        during, outside = Outcome(), Outcome()
        for moment, took in zip(outcome.moments, outcome.times, strict=True):
            part = during if any(begun <= moment <= end for begun, end in found.redeploys) else outside
            part.times.append(took)
        failed = Counter({what: count for what, count in outcome.statuses.items() if what not in ("200", "429")})
        cells = [
            name,
            f"{outcome.statuses.total()}",
            f"{failed.total()}" + (f" ({dict(failed)})" if failed.total() else ""),
            f"{outcome.statuses['429']}",
            *(f"{part.percentile_ms(share):.1f}" for part in (outside, during) for share in (0.5, 0.99)),
            f"{max(outcome.percentile_ms(1), 0):.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    said = (
        f"{len(seconds)} redeploys at {found.rate:.0f} requests/s, half of {found.capacity:.0f}; "
        f"each took {statistics.median(seconds):.1f} s (median), {max(seconds):.1f} s at most, "
        "until the service before was gone."
    )
    return "\n".join([said, "", *rows])


def variant(bundle: Path, folder: Path) -> Path:
    """The same model as another bundle."""
    shutil.copytree(bundle, folder)
    described = json.loads((folder / "bundle.json").read_text())
    content = json.dumps({**described, "name": f"{described['name']}-2"}, indent=2).encode()
    (folder / "bundle.json").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "bundle.json": sha256(content).hexdigest()}))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--pause", type=float, default=2, help="seconds between two redeploys")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="three redeploys; the page is not written")
    parser.add_argument("--bundles", type=Path, help="folder that keeps the exported bundle for the next run")
    arguments = parser.parse_args()
    ran = circumstances(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="pizzeria-redeploy-") as name:
        root = Path(name)
        case = prepare(arguments.bundles or root / "bundles", "classifier")
        serving = Serving(
            options=bentoml.Options(workers=arguments.workers),
            max_concurrency=PLACES,
            log=PredictionLog(options=sqlite.Options()),
        )
        releases = [
            Release(
                name=case.name,
                bundle=bundle,
                sha256=open_bundle(bundle).sha256,
                serving=serving,
                server=bentoml,
                log_folder=root / "log",
                state=root / "state",
            )
            for bundle in (case.bundle, variant(case.bundle, root / "variant"))
        ]
        (root / "state").mkdir()
        options = local.Options(port=free_port())
        head = f"POST /predict HTTP/1.1\r\nHost: {options.host}\r\nContent-Type: {case.content_type}\r\n"
        requests = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in case.bodies]
        try:
            times = 3 if arguments.quick else arguments.times
            found = table(uvloop.run(run(releases, options, requests, times, arguments.pause)))
        finally:
            local.remove(case.name, options, root / "state")
    print(found)
    if not arguments.quick:
        write_section(PAGE, "redeploy", f"{ran}\n\n{found}")


if __name__ == "__main__":
    main()
