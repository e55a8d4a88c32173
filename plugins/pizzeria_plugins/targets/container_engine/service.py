"""The containers of a deployment: whether one is ready and answers as it must, and which are there."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.observation import readiness
from pizzeria_plugins.targets.container_engine import commands
from pizzeria_plugins.targets.container_engine.programs import ask

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".json": "application/json"}
_LOG_LINES = 20


def check_port(host: str, port: int) -> None:
    """That the port is free.

    Raises:
        DeploymentError: it is not.
    """
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise DeploymentError(
                f"cannot listen on {host} port {port}: {error.strerror}", hint="give another one: deployment.port=..."
            ) from error


def ready(address: str) -> str:
    """The sha256 that /readyz says when it is ready, or nothing."""
    return str(readiness(address).get("sha256", ""))


def wait_until_ready(runner: str, container: str, address: str, release: Release, timeout_s: float) -> None:
    """Wait for the wanted model.

    Raises:
        DeploymentError: the container ended, another model answers, or the time is over.
    """
    begun = time.monotonic()
    while (found := ready(address)) != release.sha256:
        if found:
            raise DeploymentError(f"{address} answers with bundle {found[:12]}, not with {release.sha256[:12]}")
        if ask(commands.running_command(runner, container)) != "true 0":
            raise DeploymentError(f"the service ended before it was ready{tail(runner, container)}")
        if time.monotonic() - begun > timeout_s:
            raise DeploymentError(
                f"the service was not ready after {timeout_s:g} s{tail(runner, container)}",
                hint="give it longer with deployment.ready_timeout_s=...",
            )
        time.sleep(0.1)


def check_golden(address: str, release: Release, key: str | None) -> None:
    """Ask the golden request, and hold the answer to the golden one.

    Raises:
        DeploymentError: it is another answer, or none.
    """
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.inference.sample import sample_difference

    bundle = open_bundle(release.bundle)
    name, body = bundle.sample_request()
    kind = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    headers = {"Content-Type": kind, **({"Authorization": f"Bearer {key}"} if key else {})}
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)) as connection:
        try:
            connection.request("POST", "/predict", body, headers)
            answer = connection.getresponse()
            content = answer.read(50_000_000)
            found = json.loads(content)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeploymentError(f"the golden request gets no answer: {error!r}") from error
    if answer.status != 200:
        raise DeploymentError(f"the golden request is answered with status {answer.status}: {content[:200]!r}")
    difference = sample_difference(bundle, found)
    if difference:
        raise DeploymentError(f"the golden request is not answered as when the bundle was packed: {difference}")


def runs(runner: str, container: str) -> bool:
    """Whether a container runs now."""
    return (ask(commands.running_command(runner, container)) or "").startswith("true")


def containers(runner: str, label: str) -> list[str]:
    """Names of all containers of a deployment."""
    return (ask(commands.list_command(runner, label)) or "").split()


def tail(runner: str, container: str) -> str:
    """The end of what a container said, for a message."""
    import subprocess

    try:
        done = subprocess.run(
            commands.log_command(runner, container, _LOG_LINES),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.splitlines()[-_LOG_LINES:]
    return "\n".join(["; the end of what it said:", *(f"    {line}" for line in lines)]) if lines else ""
