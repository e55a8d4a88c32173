"""What the agent is asked to do: a release as it will be on the machine, in texts and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pizzeria.contracts import Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.shipment import elsewhere, keeps_local_files
from pizzeria_plugins.targets.vm_options import Options
from pizzeria_plugins.targets.vm_texts.nginx import front_template
from pizzeria_plugins.targets.vm_texts.programs import program, repeating_script
from pizzeria_plugins.targets.vm_texts.units import service_unit, task_unit, timer_unit
from pizzeria_plugins.targets.vm_texts.variables import start_script, variables_file

SLOTS = ("a", "b")
TASKS = ("monitor", "maintain")
WATCH_SECRETS = "watch.secrets"


@dataclass(frozen=True)
class Place:
    """Where things of one deployment are on the machine."""

    name: str
    root: PurePosixPath

    @property
    def deployment(self) -> PurePosixPath:
        return self.root / "deployments" / self.name

    @property
    def state(self) -> PurePosixPath:
        return self.root / "state" / self.name

    def release(self, content: str) -> PurePosixPath:
        return self.deployment / "releases" / content[:16]

    def environment(self, digest: str, options: Options) -> PurePosixPath:
        given = options.python_environment
        return self.root / "environments" / digest[:16] if given is None else PurePosixPath(given)


def place_of(name: str, options: Options) -> Place:
    """The place of a deployment."""
    return Place(name, PurePosixPath(options.root))


def settings(name: str, options: Options) -> dict[str, Any]:
    """What the agent has to know of the machine and of the deployment, whatever it does."""
    place = place_of(name, options)
    listen = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.listen, options.listen)  # noqa: S104 - what one calls, not binds
    return {
        "name": name,
        "root": options.root,
        "deployment": str(place.deployment),
        "state": str(place.state),
        "logs": str(place.root / "logs"),
        "supervisor": options.supervisor,
        "supervisor_config": options.supervisor_config,
        "supervisor_folder": options.supervisor_folder,
        "systemd_folder": options.systemd_folder,
        "nginx_folder": options.nginx_folder,
        "nginx_config": options.nginx_config,
        "nginx_prefix": options.nginx_prefix,
        "front": {
            "host": listen,
            "port": options.listen_port,
            "tls": options.tls_certificate is not None,
            "name": options.server_name,
        },
        "ready_timeout_s": options.ready_timeout_s,
        "stop_timeout_s": options.stop_timeout_s,
        "drain_s": min(options.stop_timeout_s, 60),
        "answer_s": 60,
        "keep": options.keep,
        "keep_running": options.keep_running,
        "user": options.service_user,
    }


def slots(release: Release, options: Options, content: str, environment: str) -> dict[str, dict[str, Any]]:
    """Files, programs and units of both slots, of which the idle one will be used.

    Args:
        content: Hash of the payload's content.
        environment: Hash of the Python environment.
    """
    place = place_of(release.name, options)
    out: dict[str, dict[str, Any]] = {}
    folder = str(place.release(content))
    for slot, port in zip(SLOTS, options.slot_ports, strict=True):
        command = service(release, options, content, environment, slot, port)
        argv, own_state = list(command.commands[0]), str(place.state / f"slot-{slot}")
        variables = {"HOME": own_state, **options.environment, **command.environment}
        files = [str(place.deployment / f"slot-{slot}.{kind}") for kind in ("env", "secrets")]
        script, program_name = f"slot-{slot}.sh", f"pizzeria-{release.name}-{slot}"
        out[slot] = {
            "port": port,
            "files": {f"slot-{slot}.env": variables_file(variables), script: start_script(folder, files, argv)},
            "systemd": {
                f"{program_name}.service": service_unit(
                    release.name,
                    slot,
                    argv,
                    user=options.service_user,
                    folder=folder,
                    files=files,
                    writes=str(place.state),
                    start_s=math.ceil(options.ready_timeout_s) + 30,
                    stop_s=math.ceil(options.stop_timeout_s),
                    loopback=release.serving.log is None or keeps_local_files(release),
                )
            },
            "supervisord": {
                f"{program_name}.conf": program(
                    program_name,
                    str(place.deployment / script),
                    user=options.service_user,
                    folder=options.root,
                    log=str(place.root / "logs" / f"{program_name}.log"),
                    stop_s=math.ceil(options.stop_timeout_s),
                )
            },
        }
    return out


def service(release: Release, options: Options, content: str, environment: str, slot: str, port: int) -> Rendered:
    """The service's command and variables in a slot; each slot has a folder of its own for what is only its own."""
    place = place_of(release.name, options)
    python = str(place.environment(environment, options) / "bin" / "python")
    there = elsewhere(release, place.release(content), place.state, python)
    there = replace(there, state=Path(place.state / f"slot-{slot}"))
    return release.server.render(there, "127.0.0.1", port)


