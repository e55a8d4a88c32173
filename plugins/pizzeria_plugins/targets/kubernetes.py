"""Target `kubernetes`: a Deployment with all that belongs to it, or an InferenceService of KServe.

`kubernetes_objects` says which objects there are and how kustomize's folders hold them; `kubernetes_cluster` makes them
so. The image is built and pushed before: `pizzeria deploy RUN --out DIR` writes what it is built from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pizzeria.contracts import DeploymentStatus, Observation, Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.holding import in_turn
from pizzeria.shipment import secret_names, values_of
from pizzeria_plugins.targets.container_image.context import context_files, write_context, write_monitor_context
from pizzeria_plugins.targets.container_image.dockerfile import dockerfile, monitor_dockerfile
from pizzeria_plugins.targets.kubernetes_cluster import canary, deploying, memory, rollout
from pizzeria_plugins.targets.kubernetes_cluster.api import Cluster
from pizzeria_plugins.targets.kubernetes_cluster.kubectl import apply_words, words
from pizzeria_plugins.targets.kubernetes_cluster.opening import open_cluster
from pizzeria_plugins.targets.kubernetes_objects import layout
from pizzeria_plugins.targets.kubernetes_objects.identity import Identity, identity_of
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.stack import production, staged
from pizzeria_plugins.targets.kubernetes_objects.workload import secrets_name

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

SCHEDULES = True
LOCK = "serve"
_GONE_S = 120


def render(release: Release, options: Options) -> Rendered:
    """The kustomize folders, and the commands that apply them.

    Raises:
        DeploymentError: the release cannot run like this, such as one whose log is in files of a pod.
    """
    who = identity_of(release.name, options)
    kind = "deployment" if options.form == "deployment" else "inferenceservice"
    waits = (
        ["rollout", "status", f"{kind}/{who.name}"]
        if options.form == "deployment"
        else ["wait", "--for=condition=Ready", f"{kind}/{who.name}"]
    )
    return Rendered(
        files=layout.files(release, options),
        commands=[
            [*apply_words(options, options.force_conflicts), "-k", layout.PRODUCTION],
            [*words(options), f"--namespace={options.namespace}", *waits, f"--timeout={options.rollout_timeout_s}s"],
        ],
    )


def build(release: Release, options: Options, folder: Path, progress: Progress) -> None:
    """Write what the images are built from, beside kustomize's folders: `image`, and `monitor` where it is scheduled.

    Raises:
        BundleError: the bundle is damaged, or another one.
        DeploymentError: nobody knows the run that the monitor needs.
    """
    contexts = {"image": (dockerfile(release), context_files(release), write_context)}
    if release.schedule.monitor is not None:
        texts = context_files(release, lock="monitor", store=True)
        contexts["monitor"] = (monitor_dockerfile(release), texts, write_monitor_context)
    for name, (recipe, texts, write) in contexts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, text in {"Dockerfile": recipe, **texts}.items():
            (folder / name / file).write_text(text)
        write(release, folder / name)
        progress.say(f"docker build -t NAME:TAG {folder / name}")


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Apply what production is, wait for its pods, and check the bundle that answers; the same again changes nothing.

    Raises:
        DeploymentError: it does not come up, or answers with another bundle; the one before serves on.
    """
    wanted = memory.Remembered(release.sha256, production(release, options), keys_from=release.serving.keys_from or "")
    with _changing(release.name, options, release.state) as (cluster, who):
        wanted = _with_secret(cluster, release, options, who, wanted)
        deploying.put_live(cluster, options, who, wanted, progress)
        return _status(cluster, who, options)


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    """How the pods are, and which bundle answers, as the cluster's API says."""
    who = identity_of(name, options)
    try:
        with open_cluster(options) as cluster:
            return _status(cluster, who, options)
    except DeploymentError as error:
        return DeploymentStatus("dead", _address(who, options), detail=error.message)


def remove(name: str, options: Options, state: Path) -> None:
    """Delete all objects, and return when the pods are gone. Volumes stay: predictions are in them."""
    with _changing(name, options, state) as (cluster, who):
        deploying.remove(cluster, who)
        deadline = time.monotonic() + _GONE_S
        tracks = [who, Identity(who.service, "canary")]
        while left := [pod["metadata"]["name"] for track in tracks for pod in rollout.pods(cluster, track)]:
            if time.monotonic() > deadline:
                raise DeploymentError(f"pods of {who.service} are there still after {_GONE_S} s: {', '.join(left)}")
            time.sleep(0.3)


