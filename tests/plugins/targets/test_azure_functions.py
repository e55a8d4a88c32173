"""The target `azure_functions`: Azure's worker library serves the zip, and Azure's own libraries deploy it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pizzeria import registry
from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.corpus import Case, Send, over_http
from pizzeria.conformance.targets import TargetSuite
from pizzeria.conformance.tiny_bundles import OLDER, unable_to_start
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import azure_functions
from pizzeria_plugins.targets.azure_functions import Options
from pizzeria_plugins.targets.clouds import answers

from .azure_cloud import AzureCloud
from .function_places import PYTHON, fast_zips, shared_packages


@pytest.mark.slow
class TestAzureFunctions(TargetSuite):
    plugin = "azure_functions"
    may_pause = "Azure starts the app anew when its settings change, and ends what is at work"
    _cloud: ClassVar[AzureCloud]
    _fast: ClassVar[Any]

    @classmethod
    def setup_class(cls) -> None:
        super().setup_class()
        cls._cloud = AzureCloud()
        cls._fast = fast_zips()
        cls._fast.__enter__()
        shared_packages(cls._folder / "state")

    @classmethod
    def teardown_class(cls) -> None:
        super().teardown_class()
        cls._fast.__exit__(None, None, None)
        cls._cloud.close()

    @classmethod
    def option_values(cls) -> Mapping[str, Any]:
        return {**cls._cloud.options, "python": PYTHON, "ready_timeout_s": 240}

    @classmethod
    def serving(cls) -> Serving:
        log = PredictionLog(use="lines", options=registry.load("prediction_logs", "lines").Options())
        return Serving(options=registry.load("servers", "bentoml").Options(), log=log)


@pytest.fixture(scope="module")
def cloud() -> Iterator[AzureCloud]:
    with fast_zips():
        made = AzureCloud()
        yield made
        made.close()


@pytest.fixture
def ready(cloud: AzureCloud, tmp_path: Path) -> Iterator[Callable[..., tuple[Release, Options]]]:
    """A release and options for this cloud, which is as it was after the test."""
    shared_packages(tmp_path / "state")
    made: list[Options] = []

    def make(bundle: Path = OLDER, serving: Mapping[str, Any] | None = None, **changes: Any) -> tuple[Release, Options]:
        log = PredictionLog(use="lines", options=registry.load("prediction_logs", "lines").Options())
        wanted = Serving(**{"options": bentoml.Options(), "log": log, **(serving or {})})
        release = Release(
            name="kitchen",
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=wanted,
            server=bentoml,
            log_folder=tmp_path / "log",
            state=tmp_path / "state",
            task="object_detection",
            schedule=Schedule(**changes.pop("schedule", {})),
        )
        made.append(Options(**{**cloud.options, "python": PYTHON, "ready_timeout_s": 240, **changes}))
        return release, made[-1]

    yield make
    cloud.refuse, cloud.there = None, True
    for options in made[-1:]:
        azure_functions.remove("kitchen", options, tmp_path / "state")


Ready = Callable[..., tuple[Release, Options]]


def golden(send: Send, **headers: str) -> int:
    """The status of the golden request."""
    photo = open_bundle(OLDER).sample_request()[1]
    return send(Case("golden", "POST", "/predict", {"Content-Type": "image/jpeg", **headers}, photo))[0]


@pytest.mark.slow
class TestOnAzure:
    def test_what_fails_there_is_put_back(
        self, ready: Ready, cloud: AzureCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As where ONNX Runtime is not installed: the function alone finds out.
        monkeypatch.setattr(answers, "check_here", lambda release: None)
        release, options = ready(OLDER)
        done = azure_functions.apply(release, options, Quiet())
        before = dict(cloud.settings)
        broken, hasty = ready(unable_to_start(tmp_path / "broken"), ready_timeout_s=5)
        with pytest.raises(DeploymentError, match=r"was not ready with bundle(.|\n)*was put back and is live"):
            azure_functions.apply(broken, hasty, Quiet())
        now = azure_functions.status("kitchen", options, release.state)
        assert (now.state, now.sha256) == ("live", done.sha256)
        assert cloud.settings == before
        assert len(cloud.blobs()) == 2, "packages are kept for a roll-back"

    def test_keys_and_secrets(self, ready: Ready, cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        mine = dict(cloud.settings)
        monkeypatch.setenv("KITCHEN_KEYS", "a-key-from-the-environment")
        release, options = ready(
            serving={"keys_from": "KITCHEN_KEYS"},
            http_auth_level="function",
            environment={"GREETING": "${hello} %{if} é"},
            secrets={"OTHER": "kitchen/keys"},
        )
        done = azure_functions.apply(release, options, Quiet())
        assert azure_functions.status("kitchen", options, release.state).state == "live"
        assert cloud.settings["KITCHEN_KEYS"] == "a-key-from-the-environment"
        assert cloud.settings["OTHER"] == "@Microsoft.KeyVault(VaultName=kitchen;SecretName=keys)"
        assert cloud.settings["GREETING"] == "${hello} %{if} é"
        own = over_http(done.address, key="a-key-from-the-environment")
        azure_key = {"x-functions-key": "azure-key"}
        assert [golden(own), golden(over_http(done.address), **azure_key), golden(own, **azure_key)] == [401, 401, 200]
        files = "".join(path.read_text(errors="replace") for path in release.state.rglob("*.json"))
        assert "a-key-from-the-environment" not in files + repr(azure_functions.render(release, options))
        azure_functions.remove("kitchen", options, release.state)
        assert cloud.settings == {**mine, "FUNCTIONS_EXTENSION_VERSION": "~4"}
        assert cloud.blobs() == []

    def test_a_timer_starts_the_job(self, ready: Ready, cloud: AzureCloud) -> None:
        release, options = ready(schedule={"monitor": "1h"}, monitor_job="kitchen-monitor")
        done = azure_functions.apply(release, options, Quiet())
        status, body = over_http(done.address)(Case("functions", "GET", "/admin/functions"))
        assert status == 200
        found = json.loads(body)
        assert found["monitor"][0]["type"] == "timerTrigger"
        assert found["monitor"][0]["schedule"] == "0 0 * * * *"
        assert over_http(done.address)(Case("tick", "POST", "/admin/functions/monitor"))[0] == 202
        assert cloud.started == ["kitchen-monitor"]

    @pytest.mark.parametrize(
        ("refusal", "said"),
        [
            ((403, "AuthorizationFailed", "The client does not have authorization"), "forbids this account"),
            ((401, "ExpiredAuthenticationToken", "The access token expiry"), "az login"),
            ((409, "Conflict", "Cannot modify this site"), "another change of it is under way"),
        ],
    )
    def test_refusals_say_what_to_do(
        self, ready: Ready, cloud: AzureCloud, refusal: tuple[int, str, str], said: str
    ) -> None:
        release, options = ready()
        cloud.refuse = refusal
        with pytest.raises(DeploymentError) as caught:
            azure_functions.apply(release, options, Quiet())
        assert said in f"{caught.value.message} {caught.value.hint}"
        assert azure_functions.status("kitchen", options, release.state).state == "absent"

    def test_an_app_that_is_not_there(self, ready: Ready, cloud: AzureCloud) -> None:
        release, options = ready()
        cloud.there = False
        with pytest.raises(DeploymentError, match="there is no function app kitchen-models in kitchen") as caught:
            azure_functions.apply(release, options, Quiet())
        assert "terraform apply" in caught.value.hint

    def test_nobody_is_logged_in(self, ready: Ready, monkeypatch: pytest.MonkeyPatch) -> None:
        release, options = ready()
        monkeypatch.delenv("IDENTITY_ENDPOINT")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
        with pytest.raises(DeploymentError) as caught:
            azure_functions.apply(release, options, Quiet())
        assert "az login" in caught.value.hint
        monkeypatch.undo()

    def test_a_secret_that_is_not_set_here(self, ready: Ready) -> None:
        release, options = ready(serving={"keys_from": "NO_SUCH_KEYS"})
        with pytest.raises(DeploymentError, match="the service needs NO_SUCH_KEYS"):
            azure_functions.apply(release, options, Quiet())


def test_a_schedule_needs_a_job() -> None:
    options = Options(
        subscription="0" * 8 + "-0000-0000-0000-" + "0" * 12,
        resource_group="g",
        function_app="app1",
        storage_account="abc",
    )
    release = Release("kitchen", OLDER, open_bundle(OLDER).sha256, Serving(log=None), bentoml, Path("/l"), Path("/s"))
    with pytest.raises(DeploymentError, match=r"schedule\.monitor is 1h") as caught:
        azure_functions.render(replace(release, schedule=Schedule(monitor="1h")), options)
    assert "deployment.monitor_job" in caught.value.hint
