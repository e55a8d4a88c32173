"""Target `vm`: a service on a machine over SSH, with nginx before two slots of which one is live.

A new release comes up in the idle slot, must say its hash and answer its golden request there, and only then does nginx
send the traffic to it. The slot before stays as it is, so that going back is a switch. What is on the machine, and only
that, decides what the next command does: `<root>/deployments/<name>/state.json` there.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import DeploymentStatus, Observation, Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.vm_options import Options

if TYPE_CHECKING:
    from pizzeria_plugins.targets.vm_parts import Parts

SCHEDULES = True
LOCK = "serve"
_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".json": "application/json"}

__all__ = [
    "LOCK",
    "SCHEDULES",
    "Options",
    "apply",
    "build",
    "observe",
    "remove",
    "render",
    "settle",
    "shift",
    "stage",
    "status",
]


def render(release: Release, options: Options) -> Rendered:
    """All files that will be on the machine, and the one command that writes them.

    `deployment/` stands for `<root>/deployments/<name>`, and `systemd/`, `supervisord/` and `nginx/` for the folders of
    these, which are options. With `supervisor: auto` both systemd's and supervisord's are shown; the machine takes one.
    """
    from pizzeria_plugins.targets import vm_request, vm_session
    from pizzeria_plugins.targets.vm_agent.front import fill
    from pizzeria_plugins.targets.vm_identity import identity_of

    identity = identity_of(release, options)
    found = vm_request.slots(release, options, identity.content, identity.environment)
    schedule = vm_request.schedule(release, options, identity.tools, identity.package)
    kinds = ["systemd", "supervisord"] if options.supervisor == "auto" else [options.supervisor]
    files: dict[str, str] = {}
    for texts in (*(one["files"] for one in found.values()), schedule["scripts"]):
        files |= {f"deployment/{name}": text for name, text in texts.items()}
    for kind in kinds:
        for texts in (*(one[kind] for one in found.values()), schedule[kind]):
            files |= {f"{kind}/{name}": text for name, text in texts.items()}
    filled = fill(vm_request.front(release, options), [(options.slot_ports[0], 1)])
    files[f"nginx/pizzeria-{release.name}.conf"] = filled
    return Rendered(files=files, commands=[vm_session.command(options)])


def build(release: Release, options: Options, folder: Path, progress: Progress) -> None:
    """The archives that are sent to a machine that has none of them yet."""
    from pizzeria_plugins.targets.vm_parts import keep

    keep(release, options, folder)


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Bring the release up in the idle slot and let nginx send everything there; one that is live is left as it is.

    Raises:
        DeploymentError: the machine cannot be reached, or the release does not come up; what was live is live still.
        BundleError: the bundle is damaged, or is another one; the machine was not touched.
    """
    done = _bring_up("apply", release, options, progress)
    address = options.public_address
    progress.say(f"{release.name} is live at {address} ({done['detail']})")
    return DeploymentStatus("live", address, done["sha256"], f"{options.host}: {done['detail']}")


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How it is now, as the machine itself sees it through nginx."""
    try:
        found = _ask(name, options, "status")
    except DeploymentError as error:
        return DeploymentStatus("dead", options.public_address, detail=f"it cannot be asked: {error.message}")
    if found["state"] == "absent":
        return DeploymentStatus("absent")
    return DeploymentStatus(
        found["state"], found["address"] or options.public_address, found["sha256"], found["detail"]
    )


def remove(name: str, options: Options, state: Path) -> None:
    """Take both slots, their part of nginx and all that runs by a schedule away; the prediction log stays."""
    from pizzeria_plugins.targets.vm_request import all_tasks

    _ask(name, options, "remove", schedule={"all": all_tasks(name)})


def stage(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Bring the release up in the idle slot, without traffic.

    Raises:
        DeploymentError: it does not come up, or nothing is live yet.
    """
    done = _bring_up("stage", release, options, progress)
    return DeploymentStatus("live", options.public_address, done["sha256"], f"{options.host}: {done['detail']}")