def schedule(release: Release, options: Options, tools: str, package: str) -> dict[str, Any]:
    """What is to run again and again.

    Args:
        tools: Hash of the environment that watches.
        package: Name of the folder of what the run's package left.

    Raises:
        DeploymentError: it cannot run there.
    """
    out: dict[str, Any] = {
        "all": all_tasks(release.name),
        "secrets": WATCH_SECRETS,
        "scripts": {},
        "systemd": {},
        "supervisord": {},
    }
    out["start"] = {"systemd": [], "supervisord": []}
    place = place_of(release.name, options)
    commands = _task_commands(release, options, place, tools)
    for what, argv in commands.items():
        interval = str(getattr(release.schedule, what))
        title, script = f"pizzeria-{release.name}-{what}", f"{what}.sh"
        # What watches reads the same prediction log as the service, and may need the same secrets.
        files = [str(place.deployment / WATCH_SECRETS)]
        out["systemd"][f"{title}.service"] = task_unit(
            release.name, what, argv, user=options.service_user, files=files, writes=str(place.state)
        )
        out["systemd"][f"{title}.timer"] = timer_unit(release.name, what, interval)
        out["scripts"][script] = repeating_script(str(place.state), files, argv, interval)
        out["supervisord"][f"{title}.conf"] = program(
            title,
            str(place.deployment / script),
            user=options.service_user,
            folder=options.root,
            log=str(place.root / "logs" / f"{title}.log"),
            stop_s=math.ceil(options.stop_timeout_s),
        )
        out["start"]["systemd"].append(f"{title}.timer")
        out["start"]["supervisord"].append(f"{title}.conf")
    if "monitor" in commands:
        assert release.run is not None
        out["run"] = {"id": release.run.name, "package": package}
        out["tools"] = {
            "environment": tools,
            "environment_folder": str(place.environment(tools, options)),
            "wheels": options.wheels is not None,
        }
    return out


def all_tasks(name: str) -> dict[str, list[str]]:
    """Names of everything that a schedule may have left; timers before what they start."""
    titles = [f"pizzeria-{name}-{what}" for what in TASKS]
    return {
        "systemd": [f"{title}.{kind}" for title in titles for kind in ("timer", "service")],
        "supervisord": [f"{title}.conf" for title in titles],
    }


def front(release: Release, options: Options) -> str:
    """nginx's configuration, to be filled on the machine."""
    return front_template(release.name, release.serving, options)


def _task_commands(release: Release, options: Options, place: Place, tools: str) -> Mapping[str, list[str]]:
    commands: dict[str, list[str]] = {}
    if release.schedule.monitor is not None:
        if release.run is None:
            raise DeploymentError(
                "it is not known which run packed this bundle, so nothing can watch it",
                hint="deploy a run, or leave deployment.schedule.monitor out",
            )
        if release.serving.log is None:
            raise DeploymentError(
                "there are no predictions to watch: serving.log is null",
                hint="give the spec a prediction log, or leave deployment.schedule.monitor out",
            )
        python, store = str(place.environment(tools, options) / "bin" / "python"), str(place.state / "store")
        environment = ["/usr/bin/env", f"PIZZERIA_STORE={store}", f"HOME={store}"]
        commands["monitor"] = [*environment, python, "-m", "pizzeria.cli", "monitor", release.run.name]
    if release.schedule.maintain is not None:
        if options.maintain_command is None:
            raise DeploymentError(
                "deployment.schedule.maintain needs an environment that can train, and the target makes none",
                hint="make one on the machine, and say how it is called: "
                f"deployment.maintain_command=[/opt/train/bin/pizzeria,maintain,{release.name}]",
            )
        commands["maintain"] = list(options.maintain_command)
    return commands
