"""What a service counts, in Prometheus' terms. BentoML's own counters label by path as sent, so a stranger who asks for
ever new paths would fill the memory; these label by route.

Import it in worker processes alone: prometheus_client decides on import where the processes share their counts.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = [
    "CONTENT_TYPE",
    "IN_FLIGHT",
    "LABELS",
    "LOGGED",
    "LOG_TROUBLE",
    "LOG_WAITING",
    "MODEL",
    "REQUESTS",
    "SECONDS",
    "log_state",
    "text",
    "watch_log",
]

_ROOM = 1 << 18
"""Bytes of each of a worker's files, many times what all routes and statuses take."""
_KINDS = ("counter", "histogram", "gauge_livesum", "gauge_max")


def _take_room() -> None:
    """Make this process's files with all their room.

    prometheus_client makes small ones with holes, and maps them into memory: on a full disk, the first count that comes
    to lie in a hole would end the worker (SIGBUS), and each that is started in its place.

    Raises:
        OSError: there is no room.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return
    for kind in _KINDS:
        path = Path(folder, f"{kind}_{os.getpid()}.db")
        # Other workers read what is there at any moment, and cannot read a file that is empty.
        part = path if path.exists() else path.with_suffix(".part")
        with open(part, "ab") as stream:
            os.posix_fallocate(stream.fileno(), 0, _ROOM)
        part.rename(path)


_take_room()
REQUESTS = Counter("pizzeria_requests", "Requests answered, by route and HTTP status.", ["route", "status"])
SECONDS = Histogram(
    "pizzeria_request_seconds",
    "Seconds from a request's first byte at the service to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
IN_FLIGHT = Gauge("pizzeria_requests_in_flight", "Requests at work now.", multiprocess_mode="livesum")
LOGGED = Counter(
    "pizzeria_prediction_records",
    "Prediction records: written, failed (the log refused them, and they are tried again) or dropped (lost).",
    ["outcome"],
)
LABELS = Counter(
    "pizzeria_labels",
    "Labels that came by /feedback: new, changed (another truth than before), same, or failed (the log refused them).",
    ["outcome"],
)
LOG_WAITING = Gauge(
    "pizzeria_prediction_records_waiting", "Records that wait for their log.", multiprocess_mode="livesum"
)
LOG_TROUBLE = Gauge(
    "pizzeria_prediction_log_trouble", "Workers whose last write the log refused.", multiprocess_mode="livesum"
)
MODEL = Gauge("pizzeria_model", "1 for the model that answers.", ["name", "task", "sha256"], multiprocess_mode="max")


def text() -> bytes:
    """The counts of all workers together."""
    return generate_latest(_all_workers())


def watch_log(waiting: int, trouble: bool) -> None:
    """Note how this worker's queue of records is."""
    LOG_WAITING.set(waiting)
    LOG_TROUBLE.set(trouble)


def log_state() -> dict[str, Any]:
    """How the prediction log is, all workers together.

    Returns:
        `waiting`: records not written yet, when each worker last looked. `dropped`: records lost since the start.
        `trouble`: whether the log refused some worker's last write.
    """
    registry = _all_workers()
    dropped = registry.get_sample_value("pizzeria_prediction_records_total", {"outcome": "dropped"})
    return {
        "waiting": int(registry.get_sample_value("pizzeria_prediction_records_waiting") or 0),
        "dropped": int(dropped or 0),
        "trouble": bool(registry.get_sample_value("pizzeria_prediction_log_trouble")),
    }


def _all_workers() -> CollectorRegistry:
    _forget_the_dead()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _forget_the_dead() -> None:
    """A worker that was killed left its requests in flight and its waiting records behind, and they would count on."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    pids = {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
