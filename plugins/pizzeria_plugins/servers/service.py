"""The BentoML service itself, for `bentoml serve pizzeria_plugins.servers.service:service`.

BentoML's supervisor and its workers all import this module; only a worker makes the class, and with it loads the model.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import bentoml

from pizzeria_plugins.servers.asgi import Routes
from pizzeria_plugins.servers.settings import Settings
from pizzeria_plugins.servers.worker import Worker

_logger = logging.getLogger("bentoml.pizzeria")
_settings = Settings.of_environment(os.environ)
_worker = Worker(_settings)


class Pizzeria:
    """A model of Pizzeria, behind the serving contract."""

    def __init__(self) -> None:
        threading.Thread(target=_follow_supervisor, args=(os.getppid(),), name="supervisor", daemon=True).start()
        try:
            _worker.open()
        except Exception:
            # BentoML would start a broken worker again and again. That one of the first ones is broken means that the
            # service cannot run; it did run before a later one, and may again.
            if (bentoml.server_context.worker_index or 0) <= _settings.workers:
                _logger.exception("the service cannot start")
                os.kill(os.getppid(), signal.SIGTERM)
            raise

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Log what was predicted last."""
        _worker.close()


def _follow_supervisor(supervisor: int) -> None:
    """End this worker when its supervisor is killed: nobody would be left to end it, and it holds the port."""
    while os.getppid() == supervisor:
        time.sleep(0.5)
    _logger.error("the supervisor is gone; stopping")
    os.kill(os.getpid(), signal.SIGTERM)


# BentoML's own limits, metrics and access log stand back: the routes bring theirs, which keep the contract.
service = bentoml.service(
    name="pizzeria",
    workers=_settings.workers,
    traffic={"timeout": _settings.timeout_s + 5},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)(Pizzeria)
service.add_asgi_middleware(Routes, worker=_worker)
