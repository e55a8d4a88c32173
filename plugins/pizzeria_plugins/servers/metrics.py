"""What a service counts, in Prometheus' terms. BentoML's own counters label by path as sent, so a stranger who asks for
ever new paths would fill the memory; these label by route.

Import it in worker processes alone: prometheus_client decides on import where the processes share their counts.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["CONTENT_TYPE", "IN_FLIGHT", "LOGGED", "MODEL", "REQUESTS", "SECONDS", "text"]

REQUESTS = Counter("pizzeria_requests", "Requests answered, by route and HTTP status.", ["route", "status"])
SECONDS = Histogram(
    "pizzeria_request_seconds",
    "Seconds from a request's first byte at the service to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
IN_FLIGHT = Gauge("pizzeria_requests_in_flight", "Requests at work now.", multiprocess_mode="livesum")
LOGGED = Counter("pizzeria_prediction_records", "Prediction records, by what became of them.", ["outcome"])
MODEL = Gauge("pizzeria_model", "1 for the model that answers.", ["name", "task", "sha256"], multiprocess_mode="max")


def text() -> bytes:
    """The counts of all workers together."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
