"""What `metrics` is to a service, for one process alone that nobody scrapes: a serverless function.

It has the same names. Only how the prediction log is, which `/readyz` tells, is counted; prometheus_client, and the
folder through which it adds up the counts of several workers, are not needed.
"""

from __future__ import annotations

from typing import Any

CONTENT_TYPE = "text/plain"


class _Nothing:
    """Takes any count, and keeps none."""

    def labels(self, *_: object) -> _Nothing:
        return self

    def inc(self, amount: float = 1) -> None:
        pass

    def dec(self, amount: float = 1) -> None:
        pass

    def set(self, value: float) -> None:
        pass

    def observe(self, value: float) -> None:
        pass


class _Records:
    """Counts prediction records by their outcome."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.waiting = 0
        self.trouble = False

    def labels(self, outcome: str) -> _Outcome:
        return _Outcome(self, outcome)


class _Outcome:
    def __init__(self, records: _Records, outcome: str) -> None:
        self._records, self._outcome = records, outcome

    def inc(self, amount: int = 1) -> None:
        self._records.counts[self._outcome] = self._records.counts.get(self._outcome, 0) + amount


REQUESTS = SECONDS = IN_FLIGHT = MODEL = LABELS = _Nothing()
LOGGED = _Records()


def text() -> bytes:
    """Nothing: a function has no `/metrics`; its platform counts requests."""
    return b""


def watch_log(waiting: int, trouble: bool) -> None:
    """Note how the queue of records is."""
    LOGGED.waiting, LOGGED.trouble = waiting, trouble


def log_state() -> dict[str, Any]:
    """How the prediction log is; see `pizzeria_plugins.servers.metrics.log_state`.

    Example:
        >>> sorted(log_state())
        ['dropped', 'trouble', 'waiting']
    """
    return {
        "waiting": LOGGED.waiting,
        "dropped": LOGGED.counts.get("dropped", 0),
        "trouble": LOGGED.trouble,
    }
