"""In the function: what `main.py` hands to Google's functions-framework.

The framework loads `main.py`, then forks the process that answers. Threads do not survive that, so the service is
opened again in there; it is opened before, too, because a broken one then ends the start, and Google leaves the traffic
with the revision before.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pizzeria_plugins.functions.app import open_app
from pizzeria_plugins.targets.clouds.flushed import Flushed

_apps: dict[int, Flushed] = {}


def handler(folder: Path) -> Callable[[Any], Awaitable[Flushed]]:
    """A function for `functions_framework.aio.http`.

    It returns the whole service as the response: the framework calls what is returned with the request's ASGI scope, so
    that method, body and answer pass it untouched.
    """
    open_app(folder).worker.close()

    async def answer(request: Any) -> Flushed:
        process = os.getpid()
        if process not in _apps:
            _apps[process] = Flushed(open_app(folder))
        return _apps[process]

    return answer
