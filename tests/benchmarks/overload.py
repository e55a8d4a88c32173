"""What Pizzeria's service does with four times the load that it can take.

    .venv/bin/python tests/benchmarks/overload.py [--seconds 60] [--workers 1] [--quick]

One service with its default limits (three requests at work for each core) and its prediction log, photos of 61 kB to a
classifier. Measured one after another: one connection (unloaded), as many as there are places (its capacity), then
requests at random moments at four times that rate (open loop), then four times as many connections that never wait
(closed loop); `/healthz` and memory all the while. A whole run writes its table into docs/performance.md; `--quick`
just prints.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from overload_client import Outcome, closed_loop, open_loop, watch
from serving_bundles import Case, prepare
from serving_contenders import start_pizzeria
from serving_page import PAGE, circumstances, write_section
from serving_process import Server

from pizzeria.inference.predictor import usable_cores

PACKAGES = ("bentoml", "uvicorn", "onnxruntime", "uvloop")
OVERLOAD = 4
PLACES = 3 * usable_cores()
"""What the service lets in by default."""
_UNLOADED_S, _CAPACITY_S, _WARM_S = 5, 8, 2


@dataclass
class Phase:
    """One load: what came of it, of `/healthz` beside it, and of the memory (own MB of all processes, each second)."""

    name: str
    outcome: Outcome
    health: Outcome
    memory: list[float]
    generator_cores: float


async def observe(server: Server, name: str, load: Coroutine[Any, Any, Outcome]) -> Phase:
    """Run a load; look after the service meanwhile."""
    where = urlsplit(server.url)
    assert where.hostname is not None
    assert where.port is not None
    stop = asyncio.Event()
    health = asyncio.create_task(watch(where.hostname, where.port, "/healthz", every_s=0.2, stop=stop))
    memory = asyncio.create_task(_memory(server, stop))
    cpu, begun = time.process_time(), time.perf_counter()
    outcome = await load
    cores = (time.process_time() - cpu) / (time.perf_counter() - begun)
    stop.set()
    return Phase(name, outcome, await health, await memory, cores)


async def run(server: Server, case: Case, seconds: float) -> list[Phase]:
    """All loads, one after another."""
    where = urlsplit(server.url)
    host, port = str(where.hostname), int(where.port or 0)
    requests = [_request(host, body, case.content_type) for body in case.bodies]
    await closed_loop(host, port, requests, connections=PLACES, seconds=_WARM_S)

    def closed(connections: int, seconds: float) -> Coroutine[Any, Any, Outcome]:
        return closed_loop(host, port, requests, connections=connections, seconds=seconds)

    phases = [await observe(server, "1 connection: unloaded", closed(1, _UNLOADED_S))]
    phases.append(await observe(server, f"{PLACES} connections: capacity", closed(PLACES, _CAPACITY_S)))
    rate = OVERLOAD * phases[-1].outcome.goodput
    arrivals = open_loop(host, port, requests, rate=rate, seconds=seconds)
    phases.append(await observe(server, f"{rate:.0f} requests/s, open loop", arrivals))
    many = OVERLOAD * PLACES
    phases.append(await observe(server, f"{many} connections that never wait", closed(many, seconds)))
    return phases


def table(phases: list[Phase]) -> str:
    """As Markdown."""
    unloaded, capacity = phases[0].outcome, phases[1].outcome
    head = [
        *("load", "sent/s", "200/s", "of capacity", "429/s", "other", "p50 ms", "p99 ms", "p99 of unloaded"),
        *("p99 of capacity", "/healthz p50", "p99", "most", "MB after a sixth", "at the end", "generator cores"),
    ]
    rows = [f"| {' | '.join(head)} |", f"|---{'|---:' * (len(head) - 1)}|"]
    for phase in phases:
        found, health, memory = phase.outcome, phase.health, phase.memory
        statuses = found.statuses
        p99 = found.percentile_ms(0.99)
        other = {name: count for name, count in statuses.items() if name not in ("200", "429") and count}
        cells = [
            phase.name,
            f"{statuses.total() / found.seconds:.0f}",
            f"{found.goodput:.0f}",
            f"{found.goodput / capacity.goodput:.2f}",
            f"{statuses['429'] / found.seconds:.0f}",
            ", ".join(f"{count} {name}" for name, count in other.items()) or "0",
            f"{found.percentile_ms(0.5):.1f}",
            f"{p99:.1f}",
            f"{p99 / unloaded.percentile_ms(0.99):.1f}",
            f"{p99 / capacity.percentile_ms(0.99):.1f}",
            *(f"{health.percentile_ms(share):.1f}" for share in (0.5, 0.99, 1)),
            f"{memory[len(memory) // 6]:.0f}",
            f"{memory[-1]:.0f}",
            f"{phase.generator_cores:.2f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _request(host: str, body: bytes, content_type: str) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


async def _memory(server: Server, stop: asyncio.Event) -> list[float]:
    found = []
    while not stop.is_set():
        found.append(server.memory().all_own)
        await asyncio.sleep(1)
    return [*found, server.memory().all_own]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each overload")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="five seconds of each overload; the page is not written")
    parser.add_argument("--bundles", type=Path, help="folder that keeps the exported bundle for the next run")
    arguments = parser.parse_args()
    ran = circumstances(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="pizzeria-overload-") as name:
        root = Path(name)
        case = prepare(arguments.bundles or root / "bundles", "classifier")
        server = start_pizzeria(case, root, workers=arguments.workers, log=True, max_concurrency=None)
        try:
            phases = uvloop.run(run(server, case, 5 if arguments.quick else arguments.seconds))
        finally:
            server.stop()
    found = table(phases)
    print(found)
    if not arguments.quick:
        write_section(PAGE, "overload", f"{ran}\n\n{found}")


if __name__ == "__main__":
    main()
