"""The way of prediction records to their log, which never makes an answer wait."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pizzeria.inference.records import predictions_in

_logger = logging.getLogger("bentoml.pizzeria")

Record = Mapping[str, Any]
Write = Callable[[Sequence[Record]], None]
Count = Callable[[str, int], None]
Watch = Callable[[int, bool], None]
_Item = tuple[int, Record]
"""What a record weighs, about, in bytes of memory, and the record."""

_BATCH_RECORDS = 2_000
_BATCH_BYTES = 16 << 20
_VALUE_BYTES = 120
"""Of one key and its number, about."""
_LONGEST_PAUSE_S = 15.0


class RecordQueue:
    """A bounded queue, and a thread that writes what is in it in batches.

    A full queue drops its oldest records. A batch that the log refuses is kept and tried again, after ever longer
    pauses up to 15 s, so a log that is out of order for a while costs the records that the queue could not hold, and no
    answer. A record that the log refuses again and again while it takes others is at fault itself: it is dropped, so
    that it does not hold them up.

    Args:
        write: Appends records to the log, all or none.
        count: Told how many predictions were `written`, `dropped` (lost) or `failed` (refused, and tried again).
        watch: Told, whenever the thread has tried, how many records wait and whether the log is in trouble.
        capacity: Predictions held at most.
        capacity_bytes: What they may weigh, about.
        interval_s: Time between two writes; a full batch is written at once.
        prune: Deletes what is too old, and returns how many records; called in a thread of its own.
        prune_every_s: Time between its end and its next call; the first call comes with the first interval.

    Example:
        >>> log = []
        >>> queue = RecordQueue(log.extend, lambda outcome, records: None)
        >>> queue.put([{"sha256": "ab12"}])
        >>> queue.close()
        >>> log
        [{'sha256': 'ab12'}]
    """

    def __init__(
        self,
        write: Write,
        count: Count,
        *,
        watch: Watch = lambda waiting, trouble: None,
        capacity: int = 1_000_000,
        capacity_bytes: int = 64 << 20,
        interval_s: float = 0.4,
        prune: Callable[[], int] | None = None,
        prune_every_s: float = 3600,
    ) -> None:
        self._write, self._count, self._watch = write, count, watch
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._interval_s = interval_s
        self._prune, self._prune_every_s, self._prune_at = prune, prune_every_s, 0.0
        self._items: deque[_Item] = deque()
        self._waiting = self._bytes = 0
        """Of the queue, and of the batch in the thread's hand."""
        self._closed = False
        self._batch_records = _BATCH_RECORDS
        self._taken = 0
        """Batches that the log took."""
        self._suspects: dict[int, int] = {}
        """Records that were refused alone, and how many batches had been taken by then."""
        self._refusals = 0
        self._trouble_since = 0.0
        self._give_up_at: float | None = None
        self._hurried = False
        self._begun = self._done = 0
        """Passes of the thread over the queue."""
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Record], size: int | None = None) -> None:
        """Queue records; returns at once.

        Args:
            size: How many bytes their texts and photos have at most, where that is known; counted otherwise.
        """
        if size is None:
            items = [(_weight(record), record) for record in records]
        else:
            each = size // max(1, len(records))
            items = [(each + _VALUE_BYTES * len(record), record) for record in records]
        with self._changed:
            self._items.extend(items)
            self._waiting += _predictions(items)
            self._bytes += sum([weight for weight, _ in items])
            dropped = self._drop_oldest(all_of_them=self._closed)
            if self._has_full_batch():
                self._changed.notify_all()
        if dropped:
            self._count("dropped", dropped)

    def flush(self, timeout_s: float) -> bool:
        """Write what waits at once, and return when the log took it or refused it, or when the time is up.

        For whoever may be stopped between two requests: the thread's own pause would come too late.

        Returns:
            Whether nothing waits any more.
        """
        with self._changed:
            if self._waiting:
                wanted = self._begun + 1
                self._hurried = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._waiting or self._done >= wanted, timeout_s)
            return not self._waiting

    def close(self, timeout_s: float = 5) -> None:
        """Write what is left, and end the thread; what the log does not take until the time is up is dropped."""
        with self._changed:
            self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        self._thread.join(timeout_s + 0.5)
        with self._changed:
            lost, self._waiting, self._closed = self._waiting, 0, True
            self._items.clear()
        if lost:
            _logger.error("%d prediction records are lost: the log did not take them in %g s", lost, timeout_s)
            self._count("dropped", lost)
        self._watch(0, self._refusals > 0)

    def _run(self) -> None:
        while True:
            self._pause()
            with self._changed:
                self._hurried = False
                self._begun += 1
            self._flush()
            with self._changed:
                waiting, give_up_at = self._waiting, self._give_up_at
            self._watch(waiting, self._refusals > 0)
            with self._changed:
                self._done = self._begun
                self._changed.notify_all()
            if give_up_at is not None and (not waiting or time.monotonic() >= give_up_at):
                return
            if give_up_at is None and self._prune is not None and time.monotonic() >= self._prune_at:
                self._prune_at = math.inf
                # The first time it may take minutes, and the records of these must be written meanwhile.
                threading.Thread(
                    target=self._delete_old, args=(self._prune,), name="prediction-log-prune", daemon=True
                ).start()

    def _pause(self) -> None:
        """Until it is time for the next write."""
        with self._changed:
            if self._refusals:
                pause = min(self._interval_s * 2 ** min(self._refusals, 20), max(self._interval_s, _LONGEST_PAUSE_S))
                until = time.monotonic() + pause
                while (left := until - time.monotonic()) > 0 and self._give_up_at is None and not self._hurried:
                    self._changed.wait(left)
                if self._give_up_at is not None:
                    self._changed.wait(min(0.2, pause))
            else:
                self._changed.wait_for(self._must_write, self._interval_s)

    def _flush(self) -> None:
        """Write batch after batch, until nothing waits or the log refuses one."""
        while batch := self._take(self._batch_records):
            error = self._try(batch)
            if error is None:
                self._batch_records = min(2 * self._batch_records, _BATCH_RECORDS)
            elif _out_of_order(error):
                self._put_back(batch)
                return
            elif len(batch) > 1:  # one of them may be at fault: find it
                self._put_back(batch)
                self._batch_records = len(batch) // 2
            elif self._is_at_fault(batch[0]):
                _logger.error("a prediction record is dropped, as the log takes others and not this one: %s", error)
                self._refusals = 0
                self._release(batch)
                self._count("dropped", _predictions(batch))
            else:
                self._put_last(batch)
                return

    def _is_at_fault(self, item: _Item) -> bool:
        """Whether a record that was refused alone was so before, and others were taken since."""
        before = self._suspects.setdefault(id(item), self._taken)
        if before == self._taken:
            return False
        self._suspects.pop(id(item), None)  # whoever drops records may have forgotten all suspects meanwhile
        return True

    def _try(self, batch: list[_Item]) -> Exception | None:
        try:
            self._write([record for _, record in batch])
        except Exception as error:  # whatever the log's trouble is, the service goes on
            if not self._refusals:
                self._trouble_since = time.monotonic()
                _logger.exception("the prediction log is in trouble; its records wait, and will be tried again")
            self._refusals += 1
            self._count("failed", _predictions(batch))
            return error
        if self._refusals:
            _logger.warning("the prediction log works again after %.1f s", time.monotonic() - self._trouble_since)
            self._refusals = 0
        self._taken += 1
        if self._suspects:  # where a record lay that is written now, another may lie later
            for item in batch:
                self._suspects.pop(id(item), None)
        self._release(batch)
        self._count("written", _predictions(batch))
        return None

    def _take(self, most: int) -> list[_Item]:
        """The oldest records, which keep their place in the queue's weight until they are written."""
        batch: list[_Item] = []
        weight = 0
        with self._changed:
            while self._items and len(batch) < most and (not batch or weight + self._items[0][0] <= _BATCH_BYTES):
                batch.append(self._items.popleft())
                weight += batch[-1][0]
        return batch

    def _put_back(self, batch: list[_Item]) -> None:
        with self._changed:
            self._items.extendleft(reversed(batch))

    def _put_last(self, batch: list[_Item]) -> None:
        with self._changed:
            self._items.extend(batch)

    def _release(self, batch: list[_Item]) -> None:
        with self._changed:
            self._waiting -= _predictions(batch)
            self._bytes -= sum([weight for weight, _ in batch])

    def _drop_oldest(self, all_of_them: bool) -> int:
        """As many as are too many. A batch in the thread's hand may yet be written."""
        dropped = 0
        while self._items and (all_of_them or self._waiting > self._capacity or self._bytes > self._capacity_bytes):
            item = self._items.popleft()
            self._bytes -= item[0]
            self._waiting -= _predictions([item])
            dropped += _predictions([item])
        if dropped:
            self._suspects.clear()  # it must not hold what is gone
        return dropped

    def _must_write(self) -> bool:
        return self._give_up_at is not None or self._hurried or self._has_full_batch()

    def _has_full_batch(self) -> bool:
        return not self._refusals and (len(self._items) >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES)

    def _delete_old(self, prune: Callable[[], int]) -> None:
        try:
            deleted = prune()
        except Exception:  # as above
            _logger.exception("old prediction records could not be deleted; that is tried again later")
        else:
            _logger.info("%d old prediction records were deleted", deleted)
        self._prune_at = time.monotonic() + self._prune_every_s


def _predictions(batch: Sequence[_Item]) -> int:
    return sum([predictions_in(record) for _, record in batch])


def _weight(record: Record) -> int:
    values = record.values()
    return _VALUE_BYTES * len(values) + sum([len(value) for value in values if isinstance(value, str | bytes)])


def _out_of_order(error: Exception) -> bool:
    """Whether the log itself is: the disk is full, the database is gone. Other errors may be a record's fault.

    An `OperationalError` is what every database module (PEP 249) calls that.
    """
    return isinstance(error, OSError) or any(kind.__name__ == "OperationalError" for kind in type(error).__mro__)
