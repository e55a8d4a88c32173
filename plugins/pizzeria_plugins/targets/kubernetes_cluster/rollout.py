"""Waiting until new pods have taken over, or saying why they do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pizzeria.contracts import Progress
from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster.api import Cluster, Unreachable
from pizzeria_plugins.targets.kubernetes_objects.identity import SHA256, TEMPLATE, Identity
from pizzeria_plugins.targets.kubernetes_objects.workload import Object

_POLL_S = 0.5
_HOPELESS = {
    "CrashLoopBackOff": "its container ends again and again",
    "CreateContainerConfigError": "its container cannot be made",
    "CreateContainerError": "its container cannot be made",
    "ImagePullBackOff": "its image cannot be pulled",
    "InvalidImageName": "its image's name is none",
    "RunContainerError": "its container cannot be started",
}
"""Reasons for which a pod waits, that do not go away by waiting."""
_LINES = 20


def wait(cluster: Cluster, wanted: Object, who: Identity, timeout_s: float, progress: Progress) -> None:
    """Return once all pods are new and ready.

    Args:
        wanted: The Deployment or InferenceService that was applied.

    Raises:
        DeploymentError: they do not come up; says why, with the end of their log.
    """
    deadline = time.monotonic() + timeout_s
    kind = "deployments" if wanted["kind"] == "Deployment" else "inferenceservices"
    template = template_of(wanted)
    said = ""
    while True:
        try:
            found = cluster.get(kind, who.name)
            state = state_of(found) if found is not None else "not there yet"
            if state == "":
                return
            trouble = hopeless(cluster, who, template)
            if not trouble and found is not None and (refused := _refused(found)):
                trouble = f"{refused}{_why(cluster, who, template)}"
        except Unreachable as error:  # an API that is away for a moment says nothing of the pods
            state, trouble = error.message, ""
        if trouble:
            raise DeploymentError(f"{who.name} does not come up: {trouble}")
        if time.monotonic() > deadline:
            raise DeploymentError(
                f"{who.name} was not ready after {timeout_s:g} s: {state}{_why(cluster, who, template)}",
                hint="give it longer with deployment.rollout_timeout_s=...",
            )
        if state != said:
            progress.say(f"{who.name}: {state}")
            said = state
        time.sleep(_POLL_S)


def readiness(cluster: Cluster, service: str, port: int) -> dict[str, Any]:
    """What `/readyz` says through the API; nothing where it is not ready."""
    answer = cluster.call("GET", cluster.service_path(service, port, "/readyz"), patient=False)
    found = answer.json() if answer.status == 200 else {}
    return found if isinstance(found, dict) else {}


def check_hash(cluster: Cluster, service: str, port: int, sha256: str, patience_s: float = 20) -> None:
    """Make sure that the Service answers with the bundle.

    Raises:
        DeploymentError: it answers with another one, or not at all.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            found = str(readiness(cluster, service, port).get("sha256", ""))
        except Unreachable:  # an API that is away for a moment says nothing of the service
            if time.monotonic() > deadline:
                raise
            found = ""
        if found == sha256:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    if found:
        raise DeploymentError(
            f"the service {service} answers with bundle {found[:12]}, and {sha256[:12]} was deployed",
            hint="deployment.image is the image of another bundle; build and push the one of this run",
        )
    raise DeploymentError(
        f"the pods are ready, and /readyz of the service {service} does not answer through the cluster's API",
        hint="deployment.allow_namespaces, or a NetworkPolicy of the cluster, may keep the API server out",
    )


def pods(cluster: Cluster, who: Identity, template: str | None = None) -> list[Object]:
    """The pods that serve on a track, or those of them that were made from one template."""
    found = cluster.list("pods", who.selector)
    if template is None:
        return found
    return [pod for pod in found if (pod["metadata"].get("annotations") or {}).get(TEMPLATE) == template]


def hopeless(cluster: Cluster, who: Identity, template: str) -> str:
    """Why new pods will never be ready; empty while they may be."""
    for pod in pods(cluster, who, template):
        for container in pod.get("status", {}).get("containerStatuses") or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            if reason in _HOPELESS:
                name = pod["metadata"]["name"]
                told = f": {waiting['message']}" if waiting.get("message") else ""
                log = log_tail(cluster, name, previous=True) if reason == "CrashLoopBackOff" else ""
                return f"pod {name}: {reason}, {_HOPELESS[reason]}{told}{log}"
    return ""


