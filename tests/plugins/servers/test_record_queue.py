"""The queue between answers and the prediction log."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from pizzeria_plugins.servers.record_queue import RecordQueue


class Log:
    """A log that can be out of order, slow, or unable to take some records; and what was counted."""

    def __init__(self) -> None:
        self.batches: list[list[Mapping[str, Any]]] = []
        self.times: list[float] = []
        self.counted: Counter[str] = Counter()
        self.seen: list[tuple[int, bool]] = []
        self.error: Exception | None = None
        self.refuses: set[int] = set()
        self.open = threading.Event()
        self.open.set()

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.times.append(time.monotonic())
        self.open.wait()
        if self.error is not None:
            raise self.error
        if self.refuses & {record["n"] for record in records}:
            raise ValueError("a value that the log does not take")
        self.batches.append(list(records))

    def count(self, outcome: str, records: int) -> None:
        self.counted[outcome] += records

    def watch(self, waiting: int, trouble: bool) -> None:
        self.seen.append((waiting, trouble))

    @property
    def tried(self) -> int:
        return len(self.times)

    @property
    def numbers(self) -> list[int]:
        return [record["n"] for batch in self.batches for record in batch]


@pytest.fixture
def log() -> Iterator[Log]:
    one = Log()
    yield one
    one.open.set()


def queue_of(log: Log, **options: Any) -> RecordQueue:
    return RecordQueue(log.write, log.count, watch=log.watch, **{"interval_s": 0.01, **options})


def held_up(log: Log, **options: Any) -> RecordQueue:
    """A queue that writes record -1 until `log.open` is set: what is put meanwhile waits, and is in nobody's hand."""
    log.open.clear()
    queue = queue_of(log, **options)
    queue.put(records([-1]))
    until(lambda: log.tried)
    return queue


def records(numbers: Iterable[int], **values: Any) -> list[dict[str, Any]]:
    return [{"n": n, **values} for n in numbers]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_records_come_in_order_and_by_themselves(log: Log) -> None:
    queue = queue_of(log)
    for n in range(100):
        queue.put(records([n]))
    until(lambda: len(log.numbers) == 100)
    assert log.numbers == list(range(100))
    queue.close()
    assert log.counted == {"written": 100}
    assert log.seen[-1] == (0, False)


def test_close_writes_what_is_left(log: Log) -> None:
    queue = queue_of(log, interval_s=60)
    queue.put(records([1, 2]))
    queue.close()
    assert log.numbers == [1, 2]


def test_batches_are_bounded_in_records_and_bytes(log: Log) -> None:
    log.open.clear()
    queue = queue_of(log)
    queue.put(records(range(5_000)))
    queue.put(records(range(5_000, 5_010), photo=bytes(5_000_000)))
    log.open.set()
    queue.close()
    assert log.numbers == list(range(5_010))
    assert max(map(len, log.batches)) <= 2_000
    assert max(sum(len(one.get("photo", b"")) for one in batch) for batch in log.batches) <= 16 << 20


def test_a_full_batch_is_written_before_its_time(log: Log) -> None:
    queue = queue_of(log, interval_s=600)
    queue.put(records(range(2_000)))
    until(lambda: log.numbers == list(range(2_000)))
    queue.put(records(range(4), photo=bytes(5_000_000)))
    until(lambda: len(log.numbers) == 2_004)
    queue.close()


def test_a_full_queue_drops_its_oldest(log: Log) -> None:
    queue = held_up(log, capacity=10)
    for n in range(100):
        queue.put(records([n]))
    log.open.set()
    queue.close()
    assert log.numbers == [-1, *range(91, 100)]
    assert log.counted == {"dropped": 91, "written": 10}


def test_photos_fill_the_queue_by_their_bytes(log: Log) -> None:
    queue = held_up(log, capacity_bytes=10_000_000)
    for n in range(20):
        queue.put(records([n], photo=bytes(1_000_000)))
    assert log.counted["dropped"] >= 10
    log.open.set()
    queue.close()
    assert log.numbers[-1] == 19
    assert log.counted["dropped"] + log.counted["written"] == 21


