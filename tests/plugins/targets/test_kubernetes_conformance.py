"""The suite of targets on `kubernetes`: a small cluster whose pods are real services of this machine."""

from __future__ import annotations

import http.client
import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.corpus import Case, Send
from pizzeria.conformance.targets import TargetSuite
from pizzeria.contracts import DeploymentStatus
from pizzeria.deployments.rollout import roll_out
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.deployment import Rollout
from pizzeria_plugins.targets import kubernetes

from .kubernetes_api import Api
from .kubernetes_kubelet import RealKubelet
from .kubernetes_store import Refused


@lru_cache(maxsize=1000)
def _parsed(text: str) -> Any:
    try:
        return list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


@pytest.mark.slow
class TestKubernetes(TargetSuite):
    plugin = "kubernetes"
    no_log = True
    api: ClassVar[Api]
    kubelet: ClassVar[RealKubelet]

    @classmethod
    def setup_class(cls) -> None:
        super().setup_class()
        folder = Path(tempfile.mkdtemp(dir=cls._folder))
        cls.kubelet = RealKubelet(folder)
        cls.api = Api(folder, cls.kubelet).__enter__()
        cls.options = {
            "image": "models/conformance:1",
            "kubeconfig": cls.api.kubeconfig,
            "apply_with": "client",
            "min_replicas": 1,
            "max_replicas": 1,
            "gateway": {"name": "front", "hostnames": ["rooms.example.com"]},
            "rollout_timeout_s": 240,
        }

    @classmethod
    def teardown_class(cls) -> None:
        try:
            super().teardown_class()
        finally:
            cls.api.__exit__()

    def parse(self, name: str, text: str) -> Any:
        """With libyaml, where there is one, and each text once: the same fifteen files come hundreds of times."""
        return _parsed(text)

    def apply(self, bundle: Path) -> DeploymentStatus:
        self.push(bundle)
        return super().apply(bundle)

    @classmethod
    def release(cls, bundle: Path) -> Any:
        cls.push(bundle)
        return super().release(bundle)

    @classmethod
    def push(cls, bundle: Path) -> None:
        """As an image of it would be built and pushed."""
        cls.kubelet.bundles[open_bundle(bundle).sha256] = bundle

    def sender(self, status: DeploymentStatus) -> Send:
        """As clients come: through the Gateway, by the weights of the route."""

        def send(case: Any) -> tuple[int, bytes]:
            try:
                return self.api.through_gateway(
                    "default", self.name, case.method, case.target, dict(case.headers), case.body
                )
            except Refused as refused:
                return refused.status, json.dumps(refused.body).encode()
            except (OSError, http.client.HTTPException) as error:
                raise DeploymentError(f"a pod gives no answer to {case.name!r}: {error!r}") from error

        return send

    def test_a_roll_out_in_steps(self) -> None:
        """The engine's own steps: the figures of each are what the pods have counted, all of them."""
        self.have(tiny_bundles.OLDER)
        options, notes = self.make_options(), []
        case = Case("real", "POST", "/predict", {"Content-Type": "image/jpeg"}, self.photo())
        rollout = Rollout(steps=(20, 60), step_s=0, probes=5, max_p95_ms=20_000)
        with self._asking(self.status()) as asker:
            done = roll_out(kubernetes, self.release(tiny_bundles.NEWER), options, rollout, notes.append, Quiet())
        assert not asker.failures
        assert done.sha256 == open_bundle(tiny_bundles.NEWER).sha256
        steps = [note for note in notes if note["phase"] == "step"]
        assert [(step["percent"], step["verdict"]) for step in steps] == [(20, "passed"), (60, "passed")]
        assert steps[-1]["staged"]["requests"] >= 10
        assert self.sender(done)(case)[0] == 200

    @staticmethod
    def photo() -> bytes:
        return open_bundle(tiny_bundles.OLDER).sample_request()[1]
