"""The same photos, sent to a running service."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from pizzeria.ports import free_port
from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.hostile_archives.photos import contents
from pizzeria.torture.trial import Tally

_READY_S, _ANSWER_S = 120, 60
MOST_GROWN = 1024
"""MiB that all processes of the service together may grow by."""


def serve(bench: Bench, tally: Tally, folder: Path) -> None:
    """Train a small detector, serve it, and send it what strangers might."""
    spec = workplace.photos(folder)
    made = bench.pizzeria(folder, "run", spec.name, "--until", "package", timeout=900)
    if made.returncode:
        raise RuntimeError(f"no bundle to serve: {made.stderr[-500:]}")
    port, log = free_port(), folder / "service.log"
    process = bench.start(folder, "serve", spec.stem, "--port", str(port), log=log)
    try:
        _until_ready(port, process, log)
        before = resident(process.pid)
        for what, content, taken in contents():
            tally.note(f"service: {what}", judge(*ask(port, "POST", "/predict", content()), taken=taken))
        status, _ = ask(port, "GET", "/readyz")
        tally.note("service: ready after all of them", "" if status == 200 else f"/readyz answers {status}")
        grown = resident(process.pid) - before
        tally.figures["the service grew by, MiB"] = round(grown)
        tally.note("service: memory", "" if grown < MOST_GROWN else f"it grew by {grown:.0f} MiB")
        told = "Traceback" in log.read_text(errors="replace")
        tally.note("service: its log", "a traceback" if told else "")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def judge(status: int, body: bytes, *, taken: bool) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if status == 200:
        return "" if taken else f"it was taken: {body[:200]!r}"
    if not 400 <= status < 500:
        return f"it answers {status}: {body[:200]!r}"
    try:
        error = json.loads(body)["error"]
        return "" if {"code", "message", "hint"} <= set(error) else f"an error without a hint: {body[:200]!r}"
    except (ValueError, KeyError, TypeError):
        return f"{status} with {body[:200]!r}"


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of an answer; status 0 when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request(method, path, body, {} if body is None else {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def resident(pid: int) -> float:
    """MiB of memory that a process and all below it hold."""
    import psutil

    process = psutil.Process(pid)
    return float(sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))) / 2**20


def _until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and process.poll() is None:
        if ask(port, "GET", "/readyz")[0] == 200:
            return
        time.sleep(0.3)
    raise RuntimeError(f"the service did not come up: {log.read_text(errors='replace')[-500:]}")
