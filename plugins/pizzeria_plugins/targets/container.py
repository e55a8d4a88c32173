"""Target `container`: an image with the bundle, built by docker, podman or buildah, and run on this machine.

`render` and `build` give a folder for `docker build` and `docker compose up` by hand. `apply` builds the image, starts
it beside the one that serves, holds its answer to the golden one, and only then lets it take over.

`<state>/<name>/container.json` says what is live, `image/` is the context that was built, `front/service` names the
container to which connections are passed on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pizzeria.contracts import DeploymentStatus, Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.observation import readiness
from pizzeria.shipment import content_hash, keeps_local_files, secret_names, values_of
from pizzeria_plugins.targets.container_engine import commands, service
from pizzeria_plugins.targets.container_engine.change import Change, clear
from pizzeria_plugins.targets.container_engine.kept import Kept, label_of, load, locked
from pizzeria_plugins.targets.container_engine.programs import build as run_build
from pizzeria_plugins.targets.container_engine.programs import do, find_programs
from pizzeria_plugins.targets.container_image.compose import compose
from pizzeria_plugins.targets.container_image.context import (
    context_files,
    run_of,
    write_context,
    write_monitor_context,
)
from pizzeria_plugins.targets.container_image.dockerfile import dockerfile, monitor_dockerfile
from pizzeria_plugins.targets.container_image.references import for_monitor, tagged
from pizzeria_plugins.targets.container_options import Options

__all__ = ["LOCK", "SCHEDULES", "Options", "apply", "build", "remove", "render", "status"]

SCHEDULES = True
LOCK = "serve"

_MONITOR = "monitor"


def render(release: Release, options: Options) -> Rendered:
    """The context of the image, compose.yaml, and the commands that `apply` runs where docker is there.

    Raises:
        DeploymentError: the schedule asks for what a container cannot do.
    """
    monitor = _watched(release, options)
    image = tagged(options.image, release.name, release.sha256)
    how = {"python": options.python, "platform": options.platform, "wheels": options.wheels is not None}
    told = {**how, "base": options.base, "environment": options.environment}
    files = {"Dockerfile": dockerfile(release, **told), **context_files(release, **how)}  # type: ignore[arg-type]
    files["compose.yaml"] = compose(release, options, image, monitor=monitor)
    if monitor:
        files[f"{_MONITOR}/Dockerfile"] = monitor_dockerfile(release, **told)  # type: ignore[arg-type]
        texts = context_files(release, lock="monitor", store=True, **how)  # type: ignore[arg-type]
        files |= {f"{_MONITOR}/{name}": text for name, text in texts.items()}
    return Rendered(files=files, commands=_commands(release, options, image))


def build(release: Release, options: Options, folder: Path, progress: Progress) -> None:
    """Write the bundle, Pizzeria's wheel and the run beside the rendered files; `docker build` works there then.

    Raises:
        BundleError: the bundle is damaged, or is another one.
        DeploymentError: the wheels are not there.
    """
    progress.say("writing the context of the image")
    write_context(release, folder, wheels=options.wheels)
    if _watched(release, options):
        write_monitor_context(release, folder / _MONITOR, wheels=options.wheels)


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Build the image and let it take over; what is live already with this very content is left as it is.

    The new container is started beside the old one, and asked for its sha256 and its golden answer. Then the front
    passes new connections on to it, and the old one ends when it has answered its last request.

    Raises:
        DeploymentError: nothing here builds or runs containers, a secret is not set, the image cannot be built, or the
            service does not come up as it must; the one before serves on.
    """
    values = values_of(secret_names(release), os.environ)
    rendered = render(release, options)
    with locked(release.state, release.name) as folder:
        context = folder / "image"
        _write(rendered, release, options, context, progress)
        content = _content(context, release, options, values)
        old = load(folder)
        if old is not None and old.content == content and _serves(old):
            return DeploymentStatus("live", old.address, old.sha256, "was live already")
        programs = find_programs(options.builder)
        own = service.containers(programs.runner, label_of(release.state, release.name))
        if not own or (old is not None and (old.host, old.port) != (options.host, options.port)):
            service.check_port(options.host, options.port)
        image = tagged(options.image, release.name, release.sha256)
        run_build(commands.build_command(programs.builder, image, str(context), options), progress)
        if options.push:
            run_build(commands.push_command(programs.builder, image), progress)
        if release.schedule.monitor is not None:
            argv = commands.build_command(programs.builder, for_monitor(image), str(context / _MONITOR), options)
            run_build(argv, progress)
        change = Change(release, options, programs.runner, image, folder, values, progress)
        kept = change.take_over(old, content)
        if release.schedule.monitor is not None:
            change.watch()
        progress.say(f"{release.name} is live at {kept.address}")
        return DeploymentStatus("live", kept.address, release.sha256, f"container {kept.container}")


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now, from its container and from /readyz."""
    kept = load(state / name)
    if kept is None:
        return DeploymentStatus("absent")
    body = readiness(kept.address)
    found = str(body.get("sha256", ""))
    if found:
        return DeploymentStatus("live", kept.address, found, f"container {kept.container}, image {kept.image}")
    if service.runs(kept.runner, kept.container):
        return DeploymentStatus("starting", kept.address, detail="no answer at /readyz yet")
    why = f"the container does not run: {kept.runner} logs {kept.container}"
    return DeploymentStatus("dead", kept.address, detail=why)


def remove(name: str, options: Options, state: Path) -> None:
    """Take its containers away and forget it; images, the prediction log and the monitor's volume stay."""
    if not (state / name).is_dir():
        return
    with locked(state, name) as folder:
        kept = load(folder)
        if kept is not None:
            if service.runs(kept.runner, kept.container):
                do(commands.stop_command(kept.runner, kept.container, options.stop_timeout_s), "stopping the service")
            clear(kept.runner, label_of(state, name), [])
        shutil.rmtree(folder)


