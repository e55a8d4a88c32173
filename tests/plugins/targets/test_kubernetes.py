"""The target `kubernetes` against a small API over HTTP, by kubectl and by the Python client."""

from __future__ import annotations

import base64
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pizzeria.conformance import tiny_bundles
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import Serving
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import kubernetes
from pizzeria_plugins.targets.kubernetes_cluster import api as cluster_api
from pizzeria_plugins.targets.kubernetes_cluster import memory, rollout
from pizzeria_plugins.targets.kubernetes_objects.options import Options

from .kubernetes_api import Api, until
from .kubernetes_tools import needs_kubectl

OLD, NEW = "a" * 64, "b" * 64
GATEWAY = {"name": "front", "namespace": "infra", "hostnames": ["rooms.example.com"]}
WAYS = ["client", pytest.param("kubectl", marks=needs_kubectl)]


class Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def _less_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again as often as ever, and sooner."""
    monkeypatch.setattr(cluster_api, "_PAUSES", (0.05, 0.1, 0.2))
    monkeypatch.setattr(rollout, "_POLL_S", 0.1)


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
    return Options(**(values | {"rollout_timeout_s": 120, "apply_with": "client"} | changes))


def test_a_first_deploy_and_a_new_image(api: Api, options: Options, release: Callable[..., Release]) -> None:
    progress = Lines()
    done = kubernetes.apply(release(), options, progress)
    assert (done.state, done.sha256, done.address) == ("live", OLD, "https://rooms.example.com")
    made = api.store.get("deployments", "kitchen", "rooms")
    assert made["spec"]["replicas"] == 2, "the autoscaler's doing"
    kubernetes.apply(release(), options, progress)
    again = api.store.get("deployments", "kitchen", "rooms")
    assert again["metadata"] == made["metadata"], "the same again changes nothing"

    newer = options.model_copy(update={"image": "models/rooms:2"})
    assert kubernetes.apply(release(NEW), newer, progress).sha256 == NEW
    assert kubernetes.status("rooms", newer, release().state).sha256 == NEW
    left = [each["metadata"]["name"] for each in api.store.list("configmaps", "kitchen")]
    assert len(left) == 2, left  # settings and memory

    kubernetes.remove("rooms", options, release().state)
    assert not api.store.all_in("kitchen")
    kubernetes.remove("rooms", options, release().state)
    assert kubernetes.status("rooms", options, release().state).state == "absent"


@pytest.mark.parametrize(
    ("mode", "why", "limit_s"),
    [
        ("no-pull", "ImagePullBackOff", 120),
        ("crashing", "RuntimeError: no oven", 120),
        ("mute", "ready after|timed out progressing", 5),  # and so long may it take until the one before is back
        ("another", "ready after|timed out progressing", 5),
    ],
)
def test_what_never_becomes_ready_is_rolled_back(
    api: Api, release: Callable[..., Release], mode: str, why: str, limit_s: int
) -> None:
    options = options_of(api)
    kubernetes.apply(release(), options, Lines())
    bad = options.model_copy(update={"image": "models/rooms:bad", "rollout_timeout_s": limit_s})
    api.kubelet.modes["models/rooms:bad"] = mode
    if mode == "another":
        api.kubelet.bundles["models/rooms:bad"] = "c" * 64
    with pytest.raises(DeploymentError, match=why) as caught:
        kubernetes.apply(release(NEW), bad, Lines())
    assert f"The one before, {OLD[:12]}, serves." in caught.value.message
    now = kubernetes.status("rooms", options, release().state)
    assert (now.state, now.sha256) == ("live", OLD)
    assert [each["data"].get("sha256") for each in api.store.list("configmaps", "kitchen")].count(OLD) == 1


def test_a_first_deploy_that_fails_leaves_nothing(api: Api, options: Options, release: Callable[..., Release]) -> None:
    api.kubelet.modes[options.image] = "crashing"
    with pytest.raises(DeploymentError, match="what was begun is removed"):
        kubernetes.apply(release(), options, Lines())
    until(lambda: not api.store.all_in("kitchen"))
    assert kubernetes.status("rooms", options, release().state).state == "absent"


def test_a_field_that_somebody_else_changed(api: Api, options: Options, release: Callable[..., Release]) -> None:
    kubernetes.apply(release(), options, Lines())
    path = ("spec", "template", "spec", "containers", ("name", "service"), "resources", "limits", "memory")
    api.store.edit("deployments", "kitchen", "rooms", "kubectl-edit", path, "8Gi")
    bigger = options.model_copy(update={"memory": "2Gi"})
    with pytest.raises(DeploymentError, match="kubectl-edit") as caught:
        kubernetes.apply(release(), bigger, Lines())
    assert "force_conflicts" in caught.value.hint
    kubernetes.apply(release(), bigger.model_copy(update={"force_conflicts": True}), Lines())
    pod = api.store.get("deployments", "kitchen", "rooms")["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "2Gi"


def test_an_autoscaler_takes_over_without_a_dip(api: Api, release: Callable[..., Release]) -> None:
    fixed = options_of(api, min_replicas=3, max_replicas=3)
    kubernetes.apply(release(), fixed, Lines())
    counts: list[int] = []
    edit = api.store.set_status

    def seen(plural: str, namespace: str, name: str, status: dict[str, Any]) -> None:
        counts.append(api.store.get("deployments", "kitchen", "rooms")["spec"].get("replicas", 1))
        edit(plural, namespace, name, status)

    api.store.set_status = seen  # type: ignore[method-assign]
    kubernetes.apply(release(), options_of(api, min_replicas=2, max_replicas=5), Lines())
    until(lambda: len(counts) > 5)
    assert min(counts) >= 2


def test_objects_of_somebody_else_are_left_alone(api: Api, options: Options, release: Callable[..., Release]) -> None:
    foreign = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "rooms", "labels": {"app": "shop"}}}
    api.store.apply("services", "kitchen", "rooms", foreign, "helm", False)
    with pytest.raises(DeploymentError, match=r"Service rooms in namespace kitchen is not Pizzeria.s"):
        kubernetes.apply(release(), options, Lines())
    kubernetes.remove("rooms", options, release().state)
    assert api.store.get("services", "kitchen", "rooms")["metadata"]["labels"] == {"app": "shop"}


def test_an_api_that_is_away(api: Api, options: Options, release: Callable[..., Release]) -> None:
    kubernetes.apply(release(), options, Lines())
    api.out_of_breath = 2  # it comes back before patience ends
    assert kubernetes.status("rooms", options, release().state).state == "live"
    kubeconfig = Path(api.kubeconfig)
    kubeconfig.write_text(kubeconfig.read_text().replace(str(api.port), "1"))
    found = kubernetes.status("rooms", options, release().state)
    assert found.state == "dead"
    assert "cannot be reached" in found.detail
    with pytest.raises(DeploymentError, match="cannot be reached"):
        kubernetes.apply(release(NEW), options, Lines())


def test_an_api_that_is_away_when_the_pods_are_ready(
    api: Api, release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, away = rollout.readiness, [True]

    def once(*given: Any) -> dict[str, Any]:
        if away:
            away.clear()
            raise cluster_api.Unreachable("the Kubernetes API cannot be reached")
        return answers(*given)

    monkeypatch.setattr(rollout, "readiness", once)
    assert kubernetes.apply(release(), options_of(api), Lines()).state == "live"
    assert not away


def test_a_user_who_may_only_read(api: Api, options: Options, release: Callable[..., Release]) -> None:
    weak = options.model_copy(update={"kubeconfig": api.weak_kubeconfig})
    with pytest.raises(DeploymentError, match="forbidden") as caught:
        kubernetes.apply(release(), weak, Lines())
    assert "Role" in caught.value.hint
    assert kubernetes.status("rooms", weak, release().state).state == "absent"


def test_a_namespace_that_is_not_there(api: Api, options: Options, release: Callable[..., Release]) -> None:
    with pytest.raises(DeploymentError, match="nowhere") as caught:
        kubernetes.apply(release(), options.model_copy(update={"namespace": "nowhere"}), Lines())
    assert "create namespace" in caught.value.hint


def test_a_context_that_is_not_there(options: Options, release: Callable[..., Release]) -> None:
    with pytest.raises(DeploymentError, match="elsewhere"):
        kubernetes.apply(release(), options.model_copy(update={"context": "elsewhere"}), Lines())


def test_secrets_come_from_the_environment_and_go_to_the_cluster_alone(
    api: Api, options: Options, release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = Serving(log=None, options=bentoml.Options(), keys_from="KITCHEN_KEYS")
    with pytest.raises(DeploymentError, match="KITCHEN_KEYS"):
        kubernetes.apply(release(serving=serving), options, Lines())
    monkeypatch.setenv("KITCHEN_KEYS", "a-very-secret-key")
    assert "a-very-secret-key" not in repr(kubernetes.render(release(serving=serving), options))
    kubernetes.apply(release(serving=serving), options, Lines())
    secret = api.store.get("secrets", "kitchen", "rooms-secrets")
    assert base64.b64decode(secret["data"]["KITCHEN_KEYS"]) == b"a-very-secret-key"
    with api.store.lock:
        shown = json.dumps([each for key, each in api.store.objects.items() if key[0] != "secrets"])
    assert "a-very-secret-key" not in shown
    assert base64.b64encode(b"a-very-secret-key").decode() not in shown
    [variable] = api.store.get("deployments", "kitchen", "rooms")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "rooms-secrets", "key": "KITCHEN_KEYS"}

    generation = api.store.get("deployments", "kitchen", "rooms")["metadata"]["generation"]
    kubernetes.apply(release(serving=serving), options, Lines())
    assert api.store.get("deployments", "kitchen", "rooms")["metadata"]["generation"] == generation
    monkeypatch.setenv("KITCHEN_KEYS", "another-secret-key")
    kubernetes.apply(release(serving=serving), options, Lines())
    assert api.store.get("deployments", "kitchen", "rooms")["metadata"]["generation"] > generation, "pods are renewed"
    with pytest.raises(DeploymentError, match="Secret mine in namespace kitchen lacks KITCHEN_KEYS"):
        kubernetes.apply(release(serving=serving), options.model_copy(update={"secret": "mine"}), Lines())
    kubernetes.remove("rooms", options, release().state)
    assert not api.store.list("secrets", "kitchen")


def test_a_deploy_that_is_killed_is_mended_by_the_next(
    api: Api, options: Options, release: Callable[..., Release]
) -> None:
    kubernetes.apply(release(), options, Lines())
    slow = options.model_copy(update={"image": "models/rooms:slow"})
    api.kubelet.modes[slow.image] = "mute"
    process = multiprocessing.get_context("fork").Process(
        target=kubernetes.apply, args=(release(NEW), slow, Lines()), daemon=True
    )
    process.start()
    until(
        lambda: (
            api.store.get("deployments", "kitchen", "rooms")["spec"]["template"]["spec"]["containers"][0]["image"]
            == slow.image
        )
    )
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    until(lambda: not proxies(api.kubeconfig))
    now = kubernetes.status("rooms", options, release().state)
    assert (now.state, now.sha256) == ("starting", OLD), "the old pods serve until the new ones are ready"
    assert kubernetes.apply(release(), options, Lines()).sha256 == OLD
    assert kubernetes.status("rooms", options, release().state).state == "live"


def test_a_deploy_that_is_killed_when_all_was_done(
    api: Api, release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_of(api)
    kubernetes.apply(release(), options, Lines())
    newer = options.model_copy(update={"image": "models/rooms:2"})
    remember = memory.remember

    def killed(cluster: Any, who: Any, what: Any, remembered: Any) -> None:
        if what == "live":
            os.kill(os.getpid(), signal.SIGKILL)
        remember(cluster, who, what, remembered)

    with monkeypatch.context() as patched:
        patched.setattr(memory, "remember", killed)
        process = multiprocessing.get_context("fork").Process(
            target=kubernetes.apply, args=(release(NEW), newer, Lines()), daemon=True
        )
        process.start()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    assert kubernetes.status("rooms", options, release().state).sha256 == NEW
    bad = options.model_copy(update={"image": "models/rooms:bad"})
    api.kubelet.modes[bad.image] = "crashing"
    with pytest.raises(DeploymentError, match=f"The one before, {NEW[:12]}, serves"):
        kubernetes.apply(release("c" * 64), bad, Lines())
    assert kubernetes.status("rooms", options, release().state).sha256 == NEW


def test_a_canary_by_weight(api: Api, options: Options, release: Callable[..., Release]) -> None:
    state = release().state
    newer = options.model_copy(update={"image": "models/rooms:2"})
    with pytest.raises(DeploymentError, match="nothing is live"):
        kubernetes.stage(release(NEW), newer, Lines())
    kubernetes.apply(release(), options, Lines())
    for keep in (False, True):
        assert kubernetes.stage(release(NEW), newer, Lines()).sha256 == NEW
        assert weights(api) == {"rooms": 100, "rooms-canary": 0}
        for percent in (5, 50):
            kubernetes.shift("rooms", newer, state, percent)
            assert weights(api) == {"rooms": 100 - percent, "rooms-canary": percent}
        staged, present = kubernetes.observe("rooms", newer, state, ("request.jpg", b"photo"), 6)
        assert (staged.sha256, staged.requests, staged.errors) == (NEW, 6, 0)
        assert (present.sha256, present.requests, present.errors) == (OLD, 6, 0)
        done = kubernetes.settle("rooms", newer, state, keep, Lines())
        assert (done.state, done.sha256) == ("live", NEW if keep else OLD)
        assert weights(api) == {"rooms": 100}
        assert [each["metadata"]["name"] for each in api.store.list("deployments", "kitchen")] == ["rooms"]
        assert kubernetes.settle("rooms", newer, state, keep, Lines()) == done, "twice is fine"
    with pytest.raises(DeploymentError, match="nothing is staged"):
        kubernetes.shift("rooms", newer, state, 5)


def test_a_canary_that_fails(api: Api, release: Callable[..., Release]) -> None:
    options = options_of(api)
    kubernetes.apply(release(), options, Lines())
    bad = options.model_copy(update={"image": "models/rooms:2"})
    api.kubelet.modes[bad.image] = "failing"
    kubernetes.stage(release(NEW), bad, Lines())
    staged, present = kubernetes.observe("rooms", bad, release().state, ("request.jpg", b"photo"), 4)
    assert (staged.errors, present.errors) == (4, 0)
    kubernetes.settle("rooms", bad, release().state, False, Lines())

    api.kubelet.modes[bad.image] = "crashing"
    with pytest.raises(DeploymentError, match="rooms-canary does not come up"):
        kubernetes.stage(release(NEW), bad, Lines())
    assert weights(api) == {"rooms": 100}
    assert [each["metadata"]["name"] for each in api.store.list("deployments", "kitchen")] == ["rooms"]


def test_a_deploy_ends_a_canary_that_was_left(api: Api, release: Callable[..., Release]) -> None:
    options = options_of(api)
    kubernetes.apply(release(), options, Lines())
    kubernetes.stage(release(NEW), options, Lines())
    kubernetes.shift("rooms", options, release().state, 50)
    assert kubernetes.apply(release(), options, Lines()).sha256 == OLD
    assert weights(api) == {"rooms": 100}
    assert [each["metadata"]["name"] for each in api.store.list("deployments", "kitchen")] == ["rooms"]
    done = kubernetes.settle("rooms", options, release().state, True, Lines())
    assert done.sha256 == OLD, "nothing is staged any more"


def test_a_gateway_that_does_not_take_the_route(api: Api, release: Callable[..., Release]) -> None:
    options = options_of(api)
    assert "no Gateway has taken up" in kubernetes.apply(release(), options, Lines()).detail
    refused = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no"}
    for condition, said in ((refused, "NotAllowedByListeners"), (refused | {"status": "True"}, "")):
        api.store.set_status("httproutes", "kitchen", "rooms", {"parents": [{"conditions": [condition]}]})
        found = kubernetes.status("rooms", options, release().state)
        assert found.state == "live"
        assert said in found.detail
    assert found.detail == "2 pods in namespace kitchen"


def test_a_shadow_gets_copies(api: Api, release: Callable[..., Release]) -> None:
    options = options_of(api, rollout_by="mirror")
    kubernetes.apply(release(), options, Lines())
    kubernetes.stage(release(NEW), options, Lines())
    kubernetes.shift("rooms", options, release().state, 25)
    [rule] = api.store.get("httproutes", "kitchen", "rooms")["spec"]["rules"]
    assert [each["name"] for each in rule["backendRefs"]] == ["rooms"]
    [mirror] = rule["filters"]
    assert mirror["type"] == "RequestMirror"
    assert mirror["requestMirror"] == {
        "backendRef": {"group": "", "kind": "Service", "name": "rooms-canary", "port": 80},
        "percent": 25,
    }
    assert kubernetes.settle("rooms", options, release().state, True, Lines()).sha256 == NEW
    assert "filters" not in api.store.get("httproutes", "kitchen", "rooms")["spec"]["rules"][0]


def test_an_inference_service(api: Api, options: Options, release: Callable[..., Release]) -> None:
    kserve = options.model_copy(update={"form": "kserve", "gateway": None})
    done = kubernetes.apply(release(), kserve, Lines())
    assert (done.state, done.address) == ("live", "http://rooms-predictor.kitchen.svc.cluster.local")
    with pytest.raises(DeploymentError, match="kserve"):
        kubernetes.stage(release(NEW), kserve, Lines())
    kubernetes.remove("rooms", kserve, release().state)
    assert not api.store.list("inferenceservices", "kitchen")


def proxies(kubeconfig: str) -> list[psutil.Process]:
    """What a killed deploy left of `kubectl proxy`, which is a way into the cluster."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if f"--kubeconfig={kubeconfig}" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@needs_kubectl
