"""A bundle that comes up beside the present one, gets a share of the requests, and stays or goes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from pizzeria.contracts import Observation, Progress
from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster import memory
from pizzeria_plugins.targets.kubernetes_cluster.api import Cluster, Unreachable
from pizzeria_plugins.targets.kubernetes_cluster.deploying import check_owned, prune, put_live
from pizzeria_plugins.targets.kubernetes_cluster.rollout import check_hash, pods, readiness, wait
from pizzeria_plugins.targets.kubernetes_objects import places
from pizzeria_plugins.targets.kubernetes_objects.identity import Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.stack import staged_route

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".json": "application/json"}


def stage(cluster: Cluster, options: Options, who: Identity, wanted: memory.Remembered, progress: Progress) -> None:
    """Bring `wanted.beside` up, without requests.

    Raises:
        DeploymentError: nothing is live, or it does not come up; what was begun is taken away again.
    """
    if memory.recall(cluster, who, "live") is None:
        raise DeploymentError(
            f"nothing is live as {who.service} in namespace {cluster.namespace} that a bundle could be staged beside",
            hint="deploy without deployment.rollout first",
        )
    check_owned(cluster, who, wanted.beside)
    memory.remember(cluster, who, "staged", wanted)
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
    objects = live.objects if live is not None else []
    cluster.apply([each for each in objects if each["kind"] == "HTTPRoute"], force=True)
    prune(cluster, who, objects)
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
        _seen(cluster, options, canary, sample, probes, staged.keys_from),
        _seen(cluster, options, who, sample, probes, live.keys_from),
    )


def _seen(
    cluster: Cluster, options: Options, who: Identity, sample: tuple[str, bytes], probes: int, keys_from: str
) -> Observation:
    name, body = sample
    headers = {"Content-Type": _TYPES.get(PurePath(name).suffix, "application/octet-stream"), **_key(keys_from)}
    path = cluster.service_path(who.name, options.port, "/predict")
    took, lost = [], 0
    for _ in range(probes):
        begun = time.perf_counter()
        try:
            answer = cluster.request("POST", path, body, headers, timeout_s=60)
        except Unreachable:
            lost += 1
            continue
        if answer.status >= 500:
            lost += 1
        else:
            took.append(1000 * (time.perf_counter() - begun))
    sha256 = str(readiness(cluster, who.name, options.port).get("sha256", ""))
    counted = list(_counted(cluster, who, _key(keys_from)))
    requests = max(sum(count for _, count in counted), probes)
    errors = max(sum(count for status, count in counted if status >= 500), lost)
    return Observation(sha256, requests, errors, _p95(took))


def _key(keys_from: str) -> dict[str, str]:
    """The API passes no Authorization header on, so that the key goes in the other one."""
    key = os.environ.get(keys_from, "").split(",")[0].strip() if keys_from else ""
    return {"X-API-Key": key} if key else {}


def _counted(cluster: Cluster, who: Identity, headers: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Statuses with their number, of `/predict` and `/verify`, from `/metrics` of each pod; none where that is off."""
    for pod in pods(cluster, who):
        path = f"{cluster.path('pods', pod['metadata']['name'])}:{places.PORT}/proxy/metrics"
        try:
            answer = cluster.request("GET", path, b"", headers)
        except Unreachable:
            continue
        if answer.status == 200:
            yield from _requests(answer.body.decode(errors="replace").splitlines())


def _requests(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Counts in Prometheus' text form.

    Example:
        >>> list(_requests(['pizzeria_requests_total{route="/predict",status="200"} 7.0', "# HELP"]))
        [(200, 7)]
    """
    for line in lines:
        if line.startswith("pizzeria_requests_total{") and ('"/predict"' in line or '"/verify"' in line):
            labels, _, count = line.rpartition(" ")
            status = labels.partition('status="')[2].partition('"')[0]
            if status.isdigit():
                yield int(status), round(float(count))


def _p95(took: list[float]) -> float:
    """NaN of nothing."""
    return sorted(took)[math.ceil(0.95 * len(took)) - 1] if took else math.nan
