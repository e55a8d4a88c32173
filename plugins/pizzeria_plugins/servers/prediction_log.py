"""A worker's side of the prediction log: what its records leave out, their queue, what is too old, and the counts."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from pizzeria.errors import RequestError
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.column_inputs import column_names
from pizzeria.inference.contract import Feedback
from pizzeria.inference.statistics import NAMES
from pizzeria.inference.truth import Label
from pizzeria.registry import load
from pizzeria_plugins.servers.record_queue import RecordQueue
from pizzeria_plugins.servers.redaction import redactor
from pizzeria_plugins.servers.settings import Settings

_logger = logging.getLogger("bentoml.pizzeria")
_LOOK_S = 0.5
_INTERVAL_S = 0.4
"""Between two writes, where the plugin does not say otherwise."""


class PredictionLog:
    """Takes the records of one worker's answers to the log that the spec names, and what is too old out of it.

    Every worker looks for what is too old once an hour; it does not matter how many do.

    Args:
        settings: With the log's.
        bundle: Whose predictions are logged.
        counts: `metrics`, or `tally` in a process that is alone.

    Raises:
        PluginError: there is no such prediction log, or a library that it needs is not installed.
        DeploymentError: the environment lacks what the log needs, or no record has what is to be left out.
    """

    def __init__(self, settings: Settings, bundle: Bundle, counts: ModuleType) -> None:
        assert settings.log is not None
        self._counts = counts
        plugin = load("prediction_logs", settings.log)
        options, folder = plugin.Options(**settings.log_options), Path(settings.log_folder)
        self._add_labels = partial(plugin.add_labels, options, folder) if hasattr(plugin, "add_labels") else None
        self._by_input = "input_id" not in settings.log_redact
        self._name = settings.log
        self._state: Mapping[str, Any] = {}
        self._looked_at = -math.inf
        self._redact = redactor(settings.log_redact, _features(bundle))
        self._queue = RecordQueue(
            plugin.writer(options, folder),
            lambda outcome, records: counts.LOGGED.labels(outcome).inc(records),
            watch=counts.watch_log,
            interval_s=plugin.interval_s(options) if hasattr(plugin, "interval_s") else _INTERVAL_S,
            prune=_pruner(settings, plugin, options, folder),
        )

    def put(self, records: Sequence[dict[str, Any]], latency_ms: float, size: int | None = None) -> None:
        """Send an answer's records on their way; returns at once.

        Args:
            records: As `pizzeria.inference.records` says, but for `latency_ms`, which is set here.
            size: Bytes that their texts and photos have at most, where that is known: those of a body of rows, say.
        """
        for record in records:
            record["latency_ms"] = latency_ms
        self._queue.put(records if self._redact is None else self._redact(records), size)

    def feedback(self, offered: bool) -> Feedback:
        """What becomes of labels that a client sends."""
        if self._add_labels is None:
            message = f"the prediction log {self._name!r} keeps no labels"
            hint = "those that come with Pizzeria do: sqlite, postgresql, parquet, lines"
            return Feedback(None, RequestError(501, "keeps_no_labels", message, hint=hint), self._by_input, offered)
        return Feedback(self._keep, None, self._by_input, offered)

    def _keep(self, labels: Sequence[Label]) -> None:
        """Write labels to the log itself, not by the queue: what is accepted must not be lost with this process."""
        assert self._add_labels is not None
        try:
            counts = self._add_labels(labels)
        except Exception as error:  # whatever the log's library raises
            _logger.error("the prediction log did not take %d labels: %s", len(labels), error)
            self._counts.LABELS.labels("failed").inc(len(labels))
            message = "the prediction log does not take labels now"
            hint = "none of this request is kept; send it again after the seconds in Retry-After"
            raise RequestError(503, "log_in_trouble", message, hint=hint) from None
        for outcome, count in counts._asdict().items():
            if count:
                self._counts.LABELS.labels(outcome).inc(count)

    def state(self) -> Mapping[str, Any]:
        """How the log is, all workers together; see `metrics.log_state`. Looked up at most twice a second: it reads the
        files of all workers, and anybody may ask."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._state, self._looked_at = self._counts.log_state(), now
        return self._state

    def flush(self, timeout_s: float) -> bool:
        """Write what waits now; see `RecordQueue.flush`."""
        return self._queue.flush(timeout_s)

    def close(self) -> None:
        """Write what is left, for some seconds at most."""
        self._queue.close()


def _features(bundle: Bundle) -> Sequence[str]:
    if bundle.takes_photos:
        return NAMES
    return column_names(bundle.preprocessing)


def _pruner(settings: Settings, plugin: Any, options: Any, folder: Path) -> Callable[[], int] | None:
    keep = settings.log_keep_time
    if keep is None:
        return None
    return lambda: int(plugin.prune(options, folder, datetime.now(UTC) - keep))
