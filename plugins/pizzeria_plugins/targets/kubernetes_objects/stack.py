"""Which objects a deployment has, on which track."""

from __future__ import annotations

from collections.abc import Iterator

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import keeps_local_files
from pizzeria_plugins.targets.kubernetes_objects.cronjobs import cron_jobs, store_claim
from pizzeria_plugins.targets.kubernetes_objects.identity import Identity, identity_of
from pizzeria_plugins.targets.kubernetes_objects.kserve import inference_service
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.safeguards import autoscaler, disruption_budget, network_policy
from pizzeria_plugins.targets.kubernetes_objects.traffic import Split, route
from pizzeria_plugins.targets.kubernetes_objects.workload import (
    Object,
    account,
    autoscaled,
    deployment,
    log_claim,
    service,
    settings,
)

Named = tuple[str, Object]
"""An object with the name of its file in `base/`, without `.yaml`."""


def check(release: Release, options: Options) -> None:
    """Refuse what cannot work.

    Raises:
        DeploymentError: names the key to change.
    """
    if keeps_local_files(release) and options.log_volume is None:
        log = release.serving.log
        assert log is not None
        raise DeploymentError(
            f"serving.log is {log.use}, which keeps its records in files, and a pod's files go with it",
            hint="serving.log.use=postgresql (or parquet with an address of object storage); or one pod with a volume: "
            "deployment.log_volume=5Gi deployment.min_replicas=1 deployment.max_replicas=1; or serving.log=null",
        )


def production(release: Release, options: Options) -> list[Object]:
    """All objects of the deployment while nothing is staged, in the order in which they are applied.

    Raises:
        DeploymentError: the release cannot run like this.
    """
    who = identity_of(release.name, options)
    objects = [each for _, each in base(release, options, who)]
    return [*objects, route(options, who)] if options.gateway is not None else objects


def staged(release: Release, options: Options) -> list[Object]:
    """The objects of a bundle that comes up beside the present one, without the route.

    Raises:
        DeploymentError: nothing can be staged like this.
    """
    if options.form == "kserve":
        raise DeploymentError(
            "deployment.form is kserve, and KServe shifts traffic in its own way", hint="leave deployment.rollout out"
        )
    if options.gateway is None:
        raise DeploymentError(
            "deployment.rollout needs the weights of an HTTPRoute, and no Gateway is named",
            hint="deployment.gateway={name: ..., namespace: ...}, or leave deployment.rollout out",
        )
    if options.log_volume is not None:
        raise DeploymentError(
            "deployment.rollout needs two sets of pods, and deployment.log_volume allows one pod",
            hint="serving.log.use=postgresql, or leave deployment.rollout out",
        )
    check(release, options)
    return [each for _, each in _serving(release, options, identity_of(release.name, options, "canary"))]


def staged_route(who: Identity, options: Options, percent: int) -> Object:
    """The HTTPRoute while something is staged."""
    return route(options, who, Split(options.rollout_by, percent))


def base(release: Release, options: Options, who: Identity) -> list[Named]:
    """What lies in `base/`.

    Raises:
        DeploymentError: the release cannot run like this.
    """
    check(release, options)
    jobs = cron_jobs(release, options, who)
    volumes: list[Named] = []
    if options.log_volume is not None:
        volumes.append(("pvc-log", log_claim(options, who)))
    if jobs and options.store_claim is None:
        volumes.append(("pvc-store", store_claim(options, who)))
    return [*volumes, *_serving(release, options, who), *((f"cronjob-{work}", job) for work, job in jobs.items())]


def _serving(release: Release, options: Options, who: Identity) -> Iterator[Named]:
    config = settings(release, options, who)
    yield "serviceaccount", account(who)
    yield "configmap", config
    yield "networkpolicy", network_policy(release, options, who)
    if options.form == "kserve":
        yield "inferenceservice", inference_service(release, options, who, config)
        return
    yield "service", service(options, who)
    yield "deployment", deployment(release, options, who, config)
    if autoscaled(options):
        yield "hpa", autoscaler(options, who)
    yield "poddisruptionbudget", disruption_budget(who)
