"""What makes a small cluster live: a controller of Deployments, and a kubelet whose pods are simulated or real."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .kubernetes_store import Store

Answered = tuple[int, bytes]
Waiting = tuple[str, str]
_TICK_S = 0.03


class Pod(Protocol):
    """A pod's container."""

    def state(self) -> Waiting | bool:
        """Ready or not yet; or reason and message for which it waits."""

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """A request to it."""

    def log(self) -> str: ...

    def stop(self) -> None: ...


@dataclass
class Simulated:
    """A pod that is what its image says: `good`, `crashing`, `no-pull`, `mute`, `failing` (answers 500)."""

    mode: str
    sha256: str
    """The bundle in the image."""
    wanted: str
    """The bundle that its startup probe waits for."""
    begun: float = field(default_factory=time.monotonic)
    counts: dict[int, int] = field(default_factory=dict)

    def state(self) -> Waiting | bool:
        if self.mode == "no-pull":
            return "ImagePullBackOff", "Back-off pulling image"
        if time.monotonic() - self.begun < 0.1:
            return False
        if self.mode == "crashing":
            return "CrashLoopBackOff", "back-off 10s restarting failed container"
        return self.mode != "mute" and self.sha256 == self.wanted

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answered:
        if target == "/readyz":
            return 200, json.dumps({"status": "ready", "sha256": self.sha256}).encode()
        if target == "/metrics":
            lines = [
                f'pizzeria_requests_total{{route="/predict",status="{key}"}} {n}.0' for key, n in self.counts.items()
            ]
            return 200, "\n".join(lines).encode()
        status = 500 if self.mode == "failing" else 200
        self.counts[status] = self.counts.get(status, 0) + 1
        return status, b"{}"

    def log(self) -> str:
        return "hello from the pod\nRuntimeError: no oven\n"

    def stop(self) -> None: ...


@dataclass
class Kubelet:
    """Starts simulated pods; what each image is, tests say."""

    modes: dict[str, str] = field(default_factory=dict)
    bundles: dict[str, str] = field(default_factory=dict)
    """sha256 of the bundle in an image, where it is not the one that the pod is meant to serve."""

    def start(self, template: dict[str, Any], settings: Mapping[str, str]) -> Pod:
        image = template["spec"]["containers"][0]["image"]
        wanted = template["metadata"]["annotations"]["pizzeria/bundle-sha256"]
        return Simulated(self.modes.get(image, "good"), self.bundles.get(image, wanted), wanted)


