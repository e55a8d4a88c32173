"""Target `local`: the service as supervised processes on this machine, which outlive the command that started them.

A keeper holds the listening socket, starts the service again when it ends, and lets a newer one take over without a
lost request; see `pizzeria_plugins.targets.local_keeper`. In `<state>/<name>`, `deployment.json` says what runs, and
`service.log` holds what the service prints (`service.log.1`: the one before; `service.failed.log`: the one that did not
come up last).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from pizzeria.contracts import DeploymentStatus, Progress, Release, Rendered
from pizzeria.disk_trouble import hint_of
from pizzeria.errors import DeploymentError
from pizzeria.observation import readiness
from pizzeria.shipment import check_bundle, secret_names
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.targets import processes
from pizzeria_plugins.targets.local_keeper import asking, listener
from pizzeria_plugins.targets.local_keeper.deployment import LOG, PROTOCOL, Deployment, load, locked

if TYPE_CHECKING:
    import psutil

_ANSWER_S = 8.0
_SETTLE_S = 30.0
_SLACK_S = 60.0


class Options(PluginOptions):
    """Options of the `local` target."""

    host: str = Field(
        default="127.0.0.1",
        description="IP address to listen on; 0.0.0.0 lets other machines in, and the service asks nobody who it is.",
    )
    port: int = Field(default=3000, ge=1, le=65535, description="TCP port to listen on.")
    ready_timeout_s: float = Field(default=60, gt=0, description="How long a new service may take until it is ready.")
    stop_timeout_s: float = Field(
        default=40, gt=0, description="How long a service may take to answer its last requests before it is killed."
    )

    @field_validator("host")
    @classmethod
    def _is_an_address(cls, host: str) -> str:
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(f"{host!r} is no IP address; write 127.0.0.1, 0.0.0.0 or ::1, say") from None
        return host


def render(release: Release, options: Options) -> Rendered:
    """The server's command and its environment; there are no files."""
    return release.server.render(release, options.host, options.port)


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Bring the service up; one that runs already with this bundle and these settings is left as it is.

    A service of the same name goes on serving until the new one is ready, and for ever when that does not come up.

    Raises:
        DeploymentError: the port is taken, the service does not come up, or it answers with another bundle.
        BundleError: the bundle is damaged, or is another one; nothing has changed.
    """
    wanted = _wanted(release, options)
    with locked(release.state, release.name) as folder:
        old = load(folder)
        check_bundle(release)
        control = old.control if old is not None and _can_be_asked(old, wanted, folder) else ""
        begun = time.monotonic()
        if control:
            answer = _order(control, old, release, wanted, options, progress)
        else:
            control, token = _new_keeper(old, wanted, folder, options, progress)
            try:
                answer = _order(control, old, release, wanted, options, progress)
            finally:
                now = load(folder)
                if now is None or now.keeper_token != token:  # it has nothing to keep, and must not hold the port
                    processes.stop(lambda: processes.marked(token), options.stop_timeout_s)
        if answer["done"] == "again":
            return DeploymentStatus("live", wanted.address, wanted.sha256, "was live already")
        _check_answer(wanted)
        progress.say(f"{wanted.name} is live at {wanted.address} after {time.monotonic() - begun:.1f} s")
        return DeploymentStatus("live", wanted.address, wanted.sha256, f"process {answer['pid']}")


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now: from its keeper, its processes and `/readyz`."""
    deployment = load(state / name)
    while deployment is not None:
        found = _status(deployment, state / name / LOG)
        looked_at, deployment = deployment, load(state / name)
        if deployment == looked_at:  # and no other service took over meanwhile
            return found
    return DeploymentStatus("absent")


def remove(name: str, options: Options, state: Path) -> None:
    """Stop the service and forget it, its log included; the prediction log stays."""
    if not (state / name).is_dir():
        return
    with locked(state, name) as folder:
        old = load(folder)
        processes.stop(lambda: _left(old, folder), options.stop_timeout_s)
        _forget_control(old, folder)
        shutil.rmtree(folder)


def _status(deployment: Deployment, log: Path) -> DeploymentStatus:
    kept = asking.state(deployment.control)
    if kept and not kept["ready"]:
        detail = f"{kept['trouble'] or 'it ended'}; started again {kept['restarts']} times; {log} may say why"
        return DeploymentStatus("starting", deployment.address, detail=detail)
    if not processes.marked(deployment.token):
        detail = "; ".join(filter(None, ["its processes are gone", deployment.ended, f"{log} may say why"]))
        return DeploymentStatus("dead", deployment.address, detail=detail)
    body = readiness(deployment.address, _ANSWER_S)
    answer = str(body.get("sha256", ""))
    if answer == deployment.sha256:
        detail = "; ".join([f"process {deployment.pid}", *_story(kept), *_trouble_of_log(body.get("log"))])
        return DeploymentStatus("live", deployment.address, answer, detail)
    detail = f"/readyz says {answer[:12]} instead of {deployment.sha256[:12]}" if answer else "no answer at /readyz yet"
    return DeploymentStatus("starting", deployment.address, answer, detail)


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


