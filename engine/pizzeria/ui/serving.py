"""Listens, and says where."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection

from pizzeria.errors import PizzeriaError
from pizzeria.runs.store import Store


def serve(
    store: Store, host: str, port: int, *, actions: bool, names: Collection[str], say: Callable[[str], object]
) -> None:
    """Serve the application in the foreground until Ctrl-C or SIGTERM; an action that is at work comes to its end.

    Raises:
        PizzeriaError: a library is missing, or nothing can listen there.
    """
    try:
        import uvicorn

        from pizzeria.ui.access import Access
        from pizzeria.ui.app import make_app
    except ImportError as error:
        raise PizzeriaError(f"the pages need {error.name}", hint="pip install 'pizzeria[ui]'") from error
    listening = _listen(host, port)
    port = int(listening.getsockname()[1])
    access = Access(host, port, actions, tuple(names))
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - it is only compared
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    if actions or access.asks_readers:
        what = "who opens this link may act" if actions else "who opens this link may read"
        say(f"{address}/-/in?token={access.token}   ({what}; it is new with each start)")
    else:
        say(f"{address}   (read-only; --actions lets you roll back, approve and decline)")
    config = uvicorn.Config(
        make_app(store, access),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        limit_concurrency=200,
        h11_max_incomplete_event_size=32_768,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        [family, kind, protocol, _, place] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(128)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PizzeriaError(
            f"nothing can listen at {host}:{port}: {reason}", hint="another application may be there; try --port 0"
        ) from None
    return listening
