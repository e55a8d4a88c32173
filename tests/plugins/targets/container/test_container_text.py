"""What the target `container` renders: parsed back, for any value that its options and a spec take."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pizzeria import registry
from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.asking import Quiet
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import wheel_name
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.stages import PredictionLog
from pizzeria_plugins.targets import container
from pizzeria_plugins.targets.container_image.materials import package_list, pins
from pizzeria_plugins.targets.container_image.references import checked_reference, tagged

_ESCAPED = re.compile(r'\\([\\"$])')
_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_.]*)="((?:[^"\\$]|\\[\\"$])*)"')
_VARIABLE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
_LINE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=60)
_QUICK = settings(max_examples=40)


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile by the rules: comments, continued lines, then `WORD rest`; anything else is refused."""
    out = []
    whole = ""
    for line in text.split("\n"):
        if not whole and (not line.strip() or line.startswith("#")):
            continue
        whole += line
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        word, _, rest = whole.strip().partition(" ")
        assert word in _WORDS, whole
        out.append((word, rest.strip()))
        whole = ""
    assert not whole
    return out


_WORDS = (
    *("ARG", "FROM", "ENV", "USER", "WORKDIR", "RUN", "COPY", "LABEL", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"),
    "ENTRYPOINT",
)


def pairs(rest: str) -> dict[str, str]:
    """NAME="value" ... of ENV and LABEL, each character accounted for."""
    found = _PAIR.findall(rest)
    assert _PAIR.sub("", rest).strip() == "", rest
    assert len({name for name, _ in found}) == len(found)
    return {name: _ESCAPED.sub(r"\1", value) for name, value in found}


def last_stage(text: str) -> list[tuple[str, str]]:
    found = instructions(text)
    return found[max(i for i, (word, _) in enumerate(found) if word == "FROM") :]


@pytest.fixture
def release(release_in: Callable[..., Release], tmp_path: Path) -> Release:
    return release_in(tmp_path, tiny_bundles.OLDER)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run as the store lays it, so far as a target looks."""
    package = tmp_path / "runs/.cache/abc123"
    package.mkdir(parents=True)
    (package / "result.json").write_text("{}")
    (package / "reference.parquet").write_bytes(b"x")
    folder = tmp_path / "runs/rooms-1"
    (folder / "stages").mkdir(parents=True)
    (folder / "stages/package").symlink_to("../../.cache/abc123")
    (folder / "spec.yaml").write_text("name: rooms\n")
    return folder


@_QUICK
@given(st.dictionaries(_VARIABLE, _LINE, max_size=4))
def test_variables_come_back_as_they_were(release: Release, environment: dict[str, str]) -> None:
    options = container.Options(environment=environment)
    stage = last_stage(container.render(release, options).files["Dockerfile"])
    [(_, rest)] = [one for one in stage if one[0] == "ENV"]
    found = pairs(rest)
    assert environment.items() <= found.items()
    told = json.loads(found["PIZZERIA_SERVICE"]) if "PIZZERIA_SERVICE" not in environment else {}
    assert told.get("log_folder", "/var/lib/pizzeria/predictions") == "/var/lib/pizzeria/predictions"


@_QUICK
@given(st.text(max_size=60))
def test_a_value_is_taken_whole_or_refused(release: Release, value: str) -> None:
    try:
        options = container.Options(environment={"A": value})
    except ValidationError:
        assert not value.isprintable()
        return
    [(_, rest)] = [one for one in last_stage(container.render(release, options).files["Dockerfile"]) if one[0] == "ENV"]
    assert pairs(rest)["A"] == value


@_QUICK
@given(st.from_regex(r"[a-z][a-z0-9_-]{0,62}", fullmatch=True))
def test_any_name_of_a_spec_gives_an_image_and_a_project(release_in: Callable[..., Release], name: str) -> None:
    release = release_in(Path("/nowhere"), tiny_bundles.OLDER, name=name)
    files = container.render(release, container.Options()).files
    document = yaml.safe_load(files["compose.yaml"])
    assert document["name"] == name
    assert checked_reference(document["services"]["service"]["image"])
    [(_, rest)] = [one for one in last_stage(files["Dockerfile"]) if one[0] == "LABEL"]
    assert pairs(rest)["org.opencontainers.image.title"] == name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image", "Rooms"),
        ("image", "rooms:a b"),
        ("image", "rooms@sha256:" + "a" * 64),
        ("image", "-rooms"),
        ("image", "rooms\nFROM x"),
        ("base", "python:3.11 AS x"),
        ("base", "https://python"),
        ("base", "${X}"),
        ("postgres", "postgres;id"),
        ("host", "localhost"),
        ("host", "::1"),
        ("port", 0),
        ("project", "Kitchen"),
        ("project", "../x"),
        ("environment", {"A B": "x"}),
        ("environment", {"A": "x\ny"}),
        ("environment", {"A=B": "x"}),
        ("memory", "2 g"),
        ("cpus", 0),
        ("python", "3.10"),
        ("platform", "linux/386"),
        ("builder", "kaniko"),
    ],
)
def test_hostile_options_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        container.Options(**{key: value})


def test_the_dockerfile(release: Release) -> None:
    base = "registry.example.com:5000/python:3.11-slim@sha256:" + "a" * 64
    text = container.render(release, container.Options(base=base, port=8080)).files["Dockerfile"]
    found = instructions(text)
    assert found[0] == ("ARG", f"BASE={base}")
    assert [rest for word, rest in found if word == "FROM"] == ["${BASE} AS packages", "packages AS own", "${BASE}"]
    stage = last_stage(text)
    words = [word for word, _ in stage]
    assert "RUN" not in words
    assert ("USER", "10001:10001") in stage
    assert ("STOPSIGNAL", "SIGTERM") in stage
    by_word = {word: rest for word, rest in stage if word in ("ENTRYPOINT", "HEALTHCHECK")}
    assert json.loads(by_word["ENTRYPOINT"])[:3] == ["/opt/pizzeria/env/bin/python", "-m", "bentoml"]
    check = json.loads(by_word["HEALTHCHECK"].partition(" CMD ")[2])
    assert check[-2:] == ["3000", release.sha256]
    pip = [json.loads(rest[rest.index("[") :]) for word, rest in found if word == "RUN" and "pip" in rest]
    assert all("--require-hashes" in argv for argv in pip)
    assert len(pip) == 2


def test_the_context_is_what_the_dockerfile_copies(release: Release, tmp_path: Path) -> None:
    options = container.Options()
    rendered = container.render(release, options)
    out = tmp_path / "out"
    out.mkdir()
    for name, text in rendered.files.items():
        (out / name).write_text(text)
    container.build(release, options, out, Quiet())
    ignored = (out / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    for word, rest in instructions(rendered.files["Dockerfile"]):
        if word == "COPY" and not rest.startswith("--from"):
            for source in json.loads(rest)[:-1]:
                assert (out / source).exists(), source
                assert f"!{source}" in ignored
    assert (out / "payload/bundle/model.onnx").is_file()
    assert (out / wheel_name()).is_file()
    assert {path.stat().st_mtime for path in out.rglob("*")} == {315532800.0}


def test_the_list_of_packages(release: Release) -> None:
    files = container.render(release, container.Options()).files
    bill = json.loads(files["sbom.json"])
    libraries = [f"{one['name']}=={one['version']}" for one in bill["components"] if one["type"] == "library"]
    assert libraries == files["packages.txt"].split()
    assert bill["components"][0]["hashes"][0]["content"] == release.sha256
    assert dict(pins("serve", "3.12"))["numpy"] != dict(pins("serve", "3.11"))["numpy"]
    assert "torch==" not in package_list("monitor", "3.11", "linux/amd64")


def _compose(release: Release, **options: Any) -> dict[str, Any]:
    text = container.render(release, container.Options(**options)).files["compose.yaml"]
    document: dict[str, Any] = yaml.safe_load(text)
    compose_spec = pytest.importorskip(
        "compose_spec", reason="compose-spec is not installed: compose.yaml not validated"
    )
    compose_spec.ComposeSpecification.model_validate(document)
    return document


def test_compose_of_a_service(release: Release) -> None:
    document = _compose(release, memory="2g", cpus=1.5, host="0.0.0.0", port=8080)
    [service] = document["services"].values()
    assert service["ports"] == ["0.0.0.0:8080:3000"]
    assert (service["mem_limit"], service["cpus"]) == ("2g", 1.5)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["predictions:/var/lib/pizzeria/predictions"]
    assert "environment" not in service


def test_compose_with_a_monitor_and_a_database(
    release_in: Callable[..., Release], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITCHEN_DATABASE", "postgresql://u:secret-of-ours@db/x")
    log = PredictionLog(
        use="postgresql",
        options=registry.load("prediction_logs", "postgresql").Options(dsn_from="KITCHEN_DATABASE"),
    )
    schedule = Schedule(monitor="15m")
    release = release_in(tmp_path, tiny_bundles.OLDER, run=run, schedule=schedule, serving={"log": log})
    document = _compose(release)
    services = document["services"]
    assert set(services) == {"service", "monitor", "postgres"}
    assert services["service"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["service"]["environment"] == {"KITCHEN_DATABASE": "${KITCHEN_DATABASE:?is not set}"}
    assert services["monitor"]["depends_on"] == {"service": {"condition": "service_healthy"}}
    for service in services.values():
        assert (service["read_only"], service["cap_drop"], service["restart"]) == (True, ["ALL"], "unless-stopped")
    rendered = container.render(release, container.Options())
    assert "secret-of-ours" not in repr(rendered)
    assert "psycopg" in rendered.files["packages.txt"]
    watching = last_stage(rendered.files["monitor/Dockerfile"])
    [entrypoint] = [json.loads(rest) for word, rest in watching if word == "ENTRYPOINT"]
    assert entrypoint[-2:] == ["rooms", "15m"]
    assert "postgres" not in _compose(release, postgres=None)["services"]
    out = tmp_path / "out"
    out.mkdir()
    container.build(release, container.Options(), out, Quiet())
    assert (out / "monitor/store/rooms-1/spec.yaml").read_text() == "name: rooms\n"
    assert (out / "monitor/store/rooms-1/stages/package/reference.parquet").is_file()


def test_schedules_that_cannot_be(release_in: Callable[..., Release], run: Path, tmp_path: Path) -> None:
    def render(schedule: Schedule, *, of: Path | None = run, serving: Any = None, **options: Any) -> None:
        release = release_in(tmp_path, tiny_bundles.OLDER, run=of, schedule=schedule, serving=serving or {})
        container.render(release, container.Options(**options))

    hourly = Schedule(monitor="1h")
    render(hourly)
    with pytest.raises(DeploymentError, match="maintain"):
        render(Schedule(maintain="1d"))
    with pytest.raises(DeploymentError, match="needs the run"):
        render(hourly, of=None)
    with pytest.raises(DeploymentError, match="needs the run"):
        render(hourly, of=tmp_path)
    with pytest.raises(DeploymentError, match=r"serving\.log is null"):
        render(hourly, serving={"log": None})
    with pytest.raises(DeploymentError, match="is false"):
        render(hourly, monitor=False)


def test_tags() -> None:
    assert tagged("localhost:5000/rooms", "rooms", "ab" * 32) == "localhost:5000/rooms:abababababab"
    assert tagged("a/b__c-d.e:V_1", "rooms", "ab" * 32) == "a/b__c-d.e:V_1"


def test_wheels_that_are_not_there(release: Release, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="no wheels"):
        container.build(release, container.Options(wheels=tmp_path / "none"), tmp_path / "out", Quiet())