def _can_be_asked(old: Deployment, wanted: Deployment, folder: Path) -> bool:
    known = _is_at(old, wanted) and old.protocol == PROTOCOL and asking.alive(old.control)
    return known and bool(processes.others(folder))  # its keeper knows another folder if this one was moved


def _is_at(old: Deployment, wanted: Deployment) -> bool:
    return (old.host, old.port) == (wanted.host, wanted.port)


def _new_keeper(
    old: Deployment | None, wanted: Deployment, folder: Path, options: Options, progress: Progress
) -> tuple[str, str]:
    """A keeper with the socket for this address. What serves now goes on, where the socket can be had beside it."""
    found = None
    if old is None:  # what a first command left that was killed: a keeper without a service, which holds the port
        processes.stop(lambda: _left(None, folder), options.stop_timeout_s)
    elif _is_at(old, wanted):
        left = _left(old, folder)
        if left:
            progress.say(f"{old.name} gets a new keeper")
            found = listener.fetch(left, wanted.host, wanted.port)
        if left and found is None:
            _stop(old, folder, options, progress)
        if not asking.alive(old.control):
            _forget_control(old, folder)
    elif old.port == wanted.port:  # one socket cannot listen beside another on fewer addresses
        _stop(old, folder, options, progress)
    if found is None:
        found = listener.bind(wanted.host, wanted.port, _holder(wanted.port, folder))
    with closing(found):
        return asking.start(folder, found)


def _stop(old: Deployment, folder: Path, options: Options, progress: Progress) -> None:
    progress.say(f"stopping {old.name} at {old.address}")
    processes.stop(lambda: _left(old, folder), options.stop_timeout_s)


def _left(old: Deployment | None, folder: Path) -> list[psutil.Process]:
    """All processes of the deployment; those on record, too, if its folder had another name when they began."""
    found = {process.pid: process for process in processes.others(folder)}
    for token in (old.keeper_token, old.token) if old is not None else ():
        found |= {process.pid: process for process in processes.marked(token) if token}
    return list(found.values())


def _order(
    control: str, old: Deployment | None, release: Release, wanted: Deployment, options: Options, progress: Progress
) -> dict[str, Any]:
    """Ask the keeper for this service, and wait until it is there and the one before is gone."""
    request = {
        "do": "apply",
        "deployment": asdict(wanted),
        "environment": dict(os.environ),
        "secrets": list(secret_names(release)),
        "ready_timeout_s": options.ready_timeout_s,
        "stop_timeout_s": options.stop_timeout_s,
        "before": [] if old is None else [old.keeper_token, old.token],
    }
    try:
        longest_s = options.ready_timeout_s + options.stop_timeout_s + _SLACK_S
        for answer in asking.ask(control, request, longest_s):
            if "error" in answer:
                raise DeploymentError(answer["error"], hint=answer["hint"] or hint_of(answer["error"]))
            if "done" in answer:
                return answer
            if answer["before"]:
                progress.say(f"{wanted.name} has taken over; the service before answers its last requests")
    except OSError as error:
        raise DeploymentError(
            f"the keeper of {wanted.name} ended in the middle ({error})", hint="deploy again; that mends it"
        ) from error
    raise AssertionError("the last answer is done or an error")


def _check_answer(wanted: Deployment) -> None:
    """The address must answer with this bundle, whatever the service said of itself."""
    deadline = time.monotonic() + _SETTLE_S
    while (answer := str(readiness(wanted.address, _ANSWER_S).get("sha256", ""))) != wanted.sha256:
        if time.monotonic() > deadline:
            found = f"answers with bundle {answer[:12]}" if answer else "does not answer"
            raise DeploymentError(f"{wanted.address} {found}, and {wanted.sha256[:12]} was deployed")
        time.sleep(0.05)


def _forget_control(old: Deployment | None, folder: Path) -> None:
    """Remove the socket that a killed keeper left, and the folder that it lies in when that was made for it."""
    if old is None or not old.control:
        return
    control = Path(old.control)
    control.unlink(missing_ok=True)
    if control.parent != folder and control.parent.name.startswith("pizzeria-"):
        shutil.rmtree(control.parent, ignore_errors=True)


def _holder(port: int, folder: Path) -> str:
    """Which other deployment of this workspace has the port, when one has."""
    paths = (path.parent for path in sorted(folder.parent.glob("*/deployment.json")) if path.parent != folder)
    others = [one for one in map(load, paths) if one is not None and one.port == port]
    names = [one.name for one in others if asking.alive(one.control) or processes.marked(one.token)]
    return f" (the deployment {names[0]!r} has it)" if names else ""


def _story(kept: dict[str, Any]) -> Iterator[str]:
    """What the keeper knows of it."""
    if not kept:
        yield "its keeper is gone, and nobody would start it again; deploy once more"
    elif kept["restarts"]:
        yield f"started again {kept['restarts']} times"


def _trouble_of_log(log: Any) -> Iterator[str]:
    """What `/readyz` says of the prediction log, where that is not well."""
    if not isinstance(log, dict):
        return
    if log.get("trouble"):
        yield f"its prediction log takes no records, {log.get('waiting', 0)} wait"
    if log.get("dropped"):
        yield f"{log['dropped']} prediction records are lost since it started"