def shift(name: str, options: Options, state: Path, percent: int) -> None:
    """Let nginx send so much of the traffic to the staged slot."""
    _ask(name, options, "shift", percent=percent)


def observe(
    name: str, options: Options, state: Path, sample: tuple[str, bytes], probes: int
) -> tuple[Observation, Observation]:
    """Ask both slots on the machine, and read what nginx noted of their answers to others since one was staged."""
    found = _ask(name, options, "observe", golden=_golden(sample), probes=probes)
    return _observation(found["staged"]), _observation(found["live"])


def settle(name: str, options: Options, state: Path, keep: bool, progress: Progress) -> DeploymentStatus:
    """Let the staged slot take all traffic, or none and stop it."""
    done = _ask(name, options, "settle", say=progress.say, keep=keep)
    return DeploymentStatus("live", options.public_address, done["sha256"], f"{options.host}: {done['detail']}")


def _bring_up(operation: str, release: Release, options: Options, progress: Progress) -> dict[str, Any]:
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.inference.sample import sample_difference
    from pizzeria_plugins.targets.vm_parts import gathered
    from pizzeria_plugins.targets.vm_session import converse

    with gathered(release, options) as parts:
        request = _request(operation, release, options, parts)
        bundle = open_bundle(parts.payload.folder / "bundle")

        def answer(asked: dict[str, Any]) -> Mapping[str, Any] | Path:
            if "need" in asked:
                return parts.archive(str(asked["need"]))
            return {"difference": golden_difference(asked)}

        def golden_difference(asked: dict[str, Any]) -> str:
            body = base64.b64decode(asked["answer"])
            if asked["golden"] != 200:
                return f"status {asked['golden']}, {body.decode('utf-8', 'replace')[:300]}"
            try:
                return sample_difference(bundle, json.loads(body))
            except ValueError:
                return "it is no JSON"

        return converse(options, request, progress.say, answer)


def _request(operation: str, release: Release, options: Options, parts: Parts) -> dict[str, Any]:
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.shipment import secret_names, values_of
    from pizzeria_plugins.targets import vm_request
    from pizzeria_plugins.targets.vm_texts.variables import variables_file

    secrets = values_of(secret_names(release), os.environ)
    place = vm_request.place_of(release.name, options)
    identity = parts.identity
    content, environment = identity.content, identity.environment
    return {
        "operation": operation,
        "settings": vm_request.settings(release.name, options),
        "release": {
            "content": content,
            "folder": str(place.release(content)),
            "sha256": release.sha256,
            "environment": environment,
            "environment_folder": str(place.environment(environment, options)),
            "wheels": options.wheels is not None,
            "address": options.public_address,
        },
        "slots": vm_request.slots(release, options, content, environment),
        "front": vm_request.front(release, options),
        "golden": _golden(open_bundle(release.bundle).sample_request()),
        "keys_from": release.serving.keys_from,
        "secrets": secrets,
        "secrets_text": variables_file(secrets),
        "watch_secrets_text": variables_file(values_of(secret_names(release, watching=True), os.environ)),
        "schedule": vm_request.schedule(release, options, identity.tools, identity.package),
    }


def _ask(name: str, options: Options, operation: str, *, say: Any = None, **values: Any) -> dict[str, Any]:
    from pizzeria_plugins.targets.vm_request import settings
    from pizzeria_plugins.targets.vm_session import converse

    request = {"operation": operation, "settings": settings(name, options), **values}
    return converse(options, request, say or (lambda text: None), lambda asked: {})


def _golden(sample: tuple[str, bytes]) -> dict[str, Any]:
    name, body = sample
    headers = {"Content-Type": _TYPES.get(Path(name).suffix, "application/octet-stream")}
    return {"headers": headers, "body": base64.b64encode(body).decode()}


def _observation(found: Mapping[str, Any]) -> Observation:
    seconds = sorted(found["seconds"])
    p95 = 1000 * seconds[math.ceil(0.95 * len(seconds)) - 1] if seconds else math.nan
    return Observation(found["sha256"], int(found["requests"]), int(found["errors"]), p95)
