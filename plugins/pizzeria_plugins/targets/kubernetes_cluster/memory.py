"""What the cluster remembers of a deployment, in ConfigMaps of its own: what was live last, is staged, or comes next.

They hold the objects as they were applied, so that any machine can roll back, and a deploy that was killed halfway
through is mended by the next command. A secret is in none of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster.api import Cluster
from pizzeria_plugins.targets.kubernetes_objects.identity import SHA256, Identity
from pizzeria_plugins.targets.kubernetes_objects.workload import Object

What = Literal["live", "staged", "next"]


@dataclass(frozen=True)
class Remembered:
    """A set of objects.

    Attributes:
        sha256: The bundle that they serve.
        objects: What production is (`live`), or will be once what is staged takes over (`staged`), or when the deploy
            that is at work has come to its end (`next`).
        beside: The objects of the staged pods; none for `live`.
        keys_from: The environment variable with the service's API keys, if it asks for keys.
        counts: What the present service had counted when this was staged.
    """

    sha256: str
    objects: list[Object]
    beside: list[Object] = field(default_factory=list)
    keys_from: str = ""
    counts: list[Any] | None = None


def recall(cluster: Cluster, who: Identity, what: What) -> Remembered | None:
    """What is remembered; None where nothing is.

    Raises:
        DeploymentError: somebody has written nonsense there.
    """
    found = cluster.get("configmaps", _name(who, what))
    if found is None:
        return None
    try:
        data = found["data"]
        objects, beside = (json.loads(data[key]) for key in ("objects.json", "beside.json"))
        return Remembered(data["sha256"], objects, beside, data.get("keys_from", ""), json.loads(data["counts.json"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DeploymentError(
            f"the ConfigMap {_name(who, what)} in namespace {cluster.namespace} cannot be read: {error!r}",
            hint=f"kubectl -n {cluster.namespace} delete configmap {_name(who, what)}, and deploy again",
        ) from error


def remember(cluster: Cluster, who: Identity, what: What, remembered: Remembered) -> None:
    """Write it down, in place of what was there."""
    stable = Identity(who.service)
    each = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": _name(who, what),
            "labels": stable.labels("memory"),
            "annotations": {SHA256: remembered.sha256},
        },
        "data": {
            "sha256": remembered.sha256,
            "keys_from": remembered.keys_from,
            "objects.json": json.dumps(remembered.objects, sort_keys=True),
            "counts.json": json.dumps(remembered.counts),
            "beside.json": json.dumps(remembered.beside, sort_keys=True),
        },
    }
    cluster.apply([each], force=True)


def forget(cluster: Cluster, who: Identity, what: What) -> None:
    """Remember it no more."""
    cluster.delete("configmaps", _name(who, what))


def names(who: Identity) -> set[tuple[str, str]]:
    """Kind and name of all that is written here."""
    return {("ConfigMap", _name(who, what)) for what in ("live", "staged", "next")}


def _name(who: Identity, what: What) -> str:
    return f"{who.service}-{what}"
