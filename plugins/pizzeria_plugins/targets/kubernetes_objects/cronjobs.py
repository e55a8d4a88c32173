"""CronJobs that make the cycle go round: `pizzeria monitor` and `pizzeria maintain`, with their store on a volume."""

from __future__ import annotations

from typing import Literal

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import secret_names
from pizzeria.spec.deployment import Interval
from pizzeria_plugins.targets.kubernetes_objects import places
from pizzeria_plugins.targets.kubernetes_objects.identity import Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.workload import (
    Object,
    claim,
    container_security,
    literal,
    pod_security,
    pull_policy,
    secret_variables,
)

Work = Literal["monitor", "maintain"]
STORE = "/store"
_LAY_OUT = """
from pathlib import Path
from pizzeria_plugins.targets.container_image.watching import BROUGHT, lay_out
lay_out(BROUGHT, Path("/store"))
"""
_LIMITS = {"monitor": ("1", "2Gi", 3600), "maintain": ("2", "8Gi", 24 * 3600)}
"""CPU and memory that a pod asks for, and seconds after which it is given up."""


def cron(interval: Interval) -> str:
    """An interval as cron says it, in UTC; days and weeks at three in the night.

    Example:
        >>> [cron(interval) for interval in ("15m", "1h", "6h", "1d", "7d")]
        ['*/15 * * * *', '0 * * * *', '0 */6 * * *', '0 3 * * *', '0 3 * * 0']
    """
    count, unit = int(interval[:-1]), interval[-1]
    if unit == "m":
        return f"*/{count} * * * *"
    if unit == "h":
        return "0 * * * *" if count == 1 else f"0 */{count} * * *"
    return "0 3 * * *" if count == 1 else "0 3 * * 0"


def cron_jobs(release: Release, options: Options, who: Identity) -> dict[Work, Object]:
    """Those that the schedule asks for.

    Raises:
        DeploymentError: a schedule is asked for, and there is no image for it, or no run whose model it could watch.
    """
    wanted: dict[Work, tuple[Interval | None, str | None, str | None]] = {
        "monitor": (release.schedule.monitor, options.monitor_image, None),
        "maintain": (release.schedule.maintain, options.maintain_image, options.maintain_account),
    }
    out: dict[Work, Object] = {}
    for work, (interval, image, own_account) in wanted.items():
        if interval is None:
            continue
        if image is None:
            raise DeploymentError(
                f"deployment.schedule.{work} is {interval}, and no image is named that runs `pizzeria {work}`",
                hint=f"deployment.{work}_image=registry.example.com/pizzeria-{work}:1; docs/deployment/kubernetes.md",
            )
        if release.run is None:
            raise DeploymentError(
                f"deployment.schedule.{work} is {interval}, and there is no run to {work} with: only a bundle is known",
                hint="deploy a run: pizzeria deploy RUN",
            )
        if work == "maintain" and options.store_claim is None:
            raise DeploymentError(
                f"deployment.schedule.maintain is {interval}, and no volume is named that has the store and its ledger",
                hint="deployment.store_claim=NAME of a PersistentVolumeClaim; docs/deployment/kubernetes.md",
            )
        out[work] = _cron_job(release, options, who, work, cron(interval), image, own_account)
    return out


def store_claim(options: Options, who: Identity) -> Object:
    """The volume of the store, where no existing one is named."""
    return claim(f"{who.service}-store", options.store_size, options, who.labels("store"))


def _cron_job(
    release: Release, options: Options, who: Identity, work: Work, when: str, image: str, own_account: str | None
) -> Object:
    labels = who.labels(work) | {"pizzeria/store": who.service}
    seconds = _LIMITS[work][2]
    job = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": seconds,
        "ttlSecondsAfterFinished": 7 * 24 * 3600,
        "template": {"metadata": {"labels": labels}, "spec": _pod(release, options, who, work, image, own_account)},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": f"{who.service}-{work}", "labels": who.labels(work)},
        "spec": {
            "schedule": when,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
        },
    }


def _pod(release: Release, options: Options, who: Identity, work: Work, image: str, own_account: str | None) -> Object:
    cpu, memory, _ = _LIMITS[work]
    store = options.store_claim or f"{who.service}-store"
    volumes: list[Object] = [
        {"name": "store", "persistentVolumeClaim": {"claimName": store}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},
    ]
    mounts = [{"name": "store", "mountPath": STORE}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - an emptyDir of the pod's own
    together = [{"pizzeria/store": who.service}] if options.store_claim is None else []
    if options.log_volume is not None:
        volumes.append({"name": "log", "persistentVolumeClaim": {"claimName": f"{who.service}-log"}})
        mounts.append({"name": "log", "mountPath": f"{STORE}/.predictions/{release.name}"})
        together.append(who.selector)
    shared: Object = {
        "image": image,
        "imagePullPolicy": pull_policy(options, image),
        "workingDir": STORE,
        "env": [
            {"name": "PIZZERIA_STORE", "value": STORE},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        ],
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": own_account or who.name,
        "automountServiceAccountToken": own_account is not None,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        # The run that the image brings along joins those that are in the store.
        "initContainers": [{"name": "store", "command": [places.PYTHON, "-c", _LAY_OUT], **shared}],
        "containers": [
            {
                "name": work,
                "command": [places.PYTHON, "-m", "pizzeria.cli", work, literal(release.name)],
                **shared,
                "env": [*shared["env"], *secret_variables(secret_names(release, watching=True), options, release)],
            }
        ],
        "volumes": volumes,
    }
    if together:
        # A volume of one node: whoever shares it must be there.
        pod["affinity"] = {
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
                    for labels in together
                ]
            }
        }
    if options.image_pull_secret is not None:
        pod["imagePullSecrets"] = [{"name": options.image_pull_secret}]
    return pod
