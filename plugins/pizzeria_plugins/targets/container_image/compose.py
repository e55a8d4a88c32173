"""compose.yaml: the service, what watches it, and the database of its prediction log, where that is PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pizzeria.contracts import Release
from pizzeria.shipment import keeps_local_files, secret_names
from pizzeria_plugins.targets.container_image.dockerfile import PORT, STATE
from pizzeria_plugins.targets.container_image.references import for_monitor
from pizzeria_plugins.targets.container_options import Options

_HEAD = """\
# Written by Pizzeria; docs/deployment/container.md tells of it. Secrets come from the environment of `docker compose`,
# or from a file .env beside this one, which nobody else may read.
"""
_HARDENED: Mapping[str, Any] = {
    "read_only": True,
    "tmpfs": ["/tmp"],  # noqa: S108 - a tmpfs of the container's own
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "restart": "unless-stopped",
}
_DATABASE = "pizzeria"


def compose(release: Release, options: Options, image: str, *, monitor: bool) -> str:
    """The file's text.

    Args:
        image: Reference of the service's image.
        monitor: Whether the context has a folder `monitor`.
    """
    local = keeps_local_files(release)
    database = release.serving.log is not None and release.serving.log.use == "postgresql" and options.postgres
    secrets = _secrets(secret_names(release))
    services: dict[str, Any] = {"service": _service(options, image, secrets, local, bool(database))}
    volumes: dict[str, Any] = {"predictions": {}} if local else {}
    if monitor:
        watching = _secrets(secret_names(release, watching=True))
        services["monitor"] = _monitor(release, options, image, watching, local)
        volumes["store"] = {}
    if database:
        services["postgres"] = _postgres(str(options.postgres))
        volumes["database"] = {}
    project = options.project or release.name
    document: dict[str, Any] = {"name": project, "services": services}
    if volumes:
        document["volumes"] = volumes
    return _HEAD + yaml.safe_dump(document, sort_keys=False, width=100)


def _secrets(names: Sequence[str]) -> dict[str, str]:
    """By name, from wherever compose finds them; it refuses to start without."""
    return {name: f"${{{name}:?is not set}}" for name in names}


def _built(image: str, folder: str, options: Options) -> dict[str, Any]:
    build: dict[str, Any] = {"context": folder}
    if options.pip_config is not None:
        build["secrets"] = ["pip_config"]
    return {"image": image, "build": {**build, "platforms": [options.platform]}, "platform": options.platform}


def _service(options: Options, image: str, secrets: Mapping[str, str], local: bool, database: bool) -> dict[str, Any]:
    service: dict[str, Any] = {**_built(image, ".", options), **_HARDENED}
    service["ports"] = [f"{options.host}:{options.port}:{PORT}"]
    service["stop_grace_period"] = f"{options.stop_timeout_s}s"
    if secrets:
        service["environment"] = dict(secrets)
    if local:
        service["volumes"] = [f"predictions:{STATE}/predictions"]
    if options.memory is not None:
        service["mem_limit"] = options.memory
    if options.cpus is not None:
        service["cpus"] = options.cpus
    if database:
        service["depends_on"] = {"postgres": {"condition": "service_healthy"}}
    return service


def _monitor(release: Release, options: Options, image: str, secrets: Mapping[str, str], local: bool) -> dict[str, Any]:
    service: dict[str, Any] = {**_built(for_monitor(image), "./monitor", options), **_HARDENED}
    service["depends_on"] = {"service": {"condition": "service_healthy"}}
    if secrets:
        service["environment"] = dict(secrets)
    service["volumes"] = [f"store:{STATE}/store"]
    if local:
        service["volumes"].append(f"predictions:{STATE}/store/.predictions/{release.name}")
    return service


def _postgres(image: str) -> dict[str, Any]:
    return {
        "image": image,
        **_HARDENED,
        "tmpfs": ["/tmp", "/run/postgresql"],  # noqa: S108 - a tmpfs of the container's own
        # Its start-up script gives the volume to the user postgres, and becomes that user.
        "cap_add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"],
        "environment": {
            "POSTGRES_USER": _DATABASE,
            "POSTGRES_DB": _DATABASE,
            "POSTGRES_PASSWORD": "${POSTGRES_PASSWORD:?is not set}",
        },
        "volumes": ["database:/var/lib/postgresql/data"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "-U", _DATABASE, "-d", _DATABASE],
            "interval": "5s",
            "timeout": "5s",
            "retries": 12,
        },
    }
