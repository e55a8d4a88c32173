"""The service as an ASGI app in a function: the same routes, worker and pages as in `pizzeria_plugins.servers.service`,
with nothing below them.

The platform's front speaks HTTP and hands over whole requests; a front of the provider makes ASGI of them.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pizzeria_plugins.servers.asgi import Routes, Scope, Send
    from pizzeria_plugins.servers.gate import Receive
    from pizzeria_plugins.servers.worker import Worker

SETTINGS = "service.json"
"""The file in the function's folder with what the environment of a service says elsewhere; see `Settings`. Providers
bound what an environment may hold, Lambda to 4 kB."""
_FLUSH_S = 2.0


class FunctionApp:
    """An ASGI app that answers as the service of BentoML does; opened already."""

    def __init__(self, worker: Worker, routes: Routes) -> None:
        self.worker = worker
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one life."""
        await self._routes(scope, receive, send)

    def flush(self, timeout_s: float = _FLUSH_S) -> bool:
        """Write what was predicted to the prediction log; to be called after each request, as the platform may stop the
        clock of a function that has answered, and then end it.

        Returns:
            Whether nothing waits any more. What waits goes out with a later request; if none comes, it is lost.
        """
        return self.worker.flush(timeout_s)


def open_app(folder: Path, environment: Mapping[str, str] = os.environ) -> FunctionApp:
    """Load the model, let it answer its golden request, and give the app that serves it.

    Args:
        folder: Of the function: what the zip holds. It becomes the working folder where it has plugins of its own.
        environment: Settings in it come before those of the folder.

    Raises:
        BundleError, PluginError, DeploymentError: as `pizzeria_plugins.servers.worker.Worker.open` says.
    """
    # numpy's own threads are of no use here, and each takes time and memory at the start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from pizzeria_plugins.servers.asgi import Routes
    from pizzeria_plugins.servers.settings import Settings
    from pizzeria_plugins.servers.worker import Worker

    # Pillow warns of damaged EXIF data in ever new words; strangers could fill the log with them.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if (folder / "plugins").is_dir():
        os.chdir(folder)
    file = folder / SETTINGS
    told = {**(json.loads(file.read_text()) if file.is_file() else {}), **environment}
    settings = Settings.of_environment(told)
    settings = replace(
        settings,
        bundle=str(folder / settings.bundle),
        rooms=None if settings.rooms is None else str(folder / settings.rooms),
    )
    worker = Worker(settings)
    worker.open()
    return FunctionApp(worker, Routes(_lifespan, worker))


async def _lifespan(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """The service is open before its first request comes; there is nothing to do but to say so."""
    if scope["type"] != "lifespan":
        raise ValueError(f"a function cannot serve {scope['type']}")
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
