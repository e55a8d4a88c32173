"""The service itself: its pods, their settings, their account and the Service in front of them."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import secret_names
from pizzeria_plugins.targets.container_image.dockerfile import inside
from pizzeria_plugins.targets.kubernetes_objects import places
from pizzeria_plugins.targets.kubernetes_objects.grammar import has_digest
from pizzeria_plugins.targets.kubernetes_objects.identity import SHA256, TEMPLATE, Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options

Object = dict[str, Any]
"""An object as the API has it, without its namespace."""

DRAIN_S = 5
"""Seconds between a pod's leaving the Service and SIGTERM: until then, nodes and gateways may still send requests."""
_MARGIN_S = 5
_PERIOD_S = 2


def settings(release: Release, options: Options, who: Identity) -> Object:
    """A ConfigMap with the environment of the service. Its name tells its content, so that pods keep theirs.

    Raises:
        DeploymentError: an option sets a variable that the service sets itself.
    """
    data = {
        "HOME": str(places.SCRATCH),  # in an emptyDir of the pod's own
        "PYTHONDONTWRITEBYTECODE": "1",
        **inside(release).environment,
    }
    taken = sorted(set(options.environment) & (set(data) | set(secret_names(release))))
    if taken:
        raise DeploymentError(
            f"deployment.environment sets {', '.join(taken)}, which the service has from Pizzeria",
            hint="leave it out; serving.* has the settings of the service",
        )
    data |= options.environment
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{who.service}-settings-{digest}{who.suffix}", "labels": who.labels("settings")},
        "immutable": True,
        "data": dict(sorted(data.items())),
    }


def account(who: Identity) -> Object:
    """A ServiceAccount of its own, with no rights and no token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": who.name, "labels": who.labels("account")},
        "automountServiceAccountToken": False,
    }


def service(options: Options, who: Identity) -> Object:
    """The Service."""
    port = {"name": "http", "port": options.port, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": who.name, "labels": who.labels("service")},
        "spec": {"type": "ClusterIP", "selector": who.selector, "ports": [port]},
    }


def log_claim(options: Options, who: Identity) -> Object:
    """The volume of a prediction log in files."""
    return claim(f"{who.service}-log", options.log_volume or "", options, who.labels("log"))


def claim(name: str, size: str, options: Options, labels: dict[str, str]) -> Object:
    """A PersistentVolumeClaim for one node."""
    chosen = {"storageClassName": options.storage_class} if options.storage_class is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": labels},
        "spec": {"accessModes": ["ReadWriteOnce"], **chosen, "resources": {"requests": {"storage": size}}},
    }


def deployment(release: Release, options: Options, who: Identity, config: Object) -> Object:
    """The Deployment: new pods are ready before old ones go."""
    template = pod_template(release, options, who, config)
    # A HorizontalPodAutoscaler owns the number of pods.
    fixed = {} if autoscaled(options) else {"replicas": options.min_replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": who.name,
            "labels": who.labels("service", release.sha256),
            "annotations": {SHA256: release.sha256},
        },
        "spec": {
            **fixed,
            "selector": {"matchLabels": who.selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": options.rollout_timeout_s,
            "revisionHistoryLimit": 3,
            "template": template,
        },
    }


def autoscaled(options: Options) -> bool:
    """Whether the number of pods follows the load."""
    return options.max_replicas > options.min_replicas


def pod_template(release: Release, options: Options, who: Identity, config: Object) -> Object:
    """Metadata and spec of the pods."""
    stable = Identity(who.service)
    config_name = config["metadata"]["name"]
    content = [release.sha256, pod_spec(release, options, stable, config_name.removesuffix(who.suffix))]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return {
        "metadata": {
            "labels": who.labels("service", release.sha256),
            "annotations": {SHA256: release.sha256, TEMPLATE: digest},
        },
        "spec": pod_spec(release, options, who, config_name),
    }


def pod_spec(release: Release, options: Options, who: Identity, config_name: str) -> Object:
    """What runs in a pod, and how it is placed and ended."""
    spec: Object = {
        "serviceAccountName": who.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": DRAIN_S + math.ceil(release.serving.timeout_s) + 1 + _MARGIN_S,
        "securityContext": pod_security(),
        "containers": [container(release, options, config_name)],
        "volumes": _volumes(options, who),
        **_placing(options, who),
    }
    if options.image_pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": options.image_pull_secret}]
    return spec


def container(release: Release, options: Options, config_name: str) -> Object:
    """The one container."""
    argv = inside(release).commands[0]
    mounts = [{"name": "state", "mountPath": str(places.STATE)}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - an emptyDir of the pod's own
    if options.log_volume is not None:
        mounts.append({"name": "log", "mountPath": str(places.STATE / "predictions")})
    probe = {"failureThreshold": max(15, options.rollout_timeout_s // _PERIOD_S), "periodSeconds": _PERIOD_S}
    return {
        "name": "service",
        "image": options.image,
        "imagePullPolicy": pull_policy(options, options.image),
        "command": [literal(word) for word in argv],
        "workingDir": str(places.PAYLOAD),
        "envFrom": [{"configMapRef": {"name": config_name}}],
        "env": secret_variables(secret_names(release), options, release),
        "ports": [{"name": "http", "containerPort": places.PORT, "protocol": "TCP"}],
        "resources": resources(options),
        "securityContext": container_security(),
        "startupProbe": {
            "exec": {"command": [places.PYTHON, "-I", places.PROBE, str(places.PORT), release.sha256]},
            "timeoutSeconds": 5,
            **probe,
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "http"},
            "periodSeconds": 5,
            "timeoutSeconds": 3,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_S}}},
        "volumeMounts": mounts,
    }


def pull_policy(options: Options, image: str) -> str:
    """A tag may be given to another image, which a node that has the old one would not notice."""
    return options.image_pull_policy or ("IfNotPresent" if has_digest(image) else "Always")


def resources(options: Options) -> Object:
    """What a pod asks for, and may use at most: the service counts its cores by that limit."""
    amounts = {"cpu": options.cpu, "memory": options.memory}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def pod_security() -> Object:
    return {
        "runAsNonRoot": True,
        "runAsUser": places.USER,
        "runAsGroup": places.USER,
        "fsGroup": places.USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def secrets_name(options: Options, release_name: str) -> str:
    """The Secret that the pods read."""
    return options.secret or f"{options.service_name or release_name.replace('_', '-').rstrip('-')}-secrets"


def secret_variables(names: tuple[str, ...], options: Options, release: Release) -> list[Object]:
    """Environment variables whose values come from the Secret."""
    source = secrets_name(options, release.name)
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": source, "key": name}}} for name in names]


def literal(text: str) -> str:
    """A word of a command that Kubernetes takes as it is: it puts variables in for `$(NAME)`, and `$` for `$$`.

    Example:
        >>> literal("$(HOME) costs $5")
        '$$(HOME) costs $$5'
    """
    return text.replace("$", "$$")


def _volumes(options: Options, who: Identity) -> list[Object]:
    volumes: list[Object] = [{"name": name, "emptyDir": {"sizeLimit": "1Gi"}} for name in ("state", "tmp")]
    if options.log_volume is not None:
        volumes.append({"name": "log", "persistentVolumeClaim": {"claimName": f"{who.service}-log"}})
    return volumes


def _placing(options: Options, who: Identity) -> Object:
    """Over zones and nodes; where they share a volume, on one node, since no other could mount it."""
    if options.log_volume is not None:
        term = {"labelSelector": {"matchLabels": who.selector}, "topologyKey": "kubernetes.io/hostname"}
        return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": who.selector},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
    }
