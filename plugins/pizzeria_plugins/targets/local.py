"""Target `local`: the service as processes on this machine, which outlive the command that started them.

`<state>/<name>/deployment.json` says what runs, `service.log` holds its output (`service.log.1` the one before).
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from pizzeria.atomic import rename
from pizzeria.contracts import DeploymentStatus, Progress, Release, Rendered
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.targets import processes

_LOG_LINES = 20


class Options(PluginOptions):
    """Options of the `local` target."""

    host: str = Field(
        default="127.0.0.1",
        description="IP address to listen on; 0.0.0.0 lets other machines in, and the service asks nobody who it is.",
    )
    port: int = Field(default=3000, ge=1, le=65535, description="TCP port to listen on.")
    ready_timeout_s: float = Field(default=60, gt=0, description="How long a new service may take until it is ready.")
    stop_timeout_s: float = Field(
        default=35, gt=0, description="How long a service may take to answer its last requests before it is killed."
    )

    @field_validator("host")
    @classmethod
    def _is_an_address(cls, host: str) -> str:
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(f"{host!r} is no IP address; write 127.0.0.1, 0.0.0.0 or ::1, say") from None
        return host


@dataclass(frozen=True)
class Deployment:
    """What `deployment.json` holds: enough to find the service, and to start the same one again."""

    name: str
    host: str
    port: int
    sha256: str
    argv: list[str]
    environment: dict[str, str]
    folder: str
    """Working folder of the service: where `pizzeria deploy` ran, so that ./plugins is found."""
    pid: int = 0
    token: str = ""

    @property
    def address(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (what one calls, not binds)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def same_as(self, other: Deployment) -> bool:
        """Whether both are the same command on the same bundle."""
        return (self.argv, self.environment, self.sha256) == (other.argv, other.environment, other.sha256)


def render(release: Release, options: Options) -> Rendered:
    """The server's command and its environment; there are no files."""
    return release.server.render(release, options.host, options.port)


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Bring the service up; one that runs already with this bundle and these settings is left as it is.

    A service of the same name is stopped first, gracefully; when the new one does not come up, it is started again.

    Raises:
        DeploymentError: the port is taken, the service does not come up, or it answers with another bundle.
        BundleError: the bundle is damaged, or is another one; nothing was stopped.
    """
    wanted = _wanted(release, options)
    with _locked(release.state, release.name) as folder:
        old = _load(folder)
        running = old is not None and bool(processes.marked(old.token))
        if old is not None and running and old.same_as(wanted) and _ready(old) == old.sha256:
            return DeploymentStatus("live", old.address, old.sha256, "was live already")
        _check_bundle(release)
        if not (old is not None and running and old.port == wanted.port):
            _check_port(wanted, release.state)
        if old is not None and running:
            progress.say(f"stopping {old.name} at {old.address}")
            processes.stop(old.pid, old.token, options.stop_timeout_s)
        try:
            return _start(wanted, folder, options, progress)
        except BaseException as error:  # an interrupt, too, must not leave users without a service
            (folder / "deployment.json").unlink(missing_ok=True)
            if old is None or not running:
                raise
            progress.say(f"{error or type(error).__name__}; bringing the one before back")
            after = _bring_back(old, folder, options, progress)
            if isinstance(error, DeploymentError):
                raise DeploymentError(f"{error.message}\n{after}", hint=error.hint) from error
            raise


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now, from its processes and from `/readyz`."""
    deployment = _load(state / name)
    if deployment is None:
        return DeploymentStatus("absent")
    if not processes.marked(deployment.token):
        detail = f"its processes are gone; {state / name / 'service.log'} may say why"
        return DeploymentStatus("dead", deployment.address, detail=detail)
    body = _readiness(deployment)
    answer = str(body.get("sha256", ""))
    if answer == deployment.sha256:
        detail = "; ".join([f"process {deployment.pid}", *_trouble_of_log(body.get("log"))])
        return DeploymentStatus("live", deployment.address, answer, detail)
    detail = f"/readyz says {answer[:12]} instead of {deployment.sha256[:12]}" if answer else "no answer at /readyz yet"
    return DeploymentStatus("starting", deployment.address, answer, detail)


def remove(name: str, options: Options, state: Path) -> None:
    """Stop the service and forget it, its log included; the prediction log stays."""
    if not (state / name).is_dir():
        return
    with _locked(state, name) as folder:
        deployment = _load(folder)
        if deployment is not None:
            processes.stop(deployment.pid, deployment.token, options.stop_timeout_s)
        shutil.rmtree(folder)


def _wanted(release: Release, options: Options) -> Deployment:
    rendered = render(release, options)
    return Deployment(
        name=release.name,
        host=options.host,
        port=options.port,
        sha256=release.sha256,
        argv=list(rendered.commands[0]),
        environment=dict(rendered.environment),
        folder=str(Path.cwd()),
    )