class Controller(threading.Thread):
    """Brings pods up and down as Deployments say: one more first, then one less."""

    def __init__(self, store: Store, kubelet: Any) -> None:
        super().__init__(daemon=True)
        self.store, self.kubelet = store, kubelet
        self.pods: dict[str, Pod] = {}
        self.running = True
        self._progress: dict[str, tuple[Any, float]] = {}

    def run(self) -> None:
        while self.running:
            with self.store.lock:
                self._collect_orphans()
                for plural in ("deployments", "inferenceservices"):
                    keys = [key for key in self.store.objects if key[0] == plural]
                    for _, namespace, name in keys:
                        self._scale(namespace, name)
                        self._reconcile(plural, self.store.get(plural, namespace, name))
            time.sleep(_TICK_S)

    def stop(self) -> None:
        self.running = False
        self.join(10)
        for pod in self.pods.values():
            pod.stop()

    def ready(self, namespace: str, selector: Mapping[str, str]) -> list[Pod]:
        """The pods behind a Service."""
        found = [pod for pod in self.store.list("pods", namespace, dict(selector)) if _is_ready(pod)]
        return [self.pods[pod["metadata"]["name"]] for pod in found]

    def _collect_orphans(self) -> None:
        """What is deleted takes its pods along, a moment later."""
        owners = {each["metadata"]["uid"] for key, each in self.store.objects.items() if key[0] != "pods"}
        for pod in [each for key, each in self.store.objects.items() if key[0] == "pods"]:
            if pod["metadata"]["ownerReferences"][0]["uid"] not in owners:
                self._end(pod)

    def _scale(self, namespace: str, name: str) -> None:
        """The autoscaler's first act: as many pods as it has at least."""
        for scaler in self.store.list("horizontalpodautoscalers", namespace):
            if scaler["spec"]["scaleTargetRef"]["name"] == name:
                spec = self.store.get("deployments", namespace, name)["spec"]
                if spec.get("replicas", 1) < scaler["spec"]["minReplicas"]:
                    least = scaler["spec"]["minReplicas"]
                    self.store.edit("deployments", namespace, name, "autoscaler", ("spec", "replicas"), least)

    def _reconcile(self, plural: str, each: dict[str, Any]) -> None:
        metadata, spec = each["metadata"], each["spec"]
        if plural == "deployments":
            template, selector, wanted = spec["template"], spec["selector"]["matchLabels"], spec.get("replicas", 1)
        else:
            predictor = spec["predictor"]
            template = {"metadata": {key: predictor[key] for key in ("labels", "annotations")}, "spec": predictor}
            selector, wanted = predictor["labels"], predictor["minReplicas"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        mine = [
            pod
            for pod in self.store.list("pods", metadata["namespace"], selector)
            if pod["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]
        ]
        for pod in mine:
            self._look_at(pod)
        new = [pod for pod in mine if pod["metadata"]["labels"]["pod-template-hash"] == digest]
        old = [pod for pod in mine if pod not in new]
        ready = [pod for pod in new if _is_ready(pod)]
        unready = [pod for pod in old if not _is_ready(pod)]
        surplus = max(0, len(ready) + len(old) - len(unready) - wanted)
        for pod in [*unready, *[pod for pod in old if _is_ready(pod)][:surplus]]:
            self._end(pod)
            old.remove(pod)
        if len(new) < wanted and len(new) + len(old) < wanted + 1:
            new.append(self._begin(each, template, digest))
        for pod in new[wanted:]:
            self._end(pod)
        self._tell(plural, each, len(new[:wanted]), len(old), len(ready[:wanted]), wanted)

    def _tell(self, plural: str, each: dict[str, Any], new: int, old: int, ready: int, wanted: int) -> None:
        metadata = each["metadata"]
        generation, now = metadata["generation"], time.monotonic()
        seen = (generation, new, old, ready)
        if self._progress.get(metadata["uid"], (None, 0.0))[0] != seen:
            self._progress[metadata["uid"]] = (seen, now)
        late = now - self._progress[metadata["uid"]][1] > each["spec"].get("progressDeadlineSeconds", 600)
        done = new == ready == wanted and old == 0
        progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
        if late and not done:
            progressing = {
                "type": "Progressing",
                "status": "False",
                "reason": "ProgressDeadlineExceeded",
                "message": f"Deployment {metadata['name']} has timed out progressing.",
            }
        status = {
            "observedGeneration": generation,
            "replicas": new + old,
            "updatedReplicas": new,
            "availableReplicas": ready + old,
            "conditions": [progressing],
        }
        if plural == "inferenceservices":
            status["conditions"] = [{"type": "Ready", "status": "True" if done else "False", "reason": "Pods"}]
        self.store.set_status(plural, metadata["namespace"], metadata["name"], status)

    def _begin(self, owner: dict[str, Any], template: dict[str, Any], digest: str) -> dict[str, Any]:
        metadata = owner["metadata"]
        name = f"{metadata['name']}-{digest[:6]}-{len(self.pods)}"
        source = template["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
        settings = self.store.get("configmaps", metadata["namespace"], source)["data"]
        self.pods[name] = self.kubelet.start(template, settings)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {**template["metadata"]["labels"], "pod-template-hash": digest},
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [{"uid": metadata["uid"]}],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        self.store.put("pods", pod)
        return pod

    def _look_at(self, pod: dict[str, Any]) -> None:
        state = self.pods[pod["metadata"]["name"]].state()
        waiting = {"waiting": {"reason": state[0], "message": state[1]}} if isinstance(state, tuple) else {}
        pod["status"] = {
            "phase": "Pending" if waiting else "Running",
            "conditions": [{"type": "Ready", "status": "True" if state is True else "False"}],
            "containerStatuses": [{"name": "service", "ready": state is True, "state": waiting or {"running": {}}}],
        }
        self.store.put("pods", pod)

    def _end(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        self.store.drop("pods", pod["metadata"]["namespace"], name)
        threading.Thread(target=self.pods[name].stop, daemon=True).start()


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
