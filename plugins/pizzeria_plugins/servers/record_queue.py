"""The way of prediction records to their log, which never makes an answer wait."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_logger = logging.getLogger("bentoml.pizzeria")

Write = Callable[[Sequence[Mapping[str, Any]]], None]
Count = Callable[[str, int], None]


class RecordQueue:
    """A bounded queue, and a thread that writes what is in it in batches.

    A full queue drops its oldest records. A batch that the log refuses is kept and tried again with the next one, so a
    log that is out of order for a while costs the records that the queue could not hold, and no answer.

    Args:
        write: Appends records to the log.
        count: Told of records that were `written`, `dropped` or `failed` (a failed batch is tried again).
        capacity: Records held at most.
        interval_s: Time between two writes.

    Example:
        >>> log = []
        >>> queue = RecordQueue(log.extend, lambda outcome, records: None)
        >>> queue.put([{"sha256": "ab12"}])
        >>> queue.close()
        >>> log
        [{'sha256': 'ab12'}]
    """

    def __init__(self, write: Write, count: Count, *, capacity: int = 20_000, interval_s: float = 0.4) -> None:
        self._write, self._count = write, count
        self._capacity, self._interval_s = capacity, interval_s
        self._records: deque[Mapping[str, Any]] = deque()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Queue records; returns at once."""
        with self._lock:
            self._records.extend(records)
            dropped = len(self._records) - self._capacity
            for _ in range(dropped):
                self._records.popleft()
        if dropped > 0:
            self._count("dropped", dropped)

    def close(self) -> None:
        """Write what is left, and end the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._flush()
        self._flush()
        if self._records:
            _logger.error("%d prediction records are lost: the log did not take them", len(self._records))

    def _flush(self) -> None:
        with self._lock:
            batch, self._records = self._records, deque()
        if not batch:
            return
        try:
            self._write(list(batch))
        except Exception:  # whatever the log's trouble is, the service goes on
            _logger.exception("the prediction log did not take %d records; they will be tried again", len(batch))
            self._count("failed", len(batch))
            with self._lock:
                self._records = batch + self._records
            self.put([])
        else:
            self._count("written", len(batch))
