"""The kustomize folders: `base/`, and `overlays/` for what is applied.

base/                   the service on its own, in no namespace
overlays/production/    what `pizzeria deploy` applies: base in its namespace, and the HTTPRoute, if any
overlays/canary/        a second set of pods beside it, with the HTTPRoute that gives it a share of the requests
overlays/shadow/        the same with an HTTPRoute that sends it copies
"""

from __future__ import annotations

from typing import Any

from pizzeria.contracts import Release
from pizzeria_plugins.targets.kubernetes_objects.identity import TRACK, identity_of
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.stack import base
from pizzeria_plugins.targets.kubernetes_objects.traffic import Split, route
from pizzeria_plugins.targets.kubernetes_objects.workload import Object
from pizzeria_plugins.targets.kubernetes_objects.yaml_text import to_yaml

PRODUCTION = "overlays/production"
_FIRST_SHARE = 5


def files(release: Release, options: Options) -> dict[str, str]:
    """All files by their path.

    Raises:
        DeploymentError: the release cannot run like this.
    """
    who = identity_of(release.name, options)
    objects = dict(base(release, options, who))
    out = {f"base/{name}.yaml": to_yaml(each) for name, each in objects.items()}
    out["base/kustomization.yaml"] = _kustomization(resources=[f"{name}.yaml" for name in objects])
    namespace: dict[str, Any] = {"namespace": options.namespace}
    routed = ["httproute.yaml"] if options.gateway is not None else []
    out[f"{PRODUCTION}/kustomization.yaml"] = _kustomization(**namespace, resources=["../../base", *routed])
    if options.gateway is None:
        return out
    out[f"{PRODUCTION}/httproute.yaml"] = to_yaml(route(options, who))
    if options.log_volume is not None:
        return out
    for overlay, by in (("canary", "weight"), ("shadow", "mirror")):
        folder = f"overlays/{overlay}"
        split = Split("mirror" if by == "mirror" else "weight", 100 if by == "mirror" else _FIRST_SHARE)
        out[f"{folder}/httproute.yaml"] = to_yaml(route(options, who, split))
        out[f"{folder}/kustomization.yaml"] = _kustomization(**namespace, resources=["pods", "httproute.yaml"])
        out[f"{folder}/pods/kustomization.yaml"] = _beside(objects)
    return out


def _beside(objects: dict[str, Object]) -> str:
    """The base once more, under other names and labels, without what there is only one of."""
    only_once = [each for each in objects.values() if each["kind"] in ("CronJob", "PersistentVolumeClaim")]
    extra: dict[str, Any] = {}
    if only_once:
        extra["patches"] = [{"patch": to_yaml(_deleted(each))} for each in only_once]
    labels = [{"pairs": {TRACK: "canary"}, "includeSelectors": True, "includeTemplates": True}]
    return _kustomization(resources=["../../../base"], nameSuffix="-canary", labels=labels, **extra)


def _deleted(each: Object) -> Object:
    return {
        "$patch": "delete",
        "apiVersion": each["apiVersion"],
        "kind": each["kind"],
        "metadata": {"name": each["metadata"]["name"]},
    }


def _kustomization(**fields: Any) -> str:
    return to_yaml({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **fields})