def test_the_rendered_commands_do_what_they_say(api: Api, tmp_path: Path, release: Callable[..., Release]) -> None:
    options = options_of(api)
    rendered = kubernetes.render(release(), options)
    for name, text in rendered.files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    for command in rendered.commands:
        done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "successfully rolled out" in done.stdout
    with api.store.lock:
        by_hand = {key: each for key, each in api.store.objects.items() if key[0] != "pods"}
    kubernetes.apply(release(), options, Lines())
    for (plural, namespace, name), each in by_hand.items():
        found = api.store.get(plural, namespace, name)
        assert found["metadata"]["generation"] == each["metadata"]["generation"], "apply finds nothing to change"


def test_the_folder_that_images_are_built_from(tmp_path: Path, release: Callable[..., Release]) -> None:
    bundle = tiny_bundles.OLDER
    wanted = release(open_bundle(bundle).sha256, bundle=bundle)
    kubernetes.build(wanted, Options(image="models/rooms:1"), tmp_path / "out", Lines())
    made = {path.name for path in (tmp_path / "out" / "image").iterdir()}
    assert {"Dockerfile", "requirements.txt", "payload", ".dockerignore"} <= made
    assert (tmp_path / "out" / "image" / "payload" / "bundle" / "model.onnx").is_file()
    assert not (tmp_path / "out" / "monitor").exists()


def weights(api: Api) -> dict[str, int]:
    [rule] = api.store.get("httproutes", "kitchen", "rooms")["spec"]["rules"]
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}