def test_a_size_that_is_told_counts_instead(log: Log) -> None:
    log.open.clear()
    queue = queue_of(log, capacity_bytes=1_000_000)
    queue.put(records(range(10), text="x"), size=2_000_000)
    until(lambda: log.tried or log.counted["dropped"])
    log.open.set()
    queue.close()
    assert log.counted["dropped"] > 0


def test_nothing_is_lost_while_the_log_is_out_of_order_for_a_while(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.error = OSError(28, "No space left on device")
    queue = queue_of(log)
    queue.put(records([1]))
    until(lambda: log.counted["failed"] >= 2)
    assert log.seen[-1] == (1, True)
    queue.put(records([2]))
    log.error = None
    until(lambda: log.numbers == [1, 2])
    until(lambda: log.seen[-1] == (0, False))
    queue.close()
    assert log.counted["written"] == 2
    assert log.counted["dropped"] == 0
    messages = [one.getMessage() for one in caplog.records]
    assert sum("the prediction log is in trouble" in one for one in messages) == 1, "said once, not at each try"
    assert any("works again" in one for one in messages)


def test_the_pauses_between_tries_grow(log: Log) -> None:
    log.error = OSError("gone")
    queue = queue_of(log, interval_s=0.02)
    queue.put(records([1]))
    until(lambda: log.tried >= 4)
    log.error = None
    queue.close()
    pauses = [later - earlier for earlier, later in pairwise(log.times[:4])]
    assert [pause >= least for pause, least in zip(pauses, (0.04, 0.08, 0.16), strict=True)] == [True] * 3
    assert log.numbers == [1]


@pytest.mark.parametrize("refused", [{0}, {57}, {99}, {3, 4, 5}, {0, 99}])
def test_a_record_that_the_log_cannot_take_holds_up_no_other(log: Log, refused: set[int]) -> None:
    log.refuses = refused
    queue = queue_of(log)
    queue.put(records(range(100)))
    until(lambda: len(log.numbers) == 100 - len(refused))
    queue.put(records([1_000]))  # one that came last is known by what comes after it
    until(lambda: log.counted["dropped"] == len(refused))
    queue.close()
    assert sorted(log.numbers) == sorted({*range(100), 1_000} - refused)
    assert log.counted["written"] == 101 - len(refused)
    assert log.seen[-1] == (0, False)


def test_a_log_out_of_order_is_no_records_fault(log: Log) -> None:
    log.error = RuntimeError("no such table")  # not an OSError, so it might be
    queue = queue_of(log)
    queue.put(records(range(50)))
    until(lambda: log.counted["failed"] >= 50 + 25 + 12 + 6 + 3 + 1 + 1 + 1)
    log.error = None
    queue.close()
    assert sorted(log.numbers) == list(range(50))
    assert log.counted["dropped"] == 0


def test_a_new_record_is_not_taken_for_one_that_was_refused_before(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are told apart by where they lie in memory, and where one lay that was written another may lie later."""
    # What pytest keeps of a logged traceback would keep the records in their places.
    monkeypatch.setattr(logging.getLogger("bentoml.pizzeria"), "disabled", True)
    queue = queue_of(log)
    for n in range(100):
        log.error = RuntimeError("no such table")
        queue.put(records([n]))
        queue.flush(60)
        log.error = None
        assert queue.flush(60)
    queue.close()
    assert log.numbers == list(range(100))
    assert log.counted["dropped"] == 0


def test_suspects_may_be_forgotten_while_one_is_judged(log: Log) -> None:
    """Whoever puts records forgets all suspects when he drops some; the thread went down with a KeyError then."""

    class Forgotten(dict[int, int]):
        def setdefault(self, key: int, default: int) -> int:  # type: ignore[override]
            before = super().setdefault(key, default)
            if before != default:
                self.clear()
            return before

    log.refuses = {0}
    queue = queue_of(log)
    queue._suspects = Forgotten()
    queue.put(records(range(3)))
    until(lambda: log.counted["dropped"] == 1)
    queue.put(records([3]))
    until(lambda: log.numbers == [1, 2, 3])
    queue.close()


def test_close_gives_up_a_log_that_refuses(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.error = OSError("gone")
    queue = queue_of(log)
    queue.put(records(range(7)))
    queue.close(timeout_s=0.3)
    assert log.counted["dropped"] == 7
    assert "7 prediction records are lost" in caplog.text


def test_close_gives_up_a_log_that_hangs(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.open.clear()
    queue = queue_of(log)
    queue.put(records(range(7)))
    until(lambda: log.tried)
    queue.put(records([7]))
    queue.close(timeout_s=0.2)
    assert log.counted["dropped"] == 8
    assert "8 prediction records are lost" in caplog.text


def test_a_record_after_the_end_is_counted_as_lost(log: Log) -> None:
    queue = queue_of(log)
    queue.close()
    queue.put(records([1]))
    assert log.counted == {"dropped": 1}


def test_old_records_are_deleted_now_and_then(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="bentoml.pizzeria")
    calls: list[int] = []

    def prune() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("gone")
        return 3

    queue = queue_of(log, prune=prune, prune_every_s=0.05)
    queue.put(records([1]))
    until(lambda: len(calls) >= 3)
    queue.close()
    assert log.numbers == [1], "a fault in deleting is none in writing"
    assert "old prediction records could not be deleted" in caplog.text
    assert "3 old prediction records were deleted" in caplog.text


def test_records_are_written_while_old_ones_are_deleted(log: Log) -> None:
    begun, done = threading.Event(), threading.Event()

    def prune() -> int:
        begun.set()
        done.wait()
        return 0

    queue = queue_of(log, prune=prune)
    assert begun.wait(60)
    queue.put(records([1]))
    until(lambda: log.numbers == [1])
    queue.close()
    done.set()


def test_many_threads_lose_nothing(log: Log) -> None:
    queue = queue_of(log)

    def put(start: int) -> None:
        for n in range(start, start + 500):
            queue.put(records([n]))

    threads = [threading.Thread(target=put, args=(start,)) for start in range(0, 4_000, 500)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    queue.close()
    assert sorted(log.numbers) == list(range(4_000))
    assert log.counted == {"written": 4_000}


def test_each_row_of_a_table_counts_as_a_prediction(log: Log) -> None:
    queue = queue_of(log, capacity=500)
    log.open.clear()
    queue.put(records([0]))
    until(lambda: log.tried)
    for n in (1, 2):
        queue.put(records([n], rows=300, columns={"pred": [1.0] * 300}))
    log.open.set()
    queue.close()
    assert log.counted == {"written": 301, "dropped": 300}
    assert log.numbers == [0, 2]


def test_flush_writes_what_waits_without_the_pause(log: Log) -> None:
    queue = RecordQueue(log.write, log.count, watch=log.watch, interval_s=600)
    assert queue.flush(5), "nothing waits"
    for n in range(3):
        queue.put([{"n": n}])
        assert queue.flush(30)
        assert log.numbers == list(range(n + 1))
        assert log.seen[-1] == (0, False)
    queue.close()
    assert queue.flush(30), "a closed queue holds nothing"


def test_flush_returns_when_the_log_refuses_and_when_the_time_is_up(log: Log) -> None:
    queue = RecordQueue(log.write, log.count, watch=log.watch, interval_s=600)
    log.error = OSError("the disk is full")
    queue.put([{"n": 0}])
    for tried in (1, 2):
        assert not queue.flush(30)
        assert log.tried == tried
    log.error = None
    log.open.clear()
    assert not queue.flush(0.01)
    log.open.set()
    assert queue.flush(30)
    assert log.numbers == [0]
    queue.close()
