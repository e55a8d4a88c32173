"""What `google_functions` and `azure_functions` render: safe for any value that their options accept."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.tiny_bundles import OLDER
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.functions import packing
from pizzeria_plugins.prediction_logs import lines, sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import azure_functions, google_functions
from pizzeria_plugins.targets.azure_app import project as azure_project
from pizzeria_plugins.targets.google_app import project as google_project

GOOGLE = {"project": "my-project", "bucket": "my-bucket"}
AZURE = {
    "subscription": "00000000-0000-0000-0000-000000000001",
    "resource_group": "kitchen",
    "function_app": "kitchen-models",
    "storage_account": "kitchenstore",
}
BOTH = [(google_functions, GOOGLE), (azure_functions, AZURE)]
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True).map(lambda name: f"X_{name}")
VALUES = st.text(st.characters(blacklist_categories=("C", "Z")) | st.sampled_from(" ${}%~^|@#;!'\"\\=,"), max_size=40)


def a_release(**changes: Any) -> Release:
    serving = Serving(options=bentoml.Options(), log=PredictionLog(use="lines", options=lines.Options()))
    sha256 = open_bundle(OLDER).sha256
    release = Release("kitchen", OLDER, sha256, serving, bentoml, Path("/log"), Path("/state"), "object_detection")
    return replace(release, **changes)


RELEASE = a_release()


def strings(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from strings(value)
    elif isinstance(data, str):
        yield data


def evaluated(text: str) -> str:
    """What Terraform makes of a string that has no template of Pizzeria's own in it."""
    rest = text.replace("$${", "").replace("%%{", "")
    assert "${" not in rest
    assert "%{" not in rest
    return text.replace("$${", "${").replace("%%{", "%{")


@settings(max_examples=60)
@given(environment=st.dictionaries(NAMES, VALUES, max_size=4))
def test_variables_come_through_to_google_as_they_are(environment: dict[str, str]) -> None:
    environment = {name: value for name, value in environment.items() if value.isprintable()}
    rendered = google_functions.render(RELEASE, google_functions.Options(**GOOGLE, environment=environment))
    told = json.loads(rendered.files["main.tf.json"])["resource"]["google_cloudfunctions2_function"]["function"]
    found = told["service_config"]["environment_variables"]
    assert {name: evaluated(value) for name, value in found.items()} == environment
    flags = [part for part in rendered.commands[1] if part.startswith("--update-env-vars=")]
    if environment:
        [flag] = flags
        _, sign, text = flag.split("^", 2)
        assert dict(one.split("=", 1) for one in text.split(sign)) == environment
    else:
        assert flags == []


@settings(max_examples=60)
@given(environment=st.dictionaries(NAMES, VALUES, max_size=4))
def test_variables_come_through_to_azure_as_they_are(environment: dict[str, str]) -> None:
    environment = {name: value for name, value in environment.items() if value.isprintable()}
    options = azure_functions.Options(**AZURE, environment=environment)
    rendered = azure_functions.render(RELEASE, options)
    app = json.loads(rendered.files["main.tf.json"])["resource"]["azurerm_linux_function_app"]["app"]
    found = {name: evaluated(value) for name, value in app["app_settings"].items() if name in environment}
    assert found == environment
    assert json.loads(rendered.files["local.settings.json"])["Values"].items() >= environment.items()
    command = rendered.commands[1]
    first = command.index("--settings") + 1
    assert [f"{name}={value}" for name, value in environment.items()] == command[first : first + len(environment)]
    ast.parse(rendered.files["function_app.py"])


@settings(max_examples=200)
@given(data=st.data())
def test_hostile_options_are_refused_or_harmless(data: st.DataObject) -> None:
    target, given_options = data.draw(st.sampled_from(BOTH))
    texts = sorted(set(target.Options.model_fields) - {"environment", "secrets", "cpu"})
    field = data.draw(st.sampled_from(texts))
    value = data.draw(
        st.text(max_size=30) | st.sampled_from(['a"b', "a${b}", "a'b", "a\nb", "../x", "-x", "a b", "$(id)"])
    )
    try:
        options = target.Options(**{**given_options, field: value})
    except ValidationError:
        return
    schedule = Schedule(monitor="1h", maintain="7d")
    try:
        rendered = target.render(a_release(schedule=schedule), options)
    except DeploymentError:
        rendered = target.render(RELEASE, options)
    for name, text in rendered.files.items():
        if name.endswith(".json"):
            assert all("\n" not in one and '"' not in one for one in strings(json.loads(text)) if one == value)
        elif name.endswith(".py"):
            ast.parse(text)


@pytest.mark.parametrize(("target", "given_options"), BOTH)
def test_names_that_the_platform_keeps_are_refused(target: Any, given_options: dict[str, str]) -> None:
    for name in ("PORT", "PIZZERIA_BUNDLE", "A=B", "PYTHONPATH", ""):
        with pytest.raises(ValidationError):
            target.Options(**given_options, environment={name: "x"})
    with pytest.raises(ValidationError, match="keep one of them"):
        target.Options(
            **given_options,
            environment={"A": "x"},
            secrets={"A": "kitchen/keys" if "subscription" in given_options else "keys"},
        )


@pytest.mark.parametrize(("target", "given_options"), BOTH)
def test_a_log_in_files_is_refused(target: Any, given_options: dict[str, str]) -> None:
    serving = Serving(options=bentoml.Options(), log=PredictionLog(use="sqlite", options=sqlite.Options()))
    with pytest.raises(DeploymentError, match=r"serving\.log") as caught:
        target.render(a_release(serving=serving), target.Options(**given_options))
    assert "serving.log.use=lines" in caught.value.hint


@pytest.mark.parametrize(("target", "given_options"), BOTH)
def test_a_schedule_without_a_job_is_refused(target: Any, given_options: dict[str, str]) -> None:
    for what in ("monitor", "maintain"):
        with pytest.raises(DeploymentError, match=rf"schedule\.{what} is 1h") as caught:
            target.render(a_release(schedule=Schedule(**{what: "1h"})), target.Options(**given_options))
        assert f"deployment.{what}_job" in caught.value.hint


def test_memory_and_cpu_fit_each_other() -> None:
    with pytest.raises(ValidationError, match="memory 1Gi does not go with 8 CPUs"):
        google_functions.Options(**GOOGLE, cpu=8)
    with pytest.raises(ValidationError, match="raise the latter"):
        google_functions.Options(**GOOGLE, min_instances=11)


def test_the_framework_and_the_zip_share_nothing() -> None:
    """What Google installs is not in the zip a second time, and together they are the whole lock."""
    for python in ("3.11", "3.12"):
        named = {line.split("==")[0] for line in google_project.requirements(python).splitlines() if line[0] != " "}
        assert "functions-framework" in named
        assert named == google_project._FRAMEWORK & named
        assert not named & {"numpy", "onnxruntime", "pillow", "pydantic"}


@pytest.mark.slow
@pytest.mark.parametrize("module", [google_project, azure_project])
def test_a_zip_that_is_too_large_says_what_is(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIMITS", packing.Limits(module.PLATFORM, 20_000_000, 1, "make it smaller"))
    target, given_options = BOTH[0] if module is google_project else BOTH[1]
    release = a_release(state=tmp_path / "state")
    from .function_places import PYTHON, shared_packages

    shared_packages(release.state)
    with pytest.raises(DeploymentError, match=r"takes 20\.0 MB; the largest are .*onnxruntime") as caught:
        target.build(release, target.Options(**given_options, python=PYTHON), tmp_path, Quiet())
    assert caught.value.hint == "make it smaller"
