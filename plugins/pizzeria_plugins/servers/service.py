"""The BentoML service itself, for `bentoml serve pizzeria_plugins.servers.service:service`.

BentoML's supervisor and its workers all import this module; only a worker makes the class, and with it loads the model.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings

import bentoml
from _bentoml_sdk import Service

from pizzeria.errors import PizzeriaError
from pizzeria_plugins.servers import activation, draining, protocol
from pizzeria_plugins.servers.asgi import ASGIApp, Routes
from pizzeria_plugins.servers.settings import Settings
from pizzeria_plugins.servers.worker import Worker

_logger = logging.getLogger("bentoml.pizzeria")
# Pillow warns of damaged EXIF data in ever new words; strangers could fill the disk with them.
warnings.filterwarnings("ignore", module=r"PIL\.")
_settings = Settings.of_environment(os.environ)
_worker = Worker(_settings)
_SUPERVISOR = "PIZZERIA_SUPERVISOR"
if bentoml.server_context.worker_index is None:
    # Its workers inherit this; one that asked for its parent itself might ask too late, when that is dead already.
    os.environ[_SUPERVISOR] = str(os.getpid())
    activation.begin(os.environ, _settings.processes)


class Pizzeria:
    """A model of Pizzeria, behind the serving contract."""

    def __init__(self) -> None:
        threading.Thread(target=_follow_supervisor, name="supervisor", daemon=True).start()
        try:
            _worker.open()
        except PizzeriaError as error:  # said in a line; BentoML would tell it in some hundred
            _logger.error("the service cannot start: %s%s", error.message, f" ({error.hint})" if error.hint else "")
            _end_supervisor()
            logging.shutdown()
            os._exit(error.exit_code)
        except Exception:
            _logger.exception("the service cannot start")
            _end_supervisor()
            raise

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Log what was predicted last."""
        _worker.close()


def _end_supervisor() -> None:
    """BentoML would start a broken worker again and again. That one of the first ones is broken means that the service
    cannot run; it did run before a later one, and may again."""
    if (bentoml.server_context.worker_index or 0) <= _settings.processes and _has_supervisor():
        os.kill(os.getppid(), signal.SIGTERM)


def _follow_supervisor() -> None:
    """End this worker when its supervisor is killed: nobody would be left to end it, and it holds the port."""
    while _has_supervisor():
        time.sleep(0.5)
    _logger.error("the supervisor is gone; stopping")
    os.kill(os.getpid(), signal.SIGTERM)


def _has_supervisor() -> bool:
    """Whether the parent is the supervisor still: where that was killed, it is whoever takes orphans, such as init."""
    return str(os.getppid()) == os.environ[_SUPERVISOR]


class _Service(Service[Pizzeria]):
    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """BentoML's app with the routes before it: as its middleware they would cost three times as much a request."""
        routes = Routes(super().to_asgi(is_main), _worker)
        protocol.install(routes.turn_away)
        draining.install(lambda: activation.worker_is_ready(_worker.contract.predictor.bundle.sha256))
        return routes


service = bentoml.service(name="pizzeria", workers=_settings.processes, service_class=_Service)(Pizzeria)
