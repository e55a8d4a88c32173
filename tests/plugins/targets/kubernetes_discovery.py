"""What kubectl asks an API before it does anything: its groups, its kinds, and which parameters it understands."""

from __future__ import annotations

from typing import Any

RESOURCES = {
    "v1": {
        "configmaps": "ConfigMap",
        "events": "Event",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"cronjobs": "CronJob"},
    "gateway.networking.k8s.io/v1": {"httproutes": "HTTPRoute"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "serving.kserve.io/v1beta1": {"inferenceservices": "InferenceService"},
}


def discovery(path: str) -> dict[str, Any] | None:
    """What kubectl asks before it does anything."""
    groups = [version.split("/") for version in RESOURCES if "/" in version]
    if path == "/version":
        return {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        listed = [
            {
                "name": group,
                "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
            }
            for group, version in groups
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    version = path.removeprefix("/apis/").removeprefix("/api/")
    if version in RESOURCES:
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        listed = [
            {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
            for plural, kind in RESOURCES[version].items()
        ]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
    if path == "/openapi/v3":
        roots = {f"apis/{version}" if "/" in version else f"api/{version}": version for version in RESOURCES}
        return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}?hash=1"} for root in roots}}
    root = path.removeprefix("/openapi/v3/")
    version = root.removeprefix("apis/").removeprefix("api/")
    return _openapi(root, version) if root != path and version in RESOURCES else None


def _openapi(root: str, version: str) -> dict[str, Any]:
    """As much of a description as says that the server itself looks for unknown fields."""
    group, _, number = version.rpartition("/")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("fieldValidation", "dryRun")]
    paths = {
        f"/{root}/namespaces/{{namespace}}/{plural}/{{name}}": {
            "patch": {
                "parameters": parameters,
                "x-kubernetes-group-version-kind": {"group": group, "version": number, "kind": kind},
                "responses": {"200": {"description": "OK"}},
            }
        }
        for plural, kind in RESOURCES[version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.37.0"}, "paths": paths}
