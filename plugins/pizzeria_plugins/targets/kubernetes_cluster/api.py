"""The part of the Kubernetes API that a deployment needs, whoever carries the requests."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_objects.identity import MANAGER
from pizzeria_plugins.targets.kubernetes_objects.workload import Object

KINDS = {
    ("apps/v1", "Deployment"): "deployments",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
    ("batch/v1", "CronJob"): "cronjobs",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "httproutes",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("serving.kserve.io/v1beta1", "InferenceService"): "inferenceservices",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
}
"""Every kind that a deployment may have, with its name in paths."""
OPTIONAL = frozenset({"httproutes", "inferenceservices"})
"""Kinds that a cluster need not know."""
_PASSING = (429, 500, 502, 503, 504)
_PAUSES = (0.3, 0.8, 1.6)


class Unreachable(DeploymentError):
    """The cluster's API does not answer."""


@dataclass(frozen=True)
class Answer:
    """Status and body of one request."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body; an empty object where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    @property
    def message(self) -> str:
        """What the API says went wrong."""
        found = self.json()
        text = found.get("message") if isinstance(found, dict) else None
        return str(text or self.body[:300].decode(errors="replace").strip() or f"status {self.status}")


class Cluster(ABC):
    """A cluster and the namespace in it; `request` is what differs between kubectl and the Python client."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    @abstractmethod
    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout_s: float = 15
    ) -> Answer:
        """One request to the API.

        Raises:
            Unreachable: nothing answers.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and processes."""

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        patient: bool = True,
    ) -> Answer:
        """A request that may be repeated, and is, while the API is out of breath.

        Raises:
            Unreachable: it never answers.
            DeploymentError: this user may not.
        """
        for pause in (*_PAUSES, None) if patient else (None,):
            try:
                answer = self.request(method, path, body, headers)
            except Unreachable:
                if pause is None:
                    raise
            else:
                if pause is None or answer.status not in _PASSING:
                    return _allowed(answer)
            time.sleep(pause)
        raise AssertionError

    def path(self, kind: str, name: str = "", query: Mapping[str, str] | None = None) -> str:
        """The path of objects of a kind, or of one of them, in the namespace.

        Args:
            kind: As paths have it: deployments, pods, events ...
        """
        version = next((version for (version, _), plural in KINDS.items() if plural == kind), "v1")
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        path = f"{root}/namespaces/{quote(self.namespace)}/{kind}"
        return "".join([path, f"/{quote(name)}" if name else "", f"?{urlencode(query)}" if query else ""])

    def path_of(self, each: Object, query: Mapping[str, str] | None = None) -> str:
        """The path of an object."""
        return self.path(KINDS[each["apiVersion"], each["kind"]], each["metadata"]["name"], query)

    def get(self, kind: str, name: str) -> Object | None:
        """An object; None where there is none."""
        answer = self.call("GET", self.path(kind, name))
        if answer.status == 404:
            return None
        return _object(answer)

    def list(self, kind: str, labels: Mapping[str, str]) -> list[Object]:
        """All objects of a kind with these labels; none where the cluster does not know an optional kind."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        answer = self.call("GET", self.path(kind, query={"labelSelector": selector}))
        if answer.status == 404 and kind in OPTIONAL:
            return []
        found: list[Object] = _object(answer).get("items") or []
        return found

    def apply(self, objects: Sequence[Object], *, force: bool) -> None:
        """Make the objects so (server-side apply).

        Raises:
            DeploymentError: the API refuses one, or somebody else has changed a field that differs.
        """
        for each in objects:
            self.patch(each, MANAGER, force=force)

    def patch(self, each: Object, manager: str, *, force: bool) -> None:
        """Server-side apply of one object, in the name of a field manager.

        Raises:
            DeploymentError: as `apply`.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false", "fieldValidation": "Strict"}
        body = json.dumps(self.placed(each)).encode()
        headers = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"}
        answer = self.call("PATCH", self.path_of(each, query), body, headers)
        if answer.status >= 300:
            raise refusal(f"{each['kind']} {each['metadata']['name']}", answer.status, answer.message)

    def delete(self, kind: str, name: str) -> bool:
        """Delete an object, and in the background what it made; returns whether there was one."""
        answer = self.call("DELETE", self.path(kind, name, {"propagationPolicy": "Background"}))
        if answer.status not in (200, 202, 404):
            raise refusal(f"{kind} {name}", answer.status, answer.message)
        return answer.status != 404

    def placed(self, each: Object) -> Object:
        """An object in the namespace."""
        return {**each, "metadata": {**each["metadata"], "namespace": self.namespace}}

    def service_path(self, service: str, port: int, rest: str) -> str:
        """The path by which the API passes a request on to a Service."""
        return f"/api/v1/namespaces/{quote(self.namespace)}/services/{quote(service)}:{port}/proxy{rest}"


def refusal(what: str, status: int, message: str) -> DeploymentError:
    """The error for an object that was not taken."""
    if status == 409 or "onflict" in message:
        return DeploymentError(
            f"{what} was changed by somebody else: {message}",
            hint="undo that change; or take the fields over: deployment.force_conflicts=true",
        )
    if status == 404:
        missing = "its namespace, or its kind, is unknown there"
        return DeploymentError(
            f"{what}: {missing}: {message}",
            hint="kubectl create namespace NAME; HTTPRoute needs the Gateway API, InferenceService needs KServe",
        )
    return DeploymentError(f"the cluster refuses {what}: {message}")


def _allowed(answer: Answer) -> Answer:
    if answer.status == 401:
        raise DeploymentError(
            f"the cluster does not know who asks: {answer.message}", hint="log in again; kubectl auth whoami tells"
        )
    if answer.status == 403:
        raise DeploymentError(
            f"the cluster does not allow it: {answer.message}",
            hint="docs/deployment/kubernetes.md has the Role that deploying needs",
        )
    return answer


def _object(answer: Answer) -> Object:
    found = answer.json()
    if answer.status != 200 or not isinstance(found, dict):
        raise DeploymentError(f"the cluster's API answers {answer.status}: {answer.message}")
    return found
