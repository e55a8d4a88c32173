"""Which releases can be a function, and what the function is told of them."""

from __future__ import annotations

import json
from dataclasses import replace

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import keeps_local_files, read_lock
from pizzeria_plugins.servers import bentoml

_POSTGRESQL = frozenset({"psycopg", "psycopg-binary"})


def check(release: Release, platform: str) -> None:
    """Refuse what cannot run as a function.

    Args:
        release: To be deployed.
        platform: Its name, for the message.

    Raises:
        DeploymentError: names the key to change.
    """
    serving = release.serving
    if registry.module_of(release.server) is not bentoml:
        raise DeploymentError(
            f"serving.use: a function of {platform} answers by itself, and {serving.use!r} is a server of its own",
            hint="leave serving.use out, or deploy to local, vm, container or kubernetes",
        )
    if serving.log is None:
        return
    if keeps_local_files(release):
        raise DeploymentError(
            f"serving.log: {serving.log.use!r} keeps files on the machine that serves, and {platform} keeps none",
            hint="write serving.log.use=lines (its own log collects them) or postgresql, or serving.log=null",
        )
    if serving.log.use == "parquet":
        raise DeploymentError(
            f"serving.log: what 'parquet' needs is too large for a function of {platform}",
            hint="write serving.log.use=lines or postgresql, or serving.log=null",
        )


def service_settings(release: Release, platform: str) -> str:
    """The text of the file `service.json` in the function's folder; see `pizzeria_plugins.functions.app`.

    One process that answers, as the platform starts one for each request at a time, without `/metrics`.
    """
    settings = replace(
        bentoml.settings(release),
        bundle="bundle",
        rooms=None if release.serving.verification.rooms is None else "rooms",
        workers=1,
        metrics=False,
        log_folder="predictions",
        public_keys=[],  # they were asked before the bundle is sent
        signatures=None,
        platform=platform,
    )
    return json.dumps(settings.environment(), indent=1, sort_keys=True) + "\n"


def lock_texts(release: Release, front: str) -> list[tuple[str, frozenset[str] | None]]:
    """Locks that together have what the function needs, each with the packages that are taken of it; None: all.

    Args:
        release: To be deployed.
        front: Name of the lock with what the front needs.
    """
    found: list[tuple[str, frozenset[str] | None]] = [(read_lock(front), None)]
    log = release.serving.log
    if log is not None and log.use == "postgresql":
        found.append((read_lock("serve-postgresql"), _POSTGRESQL))
    return found
