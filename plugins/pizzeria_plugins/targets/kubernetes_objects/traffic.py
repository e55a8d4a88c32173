"""The way of a request from the Gateway to the pods, and what share of them the staged ones get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pizzeria_plugins.targets.kubernetes_objects.identity import Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.workload import Object

_GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True)
class Split:
    """How requests are split between the stable and the staged pods.

    Attributes:
        by: `weight`: so many per cent are answered by the staged ones; `mirror`: they get copies of so many.
        percent: 0 to 100.
    """

    by: Literal["weight", "mirror"] = "weight"
    percent: int = 0


def route(options: Options, who: Identity, split: Split | None = None) -> Object:
    """The HTTPRoute.

    Args:
        split: None where nothing is staged.
    """
    gateway = options.gateway
    assert gateway is not None
    parent: Object = {"group": _GROUP, "kind": "Gateway", "name": gateway.name}
    if gateway.namespace is not None:
        parent["namespace"] = gateway.namespace
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": who.service, "labels": Identity(who.service).labels("route")},
        "spec": {
            "parentRefs": [parent],
            **({"hostnames": list(gateway.hostnames)} if gateway.hostnames else {}),
            "rules": [_rule(options, who, split)],
        },
    }


def _rule(options: Options, who: Identity, split: Split | None) -> Object:
    staged = 0 if split is None or split.by == "mirror" else split.percent
    stable = {**_backend(Identity(who.service), options), "weight": 100 - staged}
    canary = _backend(Identity(who.service, "canary"), options)
    rule: Object = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}
    if split is None:
        return rule | {"backendRefs": [stable]}
    if split.by == "weight":
        return rule | {"backendRefs": [stable, {**canary, "weight": staged}]}
    if split.percent > 0:
        mirror: Object = {"backendRef": canary}
        if split.percent < 100:
            mirror["percent"] = split.percent
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": mirror}]
    return rule | {"backendRefs": [stable]}


def _backend(who: Identity, options: Options) -> Object:
    return {"group": "", "kind": "Service", "name": who.name, "port": options.port}
