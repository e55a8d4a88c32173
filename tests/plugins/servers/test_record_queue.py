"""The queue between answers and the prediction log."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria_plugins.servers.record_queue import RecordQueue


class Log:
    """A log that can be out of order, or slow."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []
        self.counted: Counter[str] = Counter()
        self.broken = False
        self.open = threading.Event()
        self.open.set()

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.open.wait()
        if self.broken:
            raise OSError("disk full")
        self.records.extend(records)

    def count(self, outcome: str, records: int) -> None:
        self.counted[outcome] += records


def numbers(log: Log) -> list[int]:
    return [record["n"] for record in log.records]


def test_records_come_in_order_and_soon() -> None:
    log = Log()
    queue = RecordQueue(log.write, log.count, interval_s=0.05)
    for n in range(100):
        queue.put([{"n": n}])
    deadline = time.monotonic() + 1
    while len(log.records) < 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert numbers(log) == list(range(100))
    queue.close()
    assert log.counted == {"written": 100}


def test_close_writes_what_is_left() -> None:
    log = Log()
    queue = RecordQueue(log.write, log.count, interval_s=60)
    queue.put([{"n": 1}, {"n": 2}])
    queue.close()
    assert numbers(log) == [1, 2]


def test_a_full_queue_drops_its_oldest_and_makes_nobody_wait() -> None:
    log = Log()
    log.open.clear()
    queue = RecordQueue(log.write, log.count, capacity=10, interval_s=0.01)
    begun = time.monotonic()
    for n in range(100):
        queue.put([{"n": n}])
    assert time.monotonic() - begun < 0.5
    log.open.set()
    queue.close()
    assert numbers(log)[-10:] == list(range(90, 100))
    assert log.counted["dropped"] + log.counted["written"] == 100


def test_a_broken_log_gets_everything_when_it_is_well_again(caplog: Any) -> None:
    log = Log()
    log.broken = True
    queue = RecordQueue(log.write, log.count, interval_s=0.01)
    queue.put([{"n": 1}])
    while not log.counted["failed"]:
        time.sleep(0.01)
    queue.put([{"n": 2}])
    log.broken = False
    queue.close()
    assert numbers(log) == [1, 2]
    assert log.counted["written"] == 2
