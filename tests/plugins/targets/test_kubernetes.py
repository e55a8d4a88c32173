"""The target `kubernetes` against a small API over HTTP, by kubectl and by the Python client."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import postgresql
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import kubernetes
from pizzeria_plugins.targets.kubernetes_objects.options import Options

from .kubernetes_api import Api, until

OLD, NEW = "a" * 64, "b" * 64
GATEWAY = {"name": "front", "namespace": "infra", "hostnames": ["rooms.example.com"]}
WAYS = [
    "client",
    pytest.param(
        "kubectl", marks=pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
    ),
]


class Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path) as running:
        yield running


@pytest.fixture(params=WAYS)
def options(request: pytest.FixtureRequest, api: Api) -> Options:
    return options_of(api, apply_with=request.param)


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., Release]:
    def make(sha256: str = OLD, **changes: Any) -> Release:
        serving = Serving(log=None, options=bentoml.Options())
        values = Release(
            name="rooms",
            bundle=tmp_path / "bundle",
            sha256=sha256,
            serving=serving,
            server=bentoml,
            log_folder=tmp_path / "log",
            state=tmp_path / "state",
            task="object_detection",
        )
        return replace(values, **changes)

    return make


def options_of(api: Api, **changes: Any) -> Options:
    values = {"image": "models/rooms:1", "kubeconfig": api.kubeconfig, "namespace": "kitchen", "gateway": GATEWAY}
    return Options(**(values | {"rollout_timeout_s": 10, "apply_with": "client"} | changes))


def test_a_first_deploy_and_a_new_image(api: Api, options: Options, release: Callable[..., Release]) -> None:
    progress = Lines()
    done = kubernetes.apply(release(), options, progress)
    assert (done.state, done.sha256, done.address) == ("live", OLD, "https://rooms.example.com")
    made = api.store.get("deployments", "kitchen", "rooms")
    kubernetes.apply(release(), options, progress)
    again = api.store.get("deployments", "kitchen", "rooms")
    assert again["metadata"] == made["metadata"], "the same again changes nothing"

    newer = options.model_copy(update={"image": "models/rooms:2"})
    assert kubernetes.apply(release(NEW), newer, progress).sha256 == NEW
    assert kubernetes.status("rooms", newer, release().state).sha256 == NEW
    left = [each["metadata"]["name"] for each in api.store.list("configmaps", "kitchen")]
    assert len(left) == 2, left  # settings and memory

    kubernetes.remove("rooms", options, release().state)
    assert not [key for key in api.store.objects if key[1] == "kitchen"]
    kubernetes.remove("rooms", options, release().state)
    assert kubernetes.status("rooms", options, release().state).state == "absent"