def stage(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    """Bring the bundle up in pods of its own, without requests.

    Raises:
        DeploymentError: it does not come up, or there is nothing to stage it beside, or no Gateway.
    """
    wanted = memory.Remembered(
        release.sha256, production(release, options), staged(release, options), release.serving.keys_from or ""
    )
    with _changing(release.name, options, release.state) as (cluster, who):
        wanted = _with_secret(cluster, release, options, who, wanted)
        canary.stage(cluster, options, who, wanted, progress)
        return _status(cluster, Identity(who.service, "canary"), options)


def shift(name: str, options: Options, state: Path, percent: int) -> None:
    """Change the weights of the HTTPRoute, or the share that is mirrored."""
    with _changing(name, options, state) as (cluster, who):
        canary.shift(cluster, options, who, percent)


def observe(
    name: str, options: Options, state: Path, sample: tuple[str, bytes], probes: int
) -> tuple[Observation, Observation]:
    """What the staged pods and the present ones answer."""
    with open_cluster(options) as cluster:
        return canary.observe(cluster, options, identity_of(name, options), sample, probes)


def settle(name: str, options: Options, state: Path, keep: bool, progress: Progress) -> DeploymentStatus:
    """Make the staged bundle the present one (`keep`), or take it away."""
    with _changing(name, options, state) as (cluster, who):
        canary.settle(cluster, options, who, keep, progress)
        return _status(cluster, who, options)


def _status(cluster: Cluster, who: Identity, options: Options) -> DeploymentStatus:
    kind = "deployments" if options.form == "deployment" else "inferenceservices"
    found = cluster.get(kind, who.name)
    if found is None or not who.owned.items() <= (found["metadata"].get("labels") or {}).items():
        return DeploymentStatus("absent")
    service, port = deploying.address(found, who, options)
    wanted, state = rollout.sha256_of(found), rollout.state_of(found)
    answer = str(rollout.readiness(cluster, service, port).get("sha256", ""))
    address = _address(who, options)
    if answer == wanted and state == "":
        pods = found.get("status", {}).get("availableReplicas")
        where = f"{pods} pods in namespace {options.namespace}" if pods else f"in namespace {options.namespace}"
        trouble = rollout.route_trouble(cluster, who) if options.gateway is not None else ""
        return DeploymentStatus("live", address, answer, "; ".join(filter(None, [where, trouble])))
    trouble = rollout.hopeless(cluster, who, rollout.template_of(found))
    if not answer:
        return DeploymentStatus("dead" if trouble else "starting", address, detail=trouble or state or "no answer")
    detail = trouble or state or f"/readyz says {answer[:12]} instead of {wanted[:12]}"
    return DeploymentStatus("starting", address, answer, detail)


def _address(who: Identity, options: Options) -> str:
    """Where clients find it: the first host name of the Gateway, or the name that pods of the cluster know."""
    if options.gateway is not None and options.gateway.hostnames:
        return f"{options.gateway.scheme}://{options.gateway.hostnames[0].removeprefix('*.')}"
    name = who.service if options.form == "deployment" else f"{who.service}-predictor"
    port = "" if options.form == "kserve" or options.port == 80 else f":{options.port}"
    return f"http://{name}.{options.namespace}.svc.cluster.local{port}"


def _with_secret(
    cluster: Cluster, release: Release, options: Options, who: Identity, wanted: memory.Remembered
) -> memory.Remembered:
    """See to the Secret, and mark the pods with its version."""
    names, name = secret_names(release, watching=True), secrets_name(options, release.name)
    if not names:
        return wanted
    if options.secret is None:
        deploying.write_secret(cluster, who, name, values_of(names, os.environ))
    version = deploying.secret_version(cluster, name, names)
    objects, beside = (deploying.marked(each, version) for each in (wanted.objects, wanted.beside))
    return replace(wanted, objects=objects, beside=beside)


@contextmanager
def _changing(name: str, options: Options, state: Path) -> Iterator[tuple[Cluster, Identity]]:
    """The cluster, with every other command of this machine that would change the deployment kept waiting."""
    who = identity_of(name, options)
    state.mkdir(parents=True, exist_ok=True)
    with in_turn(state / f".{name}.lock"), open_cluster(options) as cluster:
        yield cluster, who
