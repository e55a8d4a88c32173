"""What keeps the service well: as many pods as the load wants, never all gone at once, and no strangers."""

from __future__ import annotations

from pizzeria.contracts import Release
from pizzeria.shipment import keeps_local_files
from pizzeria_plugins.targets.kubernetes_objects import places
from pizzeria_plugins.targets.kubernetes_objects.identity import Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.workload import Object


def autoscaler(options: Options, who: Identity) -> Object:
    """The HorizontalPodAutoscaler."""
    target = {"type": "Utilization", "averageUtilization": options.cpu_utilization}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": who.name, "labels": who.labels("autoscaler")},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": who.name},
            "minReplicas": options.min_replicas,
            "maxReplicas": options.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def disruption_budget(who: Identity) -> Object:
    """One pod at a time may be taken away for the maintenance of nodes."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": who.name, "labels": who.labels("disruption-budget")},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": who.selector}},
    }


def network_policy(release: Release, options: Options, who: Identity) -> Object:
    """Requests come in on the one port; out go questions to DNS, and what the prediction log needs."""
    entry: Object = {"ports": [{"port": places.PORT, "protocol": "TCP"}]}
    if options.allow_namespaces:
        entry["from"] = [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
            for namespace in options.allow_namespaces
        ]
    names = [{"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": who.name, "labels": who.labels("network-policy")},
        "spec": {
            "podSelector": {"matchLabels": who.selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [entry],
            "egress": [*names, *_outgoing(release, options)],
        },
    }


def _outgoing(release: Release, options: Options) -> list[Object]:
    if options.egress_ports is not None:
        ports = [{"port": port, "protocol": "TCP"} for port in options.egress_ports]
        return [{"ports": ports}] if ports else []
    log = release.serving.log
    if log is None or log.use == "lines" or keeps_local_files(release):
        return []
    # Where the log is, only a secret knows.
    return [{"ports": [{"protocol": "TCP"}]}]