def _start(wanted: Deployment, folder: Path, options: Options, progress: Progress) -> DeploymentStatus:
    log = folder / "service.log"
    if log.exists():
        log.replace(folder / "service.log.1")
    token = uuid.uuid4().hex
    begun = time.monotonic()
    pid = 0
    try:
        pid = processes.start(wanted.argv, wanted.environment, Path(wanted.folder), log, token)
        deployment = Deployment(**(asdict(wanted) | {"pid": pid, "token": token}))
        _save(deployment, folder)
        while (answer := _ready(deployment)) != wanted.sha256:
            if answer:
                raise DeploymentError(
                    f"{wanted.address} answers with bundle {answer[:12]}, and {wanted.sha256[:12]} was deployed",
                    hint="something else listens there; give another port: deployment.port=...",
                )
            if not processes.marked(token):
                raise DeploymentError(f"the service {wanted.name} ended before it was ready{_tail(log)}")
            if time.monotonic() - begun > options.ready_timeout_s:
                raise DeploymentError(
                    f"the service {wanted.name} was not ready after {options.ready_timeout_s:g} s{_tail(log)}",
                    hint="give it longer with deployment.ready_timeout_s=...",
                )
            time.sleep(0.05)
    except OSError as error:
        processes.stop(pid, token, 0)
        raise DeploymentError(f"the service {wanted.name} cannot be started: {error}") from error
    except BaseException:
        processes.stop(pid, token, 0)
        raise
    progress.say(f"{wanted.name} is live at {wanted.address} after {time.monotonic() - begun:.1f} s")
    return DeploymentStatus("live", wanted.address, wanted.sha256, f"process {pid}")


def _bring_back(old: Deployment, folder: Path, options: Options, progress: Progress) -> str:
    failed = folder / "service.log"
    if failed.exists():
        failed.replace(folder / "service.failed.log")
    try:
        _start(old, folder, options, progress)
    except DeploymentError as error:
        return f"The one before, {old.sha256[:12]}, could not be brought back either: {error.message}"
    return f"The one before, {old.sha256[:12]}, was brought back and is live at {old.address}"


def _check_bundle(release: Release) -> None:
    from pizzeria.inference.bundle import open_bundle

    found = open_bundle(release.bundle).sha256
    if found != release.sha256:
        raise BundleError(f"{release.bundle} is bundle {found[:12]}, and {release.sha256[:12]} was to be deployed")


def _check_port(wanted: Deployment, state: Path) -> None:
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError as error:
            raise DeploymentError(
                f"cannot listen on {wanted.host} port {wanted.port}: {error.strerror}{_holder(wanted.port, state)}",
                hint="give another one: deployment.port=...",
            ) from error


def _holder(port: int, state: Path) -> str:
    """Which other deployment of this workspace has the port, when one has."""
    others = (_load(path.parent) for path in sorted(state.glob("*/deployment.json")))
    names = [one.name for one in others if one and one.port == port and processes.marked(one.token)]
    return f" (the deployment {names[0]!r} has it)" if names else ""


def _ready(deployment: Deployment) -> str:
    """The sha256 that `/readyz` says, or nothing."""
    return str(_readiness(deployment).get("sha256", ""))


def _readiness(deployment: Deployment) -> dict[str, Any]:
    """What `/readyz` says when it is ready. No proxy is asked, whatever the environment says."""
    host, port = deployment.address.removeprefix("http://").rsplit(":", 1)
    with closing(http.client.HTTPConnection(host.strip("[]"), int(port), timeout=0.8)) as connection:
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = json.loads(answer.read(10_000)) if answer.status == 200 else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
    return body if isinstance(body, dict) else {}


def _trouble_of_log(log: Any) -> Iterator[str]:
    """What `/readyz` says of the prediction log, where that is not well."""
    if not isinstance(log, dict):
        return
    if log.get("trouble"):
        yield f"its prediction log takes no records, {log.get('waiting', 0)} wait"
    if log.get("dropped"):
        yield f"{log['dropped']} prediction records are lost since it started"


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([f"; the end of {log}:", *(f"    {line}" for line in lines)]) if lines else f"; {log} is empty"


def _load(folder: Path) -> Deployment | None:
    try:
        return Deployment(**json.loads((folder / "deployment.json").read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DeploymentError(
            f"{folder / 'deployment.json'} cannot be read: {error}",
            hint="stop the service by hand, then remove that file",
        ) from error


def _save(deployment: Deployment, folder: Path) -> None:
    """Write whole or not at all, for the owner's eyes only: the environment may hold the password of a database."""
    temporary = folder / f".deployment.json.{os.getpid()}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(asdict(deployment), stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    rename(temporary, folder / "deployment.json")


@contextmanager
def _locked(state: Path, name: str) -> Iterator[Path]:
    """The deployment's folder, with every other command that would change it kept waiting."""
    folder = state / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(state / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        yield folder
