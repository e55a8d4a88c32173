"""A bundle that comes up beside the present one, gets a share of the requests, and stays or goes."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from pizzeria.contracts import Observation, Progress
from pizzeria.errors import DeploymentError
from pizzeria.observation import Counts, read_counts
from pizzeria.observation import observe as look
from pizzeria_plugins.targets.kubernetes_cluster import memory
from pizzeria_plugins.targets.kubernetes_cluster.api import Answer, Cluster, Unreachable
from pizzeria_plugins.targets.kubernetes_cluster.deploying import check_owned, last_live, put_live, remove_staged
from pizzeria_plugins.targets.kubernetes_cluster.rollout import check_hash, pods, readiness, wait
from pizzeria_plugins.targets.kubernetes_objects import places
from pizzeria_plugins.targets.kubernetes_objects.identity import Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.stack import staged_route


def stage(cluster: Cluster, options: Options, who: Identity, wanted: memory.Remembered, progress: Progress) -> None:
    """Bring `wanted.beside` up, without requests.

    Raises:
        DeploymentError: nothing is live, or it does not come up; what was begun is taken away again.
    """
    live = last_live(cluster, options, who)
    if live is None:
        raise DeploymentError(
            f"nothing is live as {who.service} in namespace {cluster.namespace} that a bundle could be staged beside",
            hint="deploy without deployment.rollout first",
        )
    check_owned(cluster, who, wanted.beside)
    before = memory.recall(cluster, who, "staged")
    if before is not None and before.sha256 == wanted.sha256 and before.beside == wanted.beside:
        counts = before.counts
    else:
        counts = _plain(_track(cluster, options, who, live.keys_from).counts())
    memory.remember(cluster, who, "staged", replace(wanted, counts=counts))
    try:
        cluster.apply(wanted.beside, force=options.force_conflicts)
        canary = Identity(who.service, "canary")
        work = next(each for each in wanted.beside if each["kind"] == "Deployment")
        wait(cluster, work, canary, options.rollout_timeout_s, progress)
        check_hash(cluster, canary.name, options.port, wanted.sha256)
        cluster.apply([staged_route(who, options, 0)], force=options.force_conflicts)
    except BaseException as error:
        if not isinstance(error, Unreachable):
            drop(cluster, who)
        raise


def shift(cluster: Cluster, options: Options, who: Identity, percent: int) -> None:
    """Give what is staged a share of the requests, or copies of them.

    Raises:
        DeploymentError: nothing is staged.
    """
    if memory.recall(cluster, who, "staged") is None:
        raise DeploymentError(f"nothing is staged beside {who.service} in namespace {cluster.namespace}")
    cluster.apply([staged_route(who, options, percent)], force=options.force_conflicts)


def settle(cluster: Cluster, options: Options, who: Identity, keep: bool, progress: Progress) -> None:
    """Let what is staged take over, or go; nothing happens where nothing is staged.

    Raises:
        DeploymentError: it does not come up in place of the present one, which serves on.
    """
    staged = memory.recall(cluster, who, "staged")
    if staged is None:
        return
    if not keep:
        drop(cluster, who)
        return
    if options.rollout_by == "weight":
        shift(cluster, options, who, 100)
    wanted = memory.Remembered(staged.sha256, staged.objects, keys_from=staged.keys_from)
    put_live(cluster, options, who, wanted, progress)


def drop(cluster: Cluster, who: Identity) -> None:
    """Take what is staged away: first its share of the requests, then its pods."""
    live = memory.recall(cluster, who, "live")
    if live is not None:
        cluster.apply([each for each in live.objects if each["kind"] == "HTTPRoute"], force=True)
    remove_staged(cluster, who)
    memory.forget(cluster, who, "staged")


def observe(
    cluster: Cluster, options: Options, who: Identity, sample: tuple[str, bytes], probes: int
) -> tuple[Observation, Observation]:
    """Ask both the golden request through the API, and add what their pods have counted.

    Raises:
        DeploymentError: nothing is staged.
    """
    staged, live = memory.recall(cluster, who, "staged"), memory.recall(cluster, who, "live")
    if staged is None or live is None:
        raise DeploymentError(f"nothing is staged beside {who.service} in namespace {cluster.namespace}")
    canary = Identity(who.service, "canary")
    return (
        look(_track(cluster, options, canary, staged.keys_from), sample, probes, since=Counts()),
        look(_track(cluster, options, who, live.keys_from), sample, probes, since=_counts(staged.counts)),
    )


@dataclass(frozen=True)
class _Track:
    """The pods of one track, looked at through the cluster's API; what `pizzeria.observation` needs of a service."""

    cluster: Cluster
    who: Identity
    port: int
    headers: Mapping[str, str]

    def sha256(self) -> str:
        return str(readiness(self.cluster, self.who.name, self.port).get("sha256", ""))

    def counts(self) -> Counts | None:
        """Of all its pods together; None where none offers any."""
        found = [
            read_counts(answer.body.decode(errors="replace"))
            for pod in pods(self.cluster, self.who)
            if (answer := self._ask("GET", self._of_pod(pod["metadata"]["name"]))) and answer.status == 200
        ]
        counts = [each for each in found if each is not None]
        return _sum(counts) if counts else None

    def predict(self, sample: tuple[str, bytes]) -> tuple[int, str]:
        kind = "application/json" if PurePath(sample[0]).suffix == ".json" else "application/octet-stream"
        path = self.cluster.service_path(self.who.name, self.port, "/predict")
        answer = self._ask("POST", path, sample[1], {"Content-Type": kind})
        if answer is None:
            return 0, ""
        found = answer.json() if answer.status == 200 else {}
        return answer.status, str(found.get("model", "")) if isinstance(found, dict) else ""

    def _of_pod(self, name: str) -> str:
        return f"{self.cluster.path('pods', name)}:{places.PORT}/proxy/metrics"

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer | None:
        try:
            return self.cluster.request(method, path, body, {**self.headers, **(headers or {})}, timeout_s=60)
        except Unreachable:
            return None


def _track(cluster: Cluster, options: Options, who: Identity, keys_from: str) -> Any:
    # The API passes no Authorization header on, so that the key goes in the other one.
    key = os.environ.get(keys_from, "").split(",")[0].strip() if keys_from else ""
    return _Track(cluster, who, options.port, {"X-API-Key": key} if key else {})


def _sum(counts: Sequence[Counts]) -> Counts:
    buckets: dict[float, int] = {}
    for each in counts:
        for le, count in each.buckets:
            buckets[le] = buckets.get(le, 0) + count
    requests, errors = sum(each.requests for each in counts), sum(each.errors for each in counts)
    return Counts(requests, errors, tuple(sorted(buckets.items())))


def _plain(counts: Counts | None) -> list[Any] | None:
    """As JSON holds it."""
    if counts is None:
        return None
    return [counts.requests, counts.errors, [[None if math.isinf(le) else le, n] for le, n in counts.buckets]]


def _counts(plain: list[Any] | None) -> Counts | None:
    """The inverse of `_plain`."""
    if plain is None:
        return None
    requests, errors, buckets = plain
    return Counts(requests, errors, tuple((math.inf if le is None else le, n) for le, n in buckets))
