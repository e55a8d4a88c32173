"""What the target `kubernetes` renders: valid manifests, the same through kustomize, safe for any accepted value."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import postgresql, sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import kubernetes
from pizzeria_plugins.targets.kubernetes_objects.identity import identity_of
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.stack import production, staged, staged_route
from pizzeria_plugins.targets.kubernetes_objects.workload import settings as settings_of
from pizzeria_plugins.targets.kubernetes_objects.yaml_text import to_yaml

from .kubernetes_tools import needs_kubectl

DIGEST = "registry.example.com:5000/models/rooms@sha256:" + "0" * 64
GATEWAY = {"name": "front", "namespace": "infra", "hostnames": ["rooms.example.com", "*.rooms.example.com"]}
IN_DATABASE = PredictionLog(use="postgresql", options=postgresql.Options(dsn_from="KITCHEN_DATABASE"))
IN_FILES = PredictionLog(options=sqlite.Options())


def release_of(log: PredictionLog | None = IN_DATABASE, **changes: Any) -> Release:
    release = Release(
        name="room_types",
        bundle=Path("/runs/1/bundle"),
        sha256="ab" * 32,
        serving=Serving(log=log, options=bentoml.Options(), keys_from="KITCHEN_KEYS"),
        server=bentoml,
        log_folder=Path("/log"),
        state=Path("/state"),
        task="object_detection",
        run=Path("/runs/1"),
    )
    return replace(release, **changes)


WATCHED = Schedule(monitor="1h")
SCHEDULED = Schedule(monitor="1h", maintain="1d")
IMAGES = {"monitor_image": "watch:1", "maintain_image": DIGEST}
FORMS: dict[str, tuple[Release, Options]] = {
    "plain": (release_of(), Options(image=DIGEST)),
    "no log": (release_of(None), Options(image="models/rooms:1", namespace="kitchen", port=8080)),
    "one pod with a volume": (
        release_of(IN_FILES, schedule=WATCHED),
        Options(
            image=DIGEST,
            min_replicas=1,
            max_replicas=1,
            log_volume="5Gi",
            storage_class="fast",
            gateway=GATEWAY,
            **IMAGES,
        ),
    ),
    "everything": (
        release_of(schedule=SCHEDULED),
        Options(
            image="models/rooms:1",
            namespace="kitchen",
            service_name="rooms",
            gateway=GATEWAY,
            cpu="1500m",
            memory="1.5Gi",
            environment={"TIER": "1e3", "GREETING": "$(HOME) 'n' \"quotes\"\n"},
            secret="kitchen.secrets",
            image_pull_secret="registry",
            allow_namespaces=("infra", "shop"),
            egress_ports=(5432, 443),
            maintain_account="deployer",
            store_claim="store",
            **IMAGES,
        ),
    ),
    "kserve": (release_of(schedule=WATCHED), Options(image=DIGEST, form="kserve", **IMAGES)),
}


def tree(folder: Path, files: Any) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def overlays(release: Release, options: Options) -> Iterator[tuple[str, list[Any]]]:
    """What each overlay must come to, before it has a namespace."""
    who = identity_of(release.name, options)
    yield "production", production(release, options)
    if options.gateway is not None and options.log_volume is None:
        yield "canary", [*staged(release, options), staged_route(who, options, 5)]
        mirrored = options.model_copy(update={"rollout_by": "mirror"})
        yield "shadow", [*staged(release, mirrored), staged_route(who, mirrored, 100)]


@needs_kubectl
@pytest.mark.parametrize("form", FORMS)
def test_kustomize_renders_what_is_applied(form: str, tmp_path: Path) -> None:
    release, options = FORMS[form]
    files = kubernetes.render(release, options).files
    tree(tmp_path, files)
    found = {name.split("/")[1] for name in files if name.startswith("overlays/")}
    wanted = dict(overlays(release, options))
    assert found == set(wanted)
    for overlay, objects in wanted.items():
        done = subprocess.run(
            ["kubectl", "kustomize", str(tmp_path / "overlays" / overlay)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        placed = [{**each, "metadata": {**each["metadata"], "namespace": options.namespace}} for each in objects]
        assert sorted(yaml.safe_load_all(done.stdout), key=_name) == sorted(placed, key=_name)


def _name(each: Any) -> tuple[str, str]:
    return each["kind"], each["metadata"]["name"]


@lru_cache(maxsize=1)
def versions() -> list[str]:
    from kubernetes_validate.utils import all_versions, major_minor

    return list(dict.fromkeys(major_minor(version) for version in all_versions()))[-3:]


@pytest.mark.parametrize("form", FORMS)
def test_every_manifest_is_valid(form: str) -> None:
    """Strictly, for the last three versions that kubernetes-validate knows; it has no schemas of custom resources."""
    import kubernetes_validate

    assert len(versions()) == 3
    seen = []
    for _, objects in overlays(*FORMS[form]):
        for each in objects:
            if each in seen:
                continue
            seen.append(each)
            if each["kind"] in CUSTOM:
                jsonschema.validate(each, CUSTOM[each["kind"]])
                continue
            for version in versions():
                kubernetes_validate.validate(each, version, strict=True)


def _shape(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
BACKEND = {"group": {"const": ""}, "kind": {"const": "Service"}, "name": TEXT, "port": COUNT}
META = {"type": "object", "required": ["name", "labels"]}
CUSTOM = {
    # Of the standard channel of the Gateway API 1.3, the part that is used, from its documentation.
    "HTTPRoute": _shape(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "gateway.networking.k8s.io/v1"},
        kind={"const": "HTTPRoute"},
        metadata=META,
        spec=_shape(
            ["parentRefs", "rules"],
            parentRefs={
                "type": "array",
                "items": _shape(
                    ["name"],
                    group={"const": "gateway.networking.k8s.io"},
                    kind={"const": "Gateway"},
                    name=TEXT,
                    namespace=TEXT,
                ),
            },
            hostnames={"type": "array", "maxItems": 16, "items": TEXT},
            rules={
                "type": "array",
                "minItems": 1,
                "items": _shape(
                    ["backendRefs"],
                    matches={
                        "type": "array",
                        "items": _shape(
                            ["path"],
                            path=_shape(["type", "value"], type={"const": "PathPrefix"}, value={"pattern": "^/"}),
                        ),
                    },
                    filters={
                        "type": "array",
                        "items": _shape(
                            ["type", "requestMirror"],
                            type={"const": "RequestMirror"},
                            requestMirror=_shape(
                                ["backendRef"], backendRef=_shape(["name", "port"], **BACKEND), percent={"maximum": 100}
                            ),
                        ),
                    },
                    backendRefs={"type": "array", "items": _shape(["name", "port"], **BACKEND, weight=COUNT)},
                ),
            },
        ),
    ),
    # Of KServe's v1beta1: what is its own beside a PodSpec.
    "InferenceService": _shape(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "serving.kserve.io/v1beta1"},
        kind={"const": "InferenceService"},
        metadata=META,
        spec=_shape(
            ["predictor"],
            predictor={
                "type": "object",
                "required": ["containers", "minReplicas", "maxReplicas"],
                "properties": {
                    "containers": {
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {"properties": {"name": {"const": "kserve-container"}}},
                    },
                    "minReplicas": COUNT,
                    "maxReplicas": COUNT,
                    "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"]},
                    "scaleTarget": COUNT,
                    "timeout": COUNT,
                },
            },
        ),
    ),
}


def test_an_inference_service_has_the_pods_of_a_deployment() -> None:
    """What it holds beside its own fields is a PodSpec, which is validated as one."""
    import kubernetes_validate

    release, options = FORMS["kserve"]
    [each] = [each for each in production(release, options) if each["kind"] == "InferenceService"]
    own = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout", "labels", "annotations"}
    spec = {key: value for key, value in each["spec"]["predictor"].items() if key not in own}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    for version in versions():
        kubernetes_validate.validate(pod, version, strict=True)


def test_pods_are_locked_down_and_drain() -> None:
    [each] = [each for each in production(*FORMS["plain"]) if each["kind"] == "Deployment"]
    spec = each["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    drain = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= drain + Serving().timeout_s + 1
    assert each["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert "replicas" not in each["spec"], "the autoscaler's"
    writable = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert writable == {"/var/lib/pizzeria", "/tmp"}


def test_a_log_in_files_is_refused_or_has_a_volume() -> None:
    with pytest.raises(DeploymentError, match=r"serving\.log is sqlite") as caught:
        kubernetes.render(release_of(IN_FILES), Options(image=DIGEST))
    assert "deployment.log_volume" in caught.value.hint
    release, options = FORMS["one pod with a volume"]
    pods = [each["spec"]["template"]["spec"] for each in production(release, options) if each["kind"] == "Deployment"]
    assert {"name": "log", "persistentVolumeClaim": {"claimName": "room-types-log"}} in pods[0]["volumes"]
    with pytest.raises(DeploymentError, match=r"rollout"):
        staged(release, options)


@pytest.mark.parametrize(
    ("changes", "release", "said"),
    [
        ({"maintain_image": DIGEST}, release_of(schedule=SCHEDULED), "no image is named"),
        (IMAGES, release_of(schedule=SCHEDULED, run=None), "there is no run"),
        (IMAGES, release_of(schedule=SCHEDULED), "no volume is named"),
        ({"environment": {"PIZZERIA_BUNDLE": "/x"}}, release_of(), "PIZZERIA_BUNDLE"),
        ({"environment": {"KITCHEN_KEYS": "x"}}, release_of(), "KITCHEN_KEYS"),
        ({}, release_of(name="a" * 60), "too long"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], release: Release, said: str) -> None:
    with pytest.raises(DeploymentError, match=said):
        kubernetes.render(release, Options(image=DIGEST, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "models/rooms"},
        {"image": "models/rooms:latest"},
        {"image": "Models/Rooms:1"},
        {"image": "models/rooms:1\n"},
        {"image": "models/rooms@sha256:12"},
        {"image": "-f:1"},
        {"namespace": "Kitchen"},
        {"namespace": "kitchen.shop"},
        {"namespace": "a" * 64},
        {"namespace": "../kube-system"},
        {"service_name": "1room"},
        {"service_name": "rooms-"},
        {"service_name": "a" * 41},
        {"cpu": "0"},
        {"cpu": "-1"},
        {"cpu": "one"},
        {"memory": "1GB"},
        {"memory": "500m"},
        {"memory": "0"},
        {"min_replicas": 5, "max_replicas": 4},
        {"min_replicas": 0},
        {"environment": {"A-B": "x"}},
        {"environment": {"A": "x\0"}},
        {"environment": {"A": "\ud800"}},
        {"environment": {"A": "\x85"}},
        {"environment": {"A": "a\r\nb"}},
        {"gateway": {"name": "front", "hostnames": ["https://a.example.com"]}},
        {"gateway": {"name": "front", "hostnames": ["10.0.0.1"]}},
        {"gateway": {"name": "front", "hostnames": ["a..b"]}},
        {"log_volume": "5Gi"},
        {"form": "kserve", "gateway": {"name": "front"}},
        {"egress_ports": [70000]},
        {"context": "--kubeconfig=/etc/passwd"},
        {"kubeconfig": "-"},
        {"secret": "a b"},
        {"store_claim": "Store"},
    ],
)
def test_options_refuse_the_impossible(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options(**({"image": DIGEST} | changes))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
AWKWARD = st.sampled_from(
    [
        "y",
        "no",
        "1e3",
        "0o17",
        "012",
        "0x1f",
        "1:30",
        "~",
        "",
        " ",
        "- a",
        "{}",
        "2024-01-01",
        "<<",
        "=",
        ".inf",
        "\x85",
        "\ufeffx",
        "# a",
        "a: b",
        "$(A)",
        "$$",
        "|",
        "'",
        '"',
        "%",
        "@",
        "`",
        "\t",
        "a\n",
        "\u2028",
    ]
)


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n"), max_size=60) | (
    AWKWARD.filter(lambda value: "\x85" not in value)
)


@settings(max_examples=60)
@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True), VALUES, max_size=4))
def test_any_environment_is_read_back_exactly(environment: dict[str, str]) -> None:
    names = {f"MY_{name}": value for name, value in environment.items()}
    options = Options(image=DIGEST, environment=names)
    text = kubernetes.render(release_of(), options).files["base/configmap.yaml"]
    found = yaml.safe_load(text)
    assert {name: found["data"][name] for name in names} == names
    assert all(isinstance(value, str) for value in found["data"].values())
    assert found == settings_of(release_of(), options, identity_of("room_types", options))


@settings(max_examples=40)
@given(
    st.recursive(
        TEXTS | AWKWARD | st.integers() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | AWKWARD, inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_value_is_read_back_exactly(value: Any) -> None:
    assert yaml.safe_load(to_yaml({"value": value})) == {"value": value}


@needs_kubectl
def test_go_reads_the_same(tmp_path: Path) -> None:
    """kubectl's reader of YAML is another one than ours; it gets all the awkward values at once."""
    plain = [value for value in AWKWARD.elements if "\x85" not in value]
    values = [*plain, "\U0001f355", "\xa0", "é", "0b1", "1_000", "NULL", "on"]
    data = {f"key-{i}": value for i, value in enumerate(values)}
    each = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
    (tmp_path / "x.yaml").write_text(to_yaml(each))
    (tmp_path / "kustomization.yaml").write_text(to_yaml({"resources": ["x.yaml"]}))
    done = subprocess.run(["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, check=True)
    assert yaml.load(done.stdout, yaml.BaseLoader)["data"] == data