def _watched(release: Release, options: Options) -> bool:
    """Whether what watches the release belongs to it.

    Raises:
        DeploymentError: the schedule asks for what cannot be.
    """
    if release.schedule.maintain is not None:
        raise DeploymentError(
            "a container cannot run `pizzeria maintain`: it needs PyTorch and the data, and the image has neither",
            hint="leave deployment.schedule.maintain out, and run `pizzeria cycle` where the data is",
        )
    wanted = release.schedule.monitor is not None
    if wanted and not options.monitor:
        raise DeploymentError(
            "deployment.schedule.monitor asks for a monitor, and deployment.monitor is false", hint="change one of them"
        )
    if wanted and release.serving.log is None:
        raise DeploymentError(
            "deployment.schedule.monitor has nothing to judge: serving.log is null",
            hint="give the spec a prediction log: serving.log.use=sqlite",
        )
    if wanted:
        run_of(release)
    return options.monitor and release.run is not None and release.serving.log is not None


def _commands(release: Release, options: Options, image: str) -> list[list[str]]:
    """What `apply` runs; names of containers and the service's port are chosen when it does."""
    program = "docker" if options.builder in ("auto", "docker") else options.builder
    runner = "podman" if program == "buildah" else program
    label = label_of(release.state, release.name)
    names = list(secret_names(release))
    log = str(release.log_folder) if keeps_local_files(release) else ""
    out = [commands.build_command(program, image, ".", options)]
    if options.push:
        out.append(commands.push_command(program, image))
    published = "127.0.0.1:0" if options.front else f"{options.host}:{options.port}"
    name = f"pizzeria-{label}"
    out.append(
        commands.service_command(runner, image, f"{name}-service", published, log, options, label=label, secrets=names)
    )
    if options.front:
        out.append(commands.front_command(runner, image, f"{name}-front", "./front", options, label=label))
    if release.schedule.monitor is not None:
        watching = for_monitor(image)
        out.append(commands.build_command(program, watching, f"./{_MONITOR}", options))
        out.append(
            commands.monitor_command(runner, watching, f"{name}-monitor", release.name, log, label=label, secrets=names)
        )
    return out


def _write(rendered: Rendered, release: Release, options: Options, context: Path, progress: Progress) -> None:
    shutil.rmtree(context, ignore_errors=True)
    for name, text in rendered.files.items():
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    # Only a schedule makes a container that watches; by hand, compose.yaml does.
    if release.schedule.monitor is None:
        options = options.model_copy(update={"monitor": False})
    build(release, options, context, progress)


def _content(context: Path, release: Release, options: Options, secrets: Mapping[str, str]) -> str:
    """sha256 of what is built and how it is run; of secrets, only whether they changed."""
    told = options.model_dump(mode="json", exclude={"ready_timeout_s", "stop_timeout_s", "builder", "push"})
    hidden = {name: hashlib.sha256(f"{release.name}\0{value}".encode()).hexdigest() for name, value in secrets.items()}
    how = json.dumps([told, hidden, str(release.log_folder)], sort_keys=True)
    return hashlib.sha256(f"{content_hash(context)}\n{how}".encode()).hexdigest()


def _serves(kept: Kept) -> bool:
    return service.runs(kept.runner, kept.container) and service.ready(kept.address) == kept.sha256
