"""Making a cluster be as the objects say, and putting it back when that does not work."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence

from pizzeria.contracts import Progress
from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster import memory
from pizzeria_plugins.targets.kubernetes_cluster.api import KINDS, OPTIONAL, Cluster, Unreachable
from pizzeria_plugins.targets.kubernetes_cluster.rollout import check_hash, readiness, state_of, template_of, wait
from pizzeria_plugins.targets.kubernetes_objects.identity import MANAGER, SECRETS, TRACK, Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.workload import Object

_KEPT = ("PersistentVolumeClaim",)
"""What only a person deletes: predictions and runs are in it."""
_WORK = ("Deployment", "InferenceService")


def put_live(cluster: Cluster, options: Options, who: Identity, wanted: memory.Remembered, progress: Progress) -> None:
    """Make `wanted` what serves; what served before comes back when it does not come up.

    Raises:
        DeploymentError: it does not come up; says what serves now.
    """
    former = last_live(cluster, options, who)
    check_owned(cluster, who, wanted.objects)
    memory.remember(cluster, who, "next", wanted)
    try:
        # The route comes last: while a staged bundle takes over, all requests are its own until the pods are new.
        routes = [each for each in wanted.objects if each["kind"] == "HTTPRoute"]
        rest = [each for each in wanted.objects if each["kind"] != "HTTPRoute"]
        _hand_over_scale(cluster, former, rest)
        cluster.apply(rest, force=options.force_conflicts)
        wait_for(cluster, options, who, wanted, progress)
        cluster.apply(routes, force=options.force_conflicts)
    except BaseException as error:  # an interrupt, too, must not leave users with half of it
        if isinstance(error, Unreachable):
            raise
        progress.say(f"{error or type(error).__name__}; putting back what was there")
        after = put_back(cluster, options, who, former, progress)
        if isinstance(error, DeploymentError):
            raise DeploymentError(f"{error.message}\n{after}", hint=error.hint) from error
        raise
    memory.remember(cluster, who, "live", wanted)
    prune(cluster, who, wanted.objects)
    for what in ("staged", "next"):
        memory.forget(cluster, who, what)


def last_live(cluster: Cluster, options: Options, who: Identity) -> memory.Remembered | None:
    """What was live last. A deploy that was killed when all was done but this to be written down has that done here."""
    coming = memory.recall(cluster, who, "next")
    if coming is not None and _is_live(cluster, options, who, coming):
        memory.remember(cluster, who, "live", coming)
        memory.forget(cluster, who, "next")
    return memory.recall(cluster, who, "live")


def _is_live(cluster: Cluster, options: Options, who: Identity, wanted: memory.Remembered) -> bool:
    for each in _work(wanted.objects):
        found = cluster.get(KINDS[each["apiVersion"], each["kind"]], who.name)
        if found is None or template_of(found) != template_of(each) or state_of(found) != "":
            return False
        if readiness(cluster, *address(each, who, options)).get("sha256") != wanted.sha256:
            return False
    return True


def _hand_over_scale(cluster: Cluster, former: memory.Remembered | None, wanted: Sequence[Object]) -> None:
    """Where an autoscaler takes over, the number of pods gets another owner first: without one it would fall to 1."""
    had = {each["metadata"]["name"]: each["spec"].get("replicas") for each in _work(former.objects if former else ())}
    for each in _work(wanted):
        name = each["metadata"]["name"]
        count = None if "replicas" in each["spec"] else had.get(name)
        if count is not None:
            part = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name},
                "spec": {"replicas": count},
            }
            cluster.patch(part, f"{MANAGER}-scale", force=True)


def _work(objects: Sequence[Object]) -> list[Object]:
    return [each for each in objects if each["kind"] in _WORK]


def wait_for(cluster: Cluster, options: Options, who: Identity, wanted: memory.Remembered, progress: Progress) -> None:
    """Wait for pods and for the right answer of `/readyz`."""
    for each in wanted.objects:
        if each["kind"] in _WORK:
            wait(cluster, each, who, options.rollout_timeout_s, progress)
            name, port = address(each, who, options)
            check_hash(cluster, name, port, wanted.sha256)


def address(each: Object, who: Identity, options: Options) -> tuple[str, int]:
    """The Service, and its port, that answers for a Deployment or an InferenceService."""
    return (who.name, options.port) if each["kind"] == "Deployment" else (f"{who.name}-predictor", 80)


def put_back(
    cluster: Cluster, options: Options, who: Identity, former: memory.Remembered | None, progress: Progress
) -> str:
    """Make it as it was; returns a sentence on what serves now."""
    try:
        if former is None:
            remove(cluster, who)
            return "Nothing was live before, and what was begun is removed."
        cluster.apply(former.objects, force=True)
        wait_for(cluster, options, who, former, progress)
        prune(cluster, who, former.objects)
        memory.forget(cluster, who, "next")
    except DeploymentError as error:
        which = former.sha256[:12] if former is not None else "what was begun"
        return f"Putting back {which} did not work either: {error.message}"
    return f"The one before, {former.sha256[:12]}, serves."


def check_owned(cluster: Cluster, who: Identity, objects: Sequence[Object]) -> None:
    """Make sure that no object is somebody else's.

    Raises:
        DeploymentError: one is.
    """
    for each in objects:
        found = cluster.get(KINDS[each["apiVersion"], each["kind"]], each["metadata"]["name"])
        labels = {} if found is None else found["metadata"].get("labels") or {}
        if found is not None and not who.owned.items() <= labels.items():
            raise DeploymentError(
                f"the {each['kind']} {each['metadata']['name']} in namespace {cluster.namespace} is not Pizzeria's",
                hint="give another name: deployment.service_name=..., or another namespace",
            )


def write_secret(cluster: Cluster, who: Identity, name: str, values: Mapping[str, str]) -> None:
    """The Secret of the service; its values go to the cluster and nowhere else."""
    each = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": who.labels("secrets")},
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
    check_owned(cluster, who, [each])
    cluster.apply([each], force=True)


def secret_version(cluster: Cluster, name: str, keys: Sequence[str]) -> str:
    """Which version of the Secret is there; none of it is kept.

    Raises:
        DeploymentError: it is not there, or lacks a key.
    """
    secret = cluster.get("secrets", name)
    missing = keys if secret is None else [key for key in keys if key not in (secret.get("data") or {})]
    if secret is None or missing:
        raise DeploymentError(
            f"the Secret {name} in namespace {cluster.namespace} lacks {', '.join(missing)}",
            hint="its keys are the names of the service's variables; or leave deployment.secret out",
        )
    return str(secret["metadata"].get("resourceVersion", ""))


def marked(objects: Sequence[Object], version: str) -> list[Object]:
    """The objects with the version of their Secret in the pods' annotations."""
    out = copy.deepcopy(list(objects))
    for each in out:
        if each["kind"] in _WORK:
            spec = each["spec"]
            pods = spec["template"]["metadata"] if each["kind"] == "Deployment" else spec["predictor"]
            pods["annotations"][SECRETS] = version
    return out


