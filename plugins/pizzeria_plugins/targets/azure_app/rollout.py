"""Lets a function app run a package, and takes it away again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pizzeria.contracts import DeploymentStatus, Progress, Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import content_hash, values_of
from pizzeria_plugins.targets.azure_app import project
from pizzeria_plugins.targets.azure_app.cloud import Cloud
from pizzeria_plugins.targets.clouds import answers
from pizzeria_plugins.targets.clouds.kept import Kept, forget, held, load, save

if TYPE_CHECKING:
    from pathlib import Path

    from pizzeria_plugins.targets.azure_functions import Options


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """See `pizzeria_plugins.targets.azure_functions.apply`."""
    project.check(release, options)
    answers.check_here(release)
    secrets = values_of(project.plain_secrets(release, options), os.environ)
    with held(release.state, release.name) as folder:
        package = folder / project.PACKAGE
        project.write_package(release, options, package, progress)
        cloud = Cloud(options)
        found = cloud.find()
        if found is None:
            raise DeploymentError(
                f"there is no function app {options.function_app} in {options.resource_group}",
                hint="`pizzeria deploy --out DIR` writes main.tf.json, and `terraform apply` there makes it",
            )
        address = options.url or found
        name = f"{_prefix(release.name)}{content_hash(package)}.zip"
        progress.say(
            f"uploading {package.stat().st_size / 1e6:.1f} MB to {options.storage_account}/{options.container}"
        )
        url = cloud.upload(package, name)
        before = cloud.settings()
        wanted = _others(before) | project.wanted_settings(release, options, url) | secrets
        kept = load(folder)
        if before == wanted and kept is not None and kept.address == address:
            now = answers.status_of(kept, cloud.key())
            if now.state == "live" and now.sha256 == release.sha256:
                return DeploymentStatus("live", address, release.sha256, "was live already")
        try:
            progress.say(f"{options.function_app} starts with {name}")
            cloud.set(wanted)
            save(folder, Kept(address, release.sha256, name, "" if kept is None else kept.package))
            answers.wait_until_live(address, release.sha256, options.ready_timeout_s, progress, cloud.key)
            answers.check_sample(address, release, cloud.key(), progress)
            cloud.sync()
        except BaseException as error:  # an interrupt, too, must not leave users with an app that nobody checked
            after = _put_back(cloud, before, kept, folder, options, progress)
            if isinstance(error, DeploymentError):
                raise DeploymentError(f"{error.message}\n{after}", hint=error.hint) from error
            raise
        progress.say(f"{release.name} is live at {address}")
        return DeploymentStatus("live", address, release.sha256, f"package {name}")


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """See `pizzeria_plugins.targets.azure_functions.status`."""
    kept = load(state / name)
    if kept is None:
        return DeploymentStatus("absent")
    # `/readyz` answers everybody where Azure asks for no key of its own.
    try:
        key = {} if options.http_auth_level == "anonymous" else Cloud(options).key()
    except DeploymentError as error:
        return DeploymentStatus("dead", kept.address, detail=error.message)
    return answers.status_of(kept, key)


def remove(name: str, options: Options, state: Path) -> None:
    """See `pizzeria_plugins.targets.azure_functions.remove`."""
    with held(state, name) as folder:
        if load(folder) is not None:
            cloud = Cloud(options)
            if cloud.find() is not None:
                before = cloud.settings()
                left = _others(before)
                if left != before:
                    cloud.set(left | _FOUNDATION)
            cloud.delete_packages(_prefix(name))
        forget(folder)


_FOUNDATION = {"FUNCTIONS_WORKER_RUNTIME": "python", "FUNCTIONS_EXTENSION_VERSION": "~4"}
"""Without these it would be a function app of nothing."""


def _prefix(name: str) -> str:
    return f"{name}/"


def _others(settings: dict[str, str]) -> dict[str, str]:
    """Settings that Pizzeria did not make."""
    own = {project.OWN, *settings.get(project.OWN, "").split()}
    return {name: value for name, value in settings.items() if name not in own}


def _put_back(
    cloud: Cloud, before: dict[str, str], kept: Kept | None, folder: Path, options: Options, progress: Progress
) -> str:
    """Give the app the settings that it had; says how that went."""
    progress.say("putting the settings before back")
    try:
        cloud.set(before)
        if kept is None:
            forget(folder)
            return "There was no package before; the app has the settings that it had"
        save(folder, kept)
        if project.RUN_FROM in before:
            answers.wait_until_live(kept.address, kept.sha256, options.ready_timeout_s, progress, cloud.key)
    except DeploymentError as error:
        return f"What was before could not be put back either: {error.message}"
    return f"The package before, {kept.package}, was put back and is live"
