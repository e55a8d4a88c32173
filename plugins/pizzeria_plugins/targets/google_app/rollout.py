"""Puts a package live on Google Cloud, and takes it down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import DeploymentStatus, Progress, Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import content_hash
from pizzeria_plugins.targets.clouds import answers
from pizzeria_plugins.targets.clouds.kept import Kept, forget, held, load, save
from pizzeria_plugins.targets.google_app import project
from pizzeria_plugins.targets.google_app.cloud import Cloud

if TYPE_CHECKING:
    from google.cloud.functions_v2 import Function

    from pizzeria_plugins.targets.google_functions import Options


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """See `pizzeria_plugins.targets.google_functions.apply`."""
    project.check(release, options)
    answers.check_here(release)
    with held(release.state, release.name) as folder:
        package = folder / project.PACKAGE
        project.write_package(release, options, package, progress)
        name = project.function_name(release.name, options)
        source = f"{_prefix(release.name)}{content_hash(package)}.zip"
        cloud = Cloud(options)
        present = cloud.find(name)
        wanted = _wanted(release, options, cloud.path(name), source)
        kept = load(folder)
        if present is not None and _same(present, wanted) and kept is not None:
            now = answers.status_of(kept, cloud.token(kept.address))
            if now.state == "live" and now.sha256 == release.sha256:
                _schedule(cloud, release, options)
                return DeploymentStatus("live", kept.address, release.sha256, "was live already")
        progress.say(f"uploading {package.stat().st_size / 1e6:.1f} MB to gs://{options.bucket}/{source}")
        cloud.upload(package, source)
        try:
            progress.say(f"Google builds and starts {name}")
            made = cloud.put(wanted, present is not None)
            address = options.url or made.service_config.uri
            cloud.let_everybody_in(made.service_config.service, options.allow_unauthenticated)
            before = "" if present is None else _source(present)
            save(folder, Kept(address, release.sha256, source, before))
            answers.wait_until_live(
                address, release.sha256, options.ready_timeout_s, progress, lambda: cloud.token(address)
            )
            answers.check_sample(address, release, cloud.token(address), progress)
        except BaseException as error:  # an interrupt, too, must not leave users with a function that nobody checked
            after = _put_back(cloud, present, name, kept, folder, progress)
            if isinstance(error, DeploymentError):
                raise DeploymentError(f"{error.message}\n{after}", hint=error.hint) from error
            raise
        _schedule(cloud, release, options)
        progress.say(f"{release.name} is live at {address}")
        return DeploymentStatus("live", address, release.sha256, f"package {source}")


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """See `pizzeria_plugins.targets.google_functions.status`."""
    kept = load(state / name)
    if kept is None:
        return DeploymentStatus("absent")
    try:
        opened = {} if options.allow_unauthenticated else Cloud(options).token(kept.address)
    except DeploymentError as error:
        return DeploymentStatus("dead", kept.address, detail=error.message)
    return answers.status_of(kept, opened)


def remove(name: str, options: Options, state: Path) -> None:
    """See `pizzeria_plugins.targets.google_functions.remove`."""
    with held(state, name) as folder:
        if load(folder) is None:
            forget(folder)
            return
        cloud = Cloud(options)
        for job in project.scheduler_names(name, options):
            cloud.delete_job(job)
        cloud.delete(project.function_name(name, options))
        cloud.delete_packages(_prefix(name))
        forget(folder)


def _prefix(name: str) -> str:
    return f"pizzeria/{name}/"


def _wanted(release: Release, options: Options, path: str, source: str) -> Function:
    from google.cloud import functions_v2 as api

    service: dict[str, Any] = {
        "available_memory": options.memory,
        "available_cpu": str(options.cpu),
        "timeout_seconds": options.timeout_s,
        "min_instance_count": options.min_instances,
        "max_instance_count": options.max_instances,
        "max_instance_request_concurrency": project.concurrency(release, options),
        "environment_variables": dict(options.environment),
        "secret_environment_variables": [
            {"key": key, "project_id": options.project, "secret": secret, "version": version}
            for key, (secret, version) in project.secret_parts(release, options).items()
        ],
        "ingress_settings": {"all": 1, "internal": 2, "internal-and-gclb": 3}[options.ingress],
        "all_traffic_on_latest_revision": True,
    }
    if options.service_account is not None:
        service["service_account_email"] = options.service_account
    return api.Function(
        name=path,
        description=f"Pizzeria: {release.name}, bundle {release.sha256}",
        build_config={
            "runtime": project.runtime(options),
            "entry_point": project.ENTRY,
            "source": {"storage_source": {"bucket": options.bucket, "object_": source}},
        },
        service_config=service,
        environment=api.Environment.GEN_2,
    )


def _source(function: Function) -> str:
    return str(function.build_config.source.storage_source.object_)


def _same(present: Function, wanted: Function) -> bool:
    """Whether Google has it so already, in all that is said here."""

    def told(function: Function) -> list[Any]:
        build, service = function.build_config, function.service_config
        own = wanted.service_config
        return [
            (build.runtime, build.entry_point, _source(function), build.source.storage_source.bucket),
            (service.available_memory, service.available_cpu, service.timeout_seconds),
            (service.min_instance_count, service.max_instance_count, service.max_instance_request_concurrency),
            {k: v for k, v in service.environment_variables.items() if k != "LOG_EXECUTION_ID"},
            sorted((one.key, one.secret, one.version) for one in service.secret_environment_variables),
            (service.ingress_settings, service.service_account_email if own.service_account_email else ""),
        ]

    return present.state == type(present).State.ACTIVE and told(present) == told(wanted)


def _put_back(
    cloud: Cloud, present: Function | None, name: str, kept: Kept | None, folder: Path, progress: Progress
) -> str:
    """Build what served before anew; says how that went."""
    try:
        if present is None:
            progress.say(f"taking {name} down again")
            cloud.delete(name)
            forget(folder)
            return "There was no function before, so there is none now"
        progress.say("putting the package before back")
        from google.cloud import functions_v2 as api

        before = api.Function(
            name=present.name,
            description=present.description,
            build_config={
                "runtime": present.build_config.runtime,
                "entry_point": present.build_config.entry_point,
                "source": present.build_config.source,
            },
            service_config=present.service_config,
            environment=present.environment,
        )
        cloud.put(before, True)
        if kept is not None:
            save(folder, kept)
    except DeploymentError as error:
        return f"What was before could not be put back either: {error.message}"
    return f"The package before, {_source(present)}, was put back"


def _schedule(cloud: Cloud, release: Release, options: Options) -> None:
    jobs = project.scheduled(release, options)
    account = options.scheduler_account or options.service_account or ""
    for name in project.scheduler_names(release.name, options):
        if name in jobs:
            table, job = jobs[name]
            cloud.put_job(name, table, project.address_of_job(job, options), account)
    for name in project.scheduler_names(release.name, options):
        if name not in jobs:
            cloud.delete_job(name)
