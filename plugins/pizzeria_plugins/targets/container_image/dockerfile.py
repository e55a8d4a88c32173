"""The Dockerfiles of a release: its service, and what watches it.

Both have the same stages: `packages` (what the lock says), `own` (Pizzeria itself) and the image, which copies from
both and runs nothing, so that its layers depend on nothing but their content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pizzeria.contracts import Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.shipment import elsewhere, wheel_name
from pizzeria_plugins.targets.container_image.materials import (
    EPOCH,
    Platform,
    Python,
    bill_of_materials,
    content_sha256,
    lock_of,
)

BASE = "python:3.11-slim"
HOME = PurePosixPath("/opt/pizzeria")
PAYLOAD = HOME / "payload"
PYTHON = str(HOME / "env/bin/python")
STATE = PurePosixPath("/var/lib/pizzeria")
SCRATCH = PurePosixPath("/tmp/pizzeria")  # noqa: S108 - of the container alone
USER = 10001
PORT = 3000

_PIP = str(PurePosixPath("/build/tools/bin/pip"))
_SECRET = "--mount=type=secret,id=pip_config"  # noqa: S105 - the name of one


def inside(release: Release, port: int = PORT) -> Rendered:
    """The command and the environment of the service in the image."""
    there = elsewhere(release, PAYLOAD, STATE, PYTHON)
    there = replace(there, state=Path(SCRATCH))  # what need not stay lies where every container may write
    return release.server.render(there, "0.0.0.0", port)  # noqa: S104 - the network of a container


def dockerfile(
    release: Release,
    *,
    base: str = BASE,
    port: int = PORT,
    python: Python = "3.11",
    platform: Platform = "linux/amd64",
    environment: Mapping[str, str] | None = None,
    wheels: bool = False,
    lock: str | None = None,
    entrypoint: Sequence[str] | None = None,
    probed: bool = True,
) -> str:
    """The Dockerfile of a release's service, for the folder that `context.write_context` makes.

    Args:
        base: Image with Python, for both stages; `--build-arg BASE=...` gives another one.
        port: That the service listens on inside.
        python: Version of the base's Python: the lock may say other packages for another one.
        environment: More variables, no secrets.
        wheels: Whether the context has a folder `wheels`, so that the build asks no index.
        lock: Another one than the release's own.
        entrypoint: Another command than the server's own.
        probed: Whether the image has a health check, by HTTP on `port`.

    Raises:
        DeploymentError: a variable cannot be written into a Dockerfile.
    """
    lock = lock or lock_of(release)
    served = inside(release, port)
    variables = {"HOME": str(SCRATCH), **served.environment, **(environment or {})}
    bill = bill_of_materials(release, lock, python, platform)
    check = ["CMD", PYTHON, "-I", str(HOME / "healthy.py"), str(port), release.sha256]
    return "\n".join(
        [
            *_stages(base, wheels),
            "FROM ${BASE}",
            *_copies(),
            _labels(release, bill),
            *_variables(variables),
            f"WORKDIR {PAYLOAD}",
            f"USER {USER}:{USER}",
            f"EXPOSE {port}",
            "STOPSIGNAL SIGTERM",
            *(_health(check) if probed else ["HEALTHCHECK NONE"]),
            f"ENTRYPOINT {json.dumps(list(entrypoint or served.commands[0]))}",
            "",
        ]
    )


def monitor_dockerfile(
    release: Release,
    *,
    base: str = BASE,
    python: Python = "3.11",
    platform: Platform = "linux/amd64",
    environment: Mapping[str, str] | None = None,
    wheels: bool = False,
    entrypoint: Sequence[str] | None = None,
) -> str:
    """The Dockerfile of what watches a release: the lock `monitor`, and the run in a store, as `context` lays it.

    Its command goes round by the release's schedule; `entrypoint` gives another one, such as a single pass.
    """
    bill = bill_of_materials(release, "monitor", python, platform)
    every = release.schedule.monitor or "1h"
    command = [PYTHON, "-m", "pizzeria_plugins.targets.container_image.watching", release.name, every]
    variables = {
        "HOME": str(SCRATCH),
        "MPLCONFIGDIR": str(SCRATCH / "matplotlib"),
        "PIZZERIA_STORE": str(STATE / "store"),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        **(environment or {}),
    }
    return "\n".join(
        [
            *_stages(base, wheels),
            "FROM ${BASE}",
            *_copies(),
            _labels(release, bill),
            f'COPY ["store", "{HOME}/store"]',
            *_variables(variables),
            f"WORKDIR {PAYLOAD}",
            f"USER {USER}:{USER}",
            "STOPSIGNAL SIGTERM",
            "HEALTHCHECK NONE",
            f"ENTRYPOINT {json.dumps(list(entrypoint or command))}",
            "",
        ]
    )


def quoted(value: str) -> str:
    """A value of ENV or LABEL, as both the builders and a reader take it.

    Raises:
        DeploymentError: it has characters that no Dockerfile holds.

    Example:
        >>> quoted("$HOME") == '"' + chr(92) + '$HOME"'
        True
    """
    if not value.isprintable():
        raise DeploymentError(
            f"{value[:60]!r} cannot be written into a Dockerfile: it has a line break or another control character",
            hint="give it to the container by a file, or when it is started",
        )
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _stages(base: str, wheels: bool) -> list[str]:
    found = ["--no-index", "--find-links", "/build/wheels"] if wheels else []
    tools = [_PIP, "install", "--require-hashes", "--only-binary", ":all:", *found, "-r", "tools.txt"]
    all_wheels = ["--require-hashes", "--no-deps", "--no-build-isolation", *found, "-r", "requirements.txt"]
    return [
        "# Written by Pizzeria; docs/deployment/container.md tells of it.",
        f"ARG BASE={base}",
        "",
        "# What the lock says: each file is held to its hash. The tools that do it stay in this stage.",
        "FROM ${BASE} AS packages",
        f'ENV SOURCE_DATE_EPOCH="{EPOCH}" LC_ALL="C.UTF-8" PYTHONHASHSEED="0" PYTHONDONTWRITEBYTECODE="1" \\',
        '    PIP_CONFIG_FILE="/run/secrets/pip_config" PIP_NO_CACHE_DIR="1" PIP_NO_INPUT="1" \\',
        '    PIP_DISABLE_PIP_VERSION_CHECK="1" PIP_ROOT_USER_ACTION="ignore"',
        "USER 0:0",
        "WORKDIR /build",
        'RUN ["python3", "-m", "venv", "/build/tools"]',
        'COPY ["tools.txt", "requirements.txt", "/build/"]',
        *(['COPY ["wheels", "/build/wheels"]'] if wheels else []),
        f"RUN {_SECRET} {_run(tools)}",
        f"RUN {_SECRET} {_run([_PIP, 'wheel', *all_wheels, '-w', 'ready'])}",
        'COPY ["furnish.py", "healthy.py", "front.py", "/build/"]',
        'RUN ["python3", "furnish.py", "packages"]',
        "",
        "# Pizzeria itself: a small layer of its own.",
        "FROM packages AS own",
        f'COPY ["{wheel_name()}", "/build/own/"]',
        'COPY ["packages.txt", "/build/"]',
        'RUN ["python3", "furnish.py", "own"]',
        "",
    ]


def _run(argv: Sequence[str]) -> str:
    return json.dumps(list(argv))


def _labels(release: Release, bill: str) -> str:
    labels = {
        "org.opencontainers.image.title": release.name,
        "org.opencontainers.image.description": f"Model {release.name} ({release.task or 'task not told'}) by Pizzeria",
        "org.opencontainers.image.version": release.sha256[:12],
        "org.opencontainers.image.revision": release.sha256,
        "pizzeria.version": wheel_name().split("-")[1],
        "pizzeria.sbom": str(HOME / "sbom.json"),
        "pizzeria.sbom.format": "CycloneDX 1.6 JSON",
        "pizzeria.sbom.sha256": content_sha256(bill),
    }
    return "LABEL " + " \\\n    ".join(f"{name}={quoted(value)}" for name, value in labels.items())


def _copies() -> list[str]:
    return [
        f'COPY --from=packages ["{HOME}", "{HOME}"]',
        f'COPY --from=own ["{HOME}/own", "{HOME}/own"]',
        f'COPY --from=own --chown={USER}:{USER} ["{STATE}", "{STATE}"]',
        f'COPY ["sbom.json", "{HOME}/"]',
        f'COPY ["payload", "{PAYLOAD}"]',
    ]


def _variables(values: Mapping[str, str]) -> list[str]:
    """One instruction for all: each would be a step of its own."""
    return ["ENV " + " \\\n    ".join(f"{name}={quoted(value)}" for name, value in sorted(values.items()))]


def _health(check: Sequence[str]) -> list[str]:
    [kind, *argv] = check
    return [f"HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 {kind} {_run(argv)}"]
