"""How fast the pages of `pizzeria ui` open over a large store.

    python tests/benchmarks/ui.py [--runs 10000] [--chunks 8760] [--subjects 40] [--repeats 5] [--folder FOLDER]

Makes (or takes, where it is there) a store of one deployment with so many runs, a year of hourly chunks with so many
findings each, and a ledger to match; serves it in a process of its own; and asks for each page several times: the
median of the whole answer over HTTP, in milliseconds, with the largest; what the server computed for it, which a busy
machine does not change; and its size. `cold` is the first look at a store whose runs were never read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.monitoring import incidents
from pizzeria.monitoring.history import History, folder_of
from pizzeria.runs.ledger import Ledger, chained
from pizzeria.runs.store import Store

NAME, SHA = "prices", "ab" * 32
BEGIN = datetime(2025, 6, 1, tzinfo=UTC)
SPEC = """name: prices
problem:
  need: Guests want to know what a night costs.
  owner: pricing
  task: tabular_regression
  target: price
  success:
  - metric: r2
    at_least: 0.5
data:
  use: table
  path: rows.csv
features:
  use: columns
model:
  use: tabular_network
training:
  seed: {seed}
serving:
  log:
    use: sqlite
deployment:
  use: replay
"""
STAGES = ("collect", "validate", "split", "leakage", "features", "train", "evaluate", "package")
PAGES = (
    "/",
    "/prices",
    "/prices/runs",
    "/prices/runs?sort=metric",
    "/prices/runs?page=150",
    "/prices/runs?text=0000123",
    "/prices/runs/{run}",
    "/prices/runs/compare?with={run}&with={other}",
    "/prices/deployment",
    "/prices/monitoring",
    "/prices/monitoring?show=365d",
    "/prices/monitoring?show=all",
    "/prices/monitoring?show=all&column=column_7",
    "/prices/chunks/4000",
    "/prices/alerts",
    "/prices/data",
    "/prices/decisions",
    "/prices/labels",
)


def build(root: Path, runs: int, chunks: int, subjects: int) -> None:
    """The store, as the stages, the passes and the decisions leave it."""
    store = Store(root)
    ledger = Ledger(root)
    rows: list[tuple[str, str, str, str, str, str]] = []
    for i in range(runs):
        id, at = f"{NAME}-{i:08x}", BEGIN + timedelta(minutes=52 * i)
        folder = root / id
        (folder / "stages").mkdir(parents=True)
        (folder / "spec.yaml").write_text(SPEC.format(seed=i))
        facts: dict[str, dict[str, object]] = {stage: {} for stage in STAGES}
        facts["collect"], facts["split"] = {"rows": 1000 + i // 100}, {"train": 700, "test": 150}
        facts["package"] = {"sha256": SHA if i == runs - 1 else f"{i:064x}"}
        facts["evaluate"] = {"metrics": {"mae": random.random(), "r2": random.random()}}
        for stage, said in facts.items():
            (folder / "stages" / stage).mkdir()
            print_ = f"{i // 100:064x}" if stage == "collect" else f"{i:064x}"
            plain = {"stage": stage, "fingerprint": print_, "seconds": 2.0, "started": at.isoformat(), "facts": said,
                     "ingredients": {}, "refusal": None}  # fmt: skip
            (folder / "stages" / stage / "result.json").write_text(json.dumps(plain))
        os.utime(folder / "spec.yaml", (at.timestamp(), at.timestamp()))
        rows += [(at.isoformat(), event, NAME, id, "", "{}") for event in ("run_started", "run_finished")]
    last = f"{NAME}-{runs - 1:08x}"
    deployment = {"target": "replay", "deployment": {"use": "replay"}, "log": {"use": "sqlite"}}
    for hour in range(chunks):
        at = (BEGIN + timedelta(hours=hour)).isoformat()
        rows.append((at, "monitored", NAME, last, SHA, json.dumps({"alerts": [], "undecided": [], "judged": 100})))
        if hour % 24 == 0:
            detail = {"action": "kept", "why": "no incident is open", "evidence": {"open": [], "hour": hour}}
            rows.append((at, "decided", NAME, last, SHA, json.dumps(detail)))
    rows.append((BEGIN.isoformat(), "deploying", NAME, last, SHA, json.dumps(deployment | {"action": "deploy"})))
    with closing(sqlite3.connect(root / "ledger.sqlite")) as connection, connection:
        newest = connection.execute("select id, digest from ledger order by id desc limit 1").fetchone()
        at, digest = newest or (0, "")
        for values in ((at + i, *row) for i, row in enumerate(rows, 1)):
            digest = chained(digest, values)
            connection.execute("insert into ledger values (?, ?, ?, ?, ?, ?, ?, ?)", (*values, digest))
    intent = ledger.entries(NAME, "deploying", last=1)[0]
    ledger.add("promoted", NAME, run=last, sha256=SHA, detail=deployment | {"intent": intent.id, "address": "replay:"})
    history = History(folder_of(store, NAME))
    for first in range(0, chunks, 500):
        verdict = _year(first, min(first + 500, chunks), subjects)

        def then(connection: sqlite3.Connection, verdict: Verdict = verdict) -> None:
            incidents.update(connection, verdict, sha256=SHA, run=last, at=verdict.chunks[-1].end, champion=True)

        history.record(verdict, sha256=SHA, run=last, at=verdict.chunks[-1].end, then=then)


def _year(first: int, end: int, subjects: int) -> Verdict:
    findings, alarms, chunks = [], [], []
    for hour in range(first, end):
        begin = BEGIN + timedelta(hours=hour)
        name, start, stop = f"{begin:%Y-%m-%dT%H}", begin.isoformat(), (begin + timedelta(minutes=59)).isoformat()
        chunks.append(Judged(name, start, stop, 100, 20, False))
        findings.append(
            Finding("performance", "mae", name, start, stop, 0.4, "at most 0.6", False, 0.41, "DLE", None, 0.6, 0.01)
        )
        for i in range(subjects - 1):
            value = random.random() * (0.3 if hour % 700 > 690 and i < 3 else 0.2)
            alert = value > 0.25
            findings.append(Finding("drift", f"column_{i}", name, start, stop, value, "at most 0.25", alert, None,
                                    "jensen_shannon", None, 0.25, 0.01))  # fmt: skip
            if alert:
                alarms.append(Alarm("drift", f"column_{i}", name, start, stop, f"column_{i} drifted", (f"column_{i}",)))
    return Verdict(tuple(findings), tuple(alarms), (), {}, tuple(chunks))


def ask(url: str, server: psutil.Process) -> tuple[float, float, int]:
    """Milliseconds for the whole answer, those that the server computed meanwhile, and the answer's size in kB."""
    begun, used = time.perf_counter(), sum(server.cpu_times()[:2])
    with urllib.request.urlopen(url) as answer:
        body = answer.read()
    took = time.perf_counter() - begun
    return 1000 * took, 1000 * (sum(server.cpu_times()[:2]) - used), len(body) // 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=8760)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("build") / "ui-benchmark")
    given = parser.parse_args()
    root = given.folder.absolute() / "runs"
    if not root.exists():
        begun = time.perf_counter()
        build(root, given.runs, given.chunks, given.subjects)
        print(f"the store was made in {time.perf_counter() - begun:.0f} s")
    for old in (root / ".ui").glob("*") if (root / ".ui").exists() else ():
        old.unlink()
    command = [sys.executable, "-m", "pizzeria.cli", "--store", str(root), "ui", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        try:
            measure(found[0], psutil.Process(server.pid), given.runs, given.repeats)
        finally:
            server.terminate()


def measure(url: str, server: psutil.Process, runs: int, repeats: int) -> None:
    took, _, _ = ask(f"{url}/", server)
    begun = time.perf_counter()
    print(f"{'cold, the first page':<52} {took:>8.0f} ms")
    while True:
        with urllib.request.urlopen(f"{url}/prices/runs") as answer:
            if b"not read yet" not in answer.read():
                break
        time.sleep(0.2)
    print(f"{'until all runs were read':<52} {time.perf_counter() - begun:>8.1f} s")
    ids = {"run": f"{NAME}-{runs - 1:08x}", "other": f"{NAME}-{runs // 2:08x}"}
    print(f"{'page':<52} {'median':>8} {'largest':>8} {'computed':>9} {'kB':>6}")
    for page in PAGES:
        found = [ask(url + page.format(**ids), server) for _ in range(repeats)]
        times, used, sizes = zip(*found, strict=True)
        middle, computed = statistics.median(times), statistics.median(used)
        print(f"{page:<52} {middle:>8.0f} {max(times):>8.0f} {computed:>9.0f} {sizes[0]:>6}", flush=True)


if __name__ == "__main__":
    main()
