"""What one worker process holds: the model behind its contract, the limits, the prediction log and the pages."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.inference.bundle import Bundle, open_bundle
from pizzeria.inference.contract import Contract, Reply
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.rooms import open_rooms
from pizzeria.inference.sample import check_sample
from pizzeria_plugins.servers import pages
from pizzeria_plugins.servers.cors import Cors
from pizzeria_plugins.servers.gate import Bodies, Gate
from pizzeria_plugins.servers.hosts import Hosts
from pizzeria_plugins.servers.keys import Keys
from pizzeria_plugins.servers.settings import Settings

if TYPE_CHECKING:
    from types import ModuleType

    from pizzeria_plugins.servers.pages import Pages
    from pizzeria_plugins.servers.prediction_log import PredictionLog


_LABELS_WAITING = 16
"""Requests of `/feedback` in one worker at once; they take turns."""


class Worker:
    """One worker; `open` makes it ready, and may take a second.

    Attributes:
        is_open: Whether it is.
        contract, pages, keys, pool, gate, bodies: There once it is open.
        label_pool, label_gate: The same for `/feedback`, which may wait for a slow log and must keep nobody waiting.
    """

    contract: Contract
    pages: Pages
    keys: Keys | None
    pool: ThreadPoolExecutor
    gate: Gate
    bodies: Bodies
    label_pool: ThreadPoolExecutor
    label_gate: Gate

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cors = Cors(settings.cors)
        self.hosts = Hosts(settings.hosts)
        self.is_open = False
        self._counters: dict[tuple[str, int], tuple[Any, Any]] = {}

    def open(self) -> None:
        """Load the model, let it answer its golden request, and start the prediction log.

        Raises:
            BundleError: the bundle, or that of rooms, is damaged or not signed as it must be, its model cannot be
                loaded, or it does not repeat its golden answer; or the two do not fit each other.
            PluginError: there is no such prediction log, or a library that it needs is not installed.
            DeploymentError: the environment lacks the API keys, or one is too short; or it lacks what the prediction
                log needs, or no record has what is to be left out of the log.
        """
        settings = self.settings
        self.keys = Keys.of_environment(settings.keys_from, os.environ) if settings.keys_from else None
        bundle = self._signed(Path(settings.bundle))
        predictor = Predictor(bundle, settings.threads)
        check_sample(predictor)
        rooms = None
        if settings.rooms is not None:
            self._signed(Path(settings.rooms))
            rooms = open_rooms(Path(settings.rooms), settings.room_prior, bundle, settings.threads)
        self.contract = Contract(predictor, settings.limits, keep_photos=settings.log_photos, rooms=rooms)
        self._metrics = _metrics(settings)
        self._metrics.MODEL.labels(bundle.name, bundle.task, bundle.sha256).set(1)
        self.pages = pages.make(bundle, settings)
        self._log = None if settings.log is None else _prediction_log(settings, bundle, self._metrics)
        self.contract.readiness = self._readiness
        if self._log is not None:
            self.contract.feedback = self._log.feedback(settings.feedback)
        else:
            self.contract.feedback = replace(self.contract.feedback, offered=settings.feedback)
        self.pool = ThreadPoolExecutor(settings.parallel_of_worker, thread_name_prefix="predict")
        self.gate = Gate(settings.concurrency_of_worker)
        self.label_pool = ThreadPoolExecutor(1, thread_name_prefix="labels")
        self.label_gate = Gate(_LABELS_WAITING)
        self.bodies = Bodies(settings.concurrency_of_worker * self.contract.limits.max_body)
        self.is_open = True

    def _signed(self, path: Path) -> Bundle:
        """A bundle, opened, and signed by a key that is trusted where the service was told of any."""
        bundle, told = open_bundle(path), self.settings
        if told.public_keys:
            from pizzeria.signing.checking import check_signed

            folder = None if told.signatures is None else Path(told.signatures)
            check_signed(bundle, [Path(one) for one in told.public_keys], folder)
        return bundle

    def close(self) -> None:
        """Write the last predictions to their log."""
        if self._log is not None:
            self._log.close()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.label_pool.shutdown(wait=False, cancel_futures=True)

    def flush(self, timeout_s: float) -> bool:
        """Write what waits for the prediction log now, before the platform stops this process's clock.

        Returns:
            Whether nothing waits any more.
        """
        return self._log is None or self._log.flush(timeout_s)

    def enter(self) -> bool:
        """Take a place for one request, where one is free."""
        if not self.gate.enter():
            return False
        self._metrics.IN_FLIGHT.inc()
        return True

    def leave(self) -> None:
        """Give the place back."""
        self.gate.leave()
        self._metrics.IN_FLIGHT.dec()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, begun: float) -> Reply:
        """The contract's answer to a request that was whole at `begun` (`time.perf_counter`); logs its predictions."""
        answer = self.contract.answer(method, target, headers, body)
        if answer.records and self._log is not None:
            # Rows weigh about three times as much in memory as they did as JSON.
            size = None if self.contract.predictor.bundle.takes_photos else 3 * len(body)
            self._log.put(answer.records, round(1000 * (time.perf_counter() - begun), 3), size)
        return answer

    async def metrics(self) -> Reply:
        """What all workers counted together."""
        text = await asyncio.get_running_loop().run_in_executor(None, self._metrics.text)
        return Reply(200, text, content_type=self._metrics.CONTENT_TYPE)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        counters = self._counters.get((route, status))
        if counters is None:  # looking them up takes longer than counting
            counters = self._metrics.REQUESTS.labels(route, status), self._metrics.SECONDS.labels(route)
            self._counters[route, status] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def _readiness(self) -> dict[str, Any]:
        return {} if self._log is None else {"log": self._log.state()}


def _metrics(settings: Settings) -> ModuleType:
    """Only here, in a worker: prometheus_client looks on import for the folder where workers share their counts."""
    if settings.platform is not None:
        from pizzeria_plugins.servers import tally

        return tally
    from pizzeria_plugins.servers import metrics

    return metrics


def _prediction_log(settings: Settings, bundle: Bundle, counts: ModuleType) -> PredictionLog:
    """Only here, where records are written."""
    from pizzeria_plugins.servers.prediction_log import PredictionLog

    return PredictionLog(settings, bundle, counts)