def prune(cluster: Cluster, who: Identity, keep: Sequence[Object]) -> None:
    """Delete what was applied before and is not any more, what is staged included; its memory and secrets stay."""
    kept = {(each["kind"], each["metadata"]["name"]) for each in keep} | memory.names(who)
    for kind, name in found(cluster, who):
        if (kind, name) not in kept and kind not in (*_KEPT, "Secret"):
            _delete(cluster, kind, name)


def remove(cluster: Cluster, who: Identity) -> None:
    """Delete everything but volumes."""
    for kind, name in found(cluster, who):
        if kind not in _KEPT:
            _delete(cluster, kind, name)


def remove_staged(cluster: Cluster, who: Identity) -> None:
    """Delete what was staged; whoever leads to it does so no more."""
    for kind, name in found(cluster, who, {TRACK: "canary"}):
        _delete(cluster, kind, name)


def found(cluster: Cluster, who: Identity, labels: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Kind and name of every object of the deployment, routes first: nothing is to lead to pods that are gone.

    Args:
        labels: Only those that have these too.
    """
    wanted = {**who.owned, **(labels or {})}
    order = sorted(KINDS.items(), key=lambda item: (item[1] not in OPTIONAL, item[0][1] == "ConfigMap", item[1]))
    return [(kind, each["metadata"]["name"]) for (_, kind), plural in order for each in cluster.list(plural, wanted)]


def _delete(cluster: Cluster, kind: str, name: str) -> None:
    plural = next(plural for (_, known), plural in KINDS.items() if known == kind)
    cluster.delete(plural, name)
