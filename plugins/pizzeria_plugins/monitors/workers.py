"""Measures chunks side by side: in this process, in others of this machine, or on a Ray cluster; with the same figures.

A worker is sent the traffic and the fitted instruments once, and then only which chunks to measure: it reads these
itself, and sends back readings.
"""

from __future__ import annotations

import logging
import math
import os
import pickle  # nosec B403  # between a process and its own workers
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from pizzeria.contracts import Traffic
from pizzeria.errors import NotFoundError, PizzeriaError
from pizzeria_plugins.monitors import library
from pizzeria_plugins.monitors.chunks import Cut, Part
from pizzeria_plugins.monitors.instruments import Instrument
from pizzeria_plugins.monitors.memory import Measured
from pizzeria_plugins.monitors.reading import chunks_of, isoformat

MANY_ROWS, MANY_CHUNKS = 200_000, 100
"""From so many on it is worth while to start processes, which takes seconds."""
AHEAD = 2
"""Spans that wait for each worker."""

Span = Sequence[tuple[Cut, frozenset[str]]]
"""Chunks one behind the other, and the names of the instruments that are to measure each."""


@dataclass(frozen=True)
class Work:
    """What all workers need.

    Attributes:
        columns: To be read, with `timestamp`; None for all.
        seed: What draws at random begins there, for each chunk.
        dated: Whether the times of records are their own.
    """

    traffic: Traffic
    instruments: Sequence[Instrument]
    columns: Sequence[str] | None
    seed: int
    dated: bool = True

    def measure(self, span: Span) -> list[Measured]:
        """Measure each chunk of a span."""
        wanted = {cut.name: names for cut, names in span}
        done = []
        with library.quiet():
            for cut, frame, moments in chunks_of(self.traffic, [cut for cut, _ in span], self.columns):
                start, end = isoformat((moments[0], moments[-1])) if self.dated and len(moments) else ("", "")
                part = Part(cut.name, 0, len(frame), start, end)
                readings = {}
                for instrument in self.instruments:
                    if instrument.name in wanted[cut.name]:
                        with library.seeded(self.seed):
                            readings[instrument.name] = plain(instrument.measure(frame, part))
                done.append(Measured(cut.name, len(frame), labelled(frame), start, end, readings))
        return done


def run(work: Work, spans: Sequence[Span], runner: str, workers: int | None) -> Iterator[list[Measured]]:
    """Measure all spans, and yield what was measured as it comes, in any order.

    Args:
        runner: `processes` or `ray`.
        workers: So many at the same time; None for as many as there are cores, where there is enough to do.

    Raises:
        NotFoundError: Ray is wanted, and not installed.
        PizzeriaError: a worker died.
    """
    if runner == "ray" and spans:
        yield from _by_ray(work, spans, workers)
        return
    count = min(workers or _worth(spans), len(spans))
    packed = _packed(work) if count > 1 else None
    if packed is None:
        library.load()
        for span in spans:
            yield work.measure(span)
        return
    yield from _by_processes(packed, spans, count)


def cores() -> int:
    """So many may this process use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plain(value: Any) -> Any:
    """As JSON has it; what is not finite is None.

    Example:
        >>> import numpy as np
        >>> plain({"f1": (np.float64(0.5), float("nan"))})
        {'f1': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def labelled(frame: Any) -> int:
    """Rows with a truth."""
    names = [name for name in frame if str(name) == "true" or str(name).startswith("true:")]
    return int(frame[names].notna().any(axis=1).sum()) if names else 0


def _worth(spans: Sequence[Span]) -> int:
    chunks = [cut for span in spans for cut, _ in span]
    return cores() if len(chunks) >= MANY_CHUNKS or sum(cut.rows for cut in chunks) >= MANY_ROWS else 1


def _packed(work: Work) -> bytes | None:
    """What is sent to a worker; None where the traffic cannot be copied there."""
    try:
        return pickle.dumps(work)
    except (pickle.PicklingError, TypeError, AttributeError):
        return None


_work: Work | None = None


def _prepare(packed: bytes) -> None:
    """In a new worker: one thread, quick to die."""
    global _work
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    library.load()
    _one_thread()
    _work = pickle.loads(packed)  # noqa: S301  # nosec B301  # nosemgrep: pickle  # from the process that started this one


def _die_with(parent: Any) -> None:
    """Nobody else would tell a worker that the one who wants its results was killed."""
    parent.join()
    os._exit(1)


def _one_thread() -> None:
    import pyarrow
    import threadpoolctl  # type: ignore[import-untyped]

    threadpoolctl.threadpool_limits(1)
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)


def _measure(span: Span) -> list[Measured]:
    assert _work is not None
    return _work.measure(span)


def _by_processes(packed: bytes, spans: Sequence[Span], count: int) -> Iterator[list[Measured]]:
    """Through processes that are forked from a server that has loaded NannyML, and holds no thread and no lock."""
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pizzeria_plugins.monitors.preloaded"])
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count, context, _prepare, (packed,))
    queue = iter(spans)
    running: set[Future[list[Measured]]] = set()
    try:
        while True:
            for span in queue:
                running.add(pool.submit(_measure, span))
                if len(running) >= AHEAD * count:
                    break
            if not running:
                break
            for one in wait(running, return_when=FIRST_COMPLETED).done:
                measured = one.result()
                running.discard(one)
                yield measured
    except BrokenProcessPool as error:
        for one in running:  # all have ended with it, and some of them well before
            if one.exception() is None:
                yield one.result()
        raise PizzeriaError(
            "a process that measured chunks died; most likely it ran out of memory",
            hint="give the machine more memory, or set monitoring.workers: 1; what was measured is kept",
        ) from error
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _by_ray(work: Work, spans: Sequence[Span], workers: int | None) -> Iterator[list[Measured]]:
    """Through Ray: the cluster at RAY_ADDRESS, or one of this machine that ends with the pass."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise NotFoundError(
            "monitoring.runner is ray, and Ray is not installed",
            hint="install it (pip install 'pizzeria[ray]'), or set monitoring.runner: processes",
        ) from error
    packed = _packed(work)
    if packed is None:
        raise PizzeriaError("these records cannot be sent to Ray", hint="set monitoring.runner: processes")
    mine = not ray.is_initialized()
    if mine:
        own: dict[str, Any] = {"num_cpus": workers or cores(), "include_dashboard": False}
        where = {} if "RAY_ADDRESS" in os.environ else own
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
    try:
        task = ray.remote(num_cpus=1, max_retries=2)(_measure_on_ray)
        shared = ray.put(packed)
        there: Any = ray.cluster_resources()  # type: ignore[no-untyped-call]
        count = workers or int(there.get("CPU", 1))
        queue = iter(spans)
        running: list[Any] = []
        while True:
            for span in queue:
                running.append(task.remote(shared, list(span)))
                if len(running) >= AHEAD * count:
                    break
            if not running:
                break
            done, running = ray.wait(running)
            for one in done:
                yield ray.get(one)
    finally:
        if mine:
            ray.shutdown()


_unpacked: tuple[int, Work] | None = None


def _measure_on_ray(packed: bytes, span: Span) -> list[Measured]:
    global _unpacked
    if _unpacked is None or _unpacked[0] != hash(packed):
        library.load()
        _one_thread()
        _unpacked = hash(packed), pickle.loads(packed)  # noqa: S301  # nosec B301  # nosemgrep: pickle  # from the process that started this one
    return _unpacked[1].measure(span)