def log_tail(cluster: Cluster, pod: str, *, previous: bool = False) -> str:
    """The last lines that a pod wrote, to follow a sentence; empty where they cannot be had."""
    query = {"tailLines": str(_LINES), **({"previous": "true"} if previous else {})}
    try:
        answer = cluster.call("GET", f"{cluster.path('pods', pod)}/log?{_encoded(query)}", patient=False)
    except DeploymentError:
        return ""
    lines = answer.body.decode(errors="replace").splitlines()[-_LINES:] if answer.status == 200 else []
    return "\n".join(["; the end of its log:", *(f"    {line}" for line in lines)]) if lines else ""


def route_trouble(cluster: Cluster, who: Identity) -> str:
    """Why no request comes by the Gateway; empty where it has taken up the route."""
    route = cluster.get("httproutes", who.service)
    if route is None:
        return "its HTTPRoute is gone; deploy again"
    parents = (route.get("status") or {}).get("parents") or []
    if not parents:
        return "no Gateway has taken up its HTTPRoute yet"
    for each in (condition for parent in parents for condition in parent.get("conditions") or []):
        if each["type"] in ("Accepted", "ResolvedRefs") and each["status"] == "False":
            return f"the Gateway refuses its HTTPRoute: {each.get('reason', '')}: {each.get('message', '')}"
    return ""


def sha256_of(each: Object) -> str:
    """The bundle that an object says it serves."""
    return str((each["metadata"].get("annotations") or {}).get(SHA256, ""))


def template_of(wanted: Object) -> str:
    """What its pods are made from, by the hash in their annotations."""
    spec = wanted["spec"]
    annotations = (
        spec["template"]["metadata"]["annotations"]
        if wanted["kind"] == "Deployment"
        else spec["predictor"]["annotations"]
    )
    return str(annotations[TEMPLATE])


def state_of(found: Object) -> str:
    """How far a Deployment or an InferenceService is; empty when it is done. As `kubectl rollout status` judges."""
    if found["kind"] == "InferenceService":
        return _kserve_state(found)
    status = found.get("status") or {}
    wanted = found["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 1):
        return "not seen by the cluster yet"
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} new pods"
    if total > updated:
        return f"{total - updated} old pods are about to go"
    available = status.get("availableReplicas", 0)
    return f"{available} of {updated} new pods are ready" if available < updated else ""


def _kserve_state(found: Object) -> str:
    status = found.get("status") or {}
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 1):
        return "not seen by KServe yet"
    ready: Object = next((each for each in status.get("conditions") or [] if each["type"] == "Ready"), {})
    if ready.get("status") == "True":
        return ""
    return str(ready.get("message") or ready.get("reason") or "KServe is at work")


def _refused(found: Object) -> str:
    """What the Deployment's own conditions say: pods that may not be made, a deadline that has passed."""
    status = found.get("status") or {}
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 1):
        return ""  # they are about what was there before
    for each in status.get("conditions") or []:
        failed = (each["type"], each["status"]) in (("ReplicaFailure", "True"), ("Progressing", "False"))
        if failed:
            return f"{each.get('reason', '')}: {each.get('message', '')}"
    return ""


def _why(cluster: Cluster, who: Identity, template: str) -> str:
    """What is known of the first pod that is not ready."""
    try:
        for pod in pods(cluster, who, template):
            conditions = {each["type"]: each for each in pod.get("status", {}).get("conditions") or []}
            if conditions.get("Ready", {}).get("status") == "True":
                continue
            name = pod["metadata"]["name"]
            scheduled = conditions.get("PodScheduled", {})
            told = f": {scheduled.get('message', '')}" if scheduled.get("status") == "False" else ""
            warnings = "".join(f"\n    {line}" for line in _warnings(cluster, name))
            return f"\npod {name} is {pod.get('status', {}).get('phase', '?')}{told}{warnings}{log_tail(cluster, name)}"
    except DeploymentError:
        return ""
    return ""


def _warnings(cluster: Cluster, pod: str) -> Iterator[str]:
    query = {"fieldSelector": f"involvedObject.name={pod},type=Warning"}
    answer = cluster.call("GET", cluster.path("events", query=query), patient=False)
    for event in (answer.json().get("items") or [])[-3:]:
        yield f"{event.get('reason', '')}: {event.get('message', '')}"


def _encoded(query: dict[str, str]) -> str:
    return "&".join(f"{key}={value}" for key, value in query.items())
