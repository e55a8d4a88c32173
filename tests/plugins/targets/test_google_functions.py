"""The target `google_functions`: functions-framework serves the zip, and Google's own libraries deploy it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pizzeria import registry
from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.corpus import Case, over_http
from pizzeria.conformance.targets import TargetSuite
from pizzeria.conformance.tiny_bundles import OLDER, unable_to_start
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import google_functions
from pizzeria_plugins.targets.clouds import answers
from pizzeria_plugins.targets.google_functions import Options

from .function_places import PYTHON, fast_zips, shared_packages
from .google_cloud import GoogleCloud, Refusal


def lines_log() -> PredictionLog:
    return PredictionLog(use="lines", options=registry.load("prediction_logs", "lines").Options())


@pytest.mark.slow
class TestGoogleFunctions(TargetSuite):
    plugin = "google_functions"
    _cloud: ClassVar[GoogleCloud]
    _fast: ClassVar[Any]

    @classmethod
    def setup_class(cls) -> None:
        super().setup_class()
        cls._cloud = GoogleCloud()
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
        return {
            "project": "my-project",
            "bucket": "pizzeria-test",
            "python": PYTHON,
            "api_endpoint": cls._cloud.address,
            "ready_timeout_s": 240,
        }

    @classmethod
    def serving(cls) -> Serving:
        return Serving(options=registry.load("servers", "bentoml").Options(), log=lines_log())


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoogleCloud]:
    with fast_zips():
        made = GoogleCloud(secrets={"KITCHEN_KEYS": "a-key-of-sixteen-signs", "other": "x"})
        yield made
        made.close()


@pytest.fixture
def ready(cloud: GoogleCloud, tmp_path: Path) -> Iterator[Callable[..., tuple[Release, Options]]]:
    """A release and options for this cloud, which is as it was after the test."""
    shared_packages(tmp_path / "state")
    made: list[tuple[Release, Options]] = []

    def make(bundle: Path = OLDER, serving: Mapping[str, Any] | None = None, **changes: Any) -> tuple[Release, Options]:
        release = a_release(bundle, tmp_path, serving or {})
        schedule = changes.pop("schedule", None)
        if schedule is not None:
            release = replace(release, schedule=Schedule(**schedule))
        given = {"project": "my-project", "bucket": "pizzeria-test", "python": PYTHON, "ready_timeout_s": 240}
        options = Options(**{**given, "api_endpoint": cloud.address, **changes})
        made.append((release, options))
        return made[-1]

    yield make
    cloud.refuse = None
    for _, options in made[-1:]:
        google_functions.remove("kitchen", options, tmp_path / "state")


def a_release(bundle: Path, folder: Path, serving: Mapping[str, Any]) -> Release:
    wanted = {"options": bentoml.Options(), "log": lines_log(), **serving}
    sha256 = open_bundle(bundle).sha256
    return Release(
        "kitchen", bundle, sha256, Serving(**wanted), bentoml, folder / "log", folder / "state", "object_detection"
    )


Ready = Callable[..., tuple[Release, Options]]


@pytest.mark.slow
class TestOnGoogle:
    def test_what_fails_there_is_put_back(
        self, ready: Ready, cloud: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As where ONNX Runtime is not installed: the function alone finds out.
        monkeypatch.setattr(answers, "check_here", lambda release: None)
        release, options = ready(OLDER)
        done = google_functions.apply(release, options, Quiet())
        before = dict(cloud.functions)
        broken, _ = ready(unable_to_start(tmp_path / "broken"))
        with pytest.raises(DeploymentError, match=r"Healthcheck failed(.|\n)*was put back"):
            google_functions.apply(broken, options, Quiet())
        now = google_functions.status("kitchen", options, release.state)
        assert (now.state, now.sha256, now.address) == ("live", done.sha256, done.address)
        [name] = before
        assert cloud.functions[name]["buildConfig"]["source"] == before[name]["buildConfig"]["source"]
        assert cloud.functions[name]["state"] == "ACTIVE"

    def test_keys_and_schedule_and_everybody(self, ready: Ready, cloud: GoogleCloud) -> None:
        release, options = ready(
            serving={"keys_from": "KITCHEN_KEYS"},
            schedule={"monitor": "6h"},
            monitor_job="kitchen-monitor-job",
            scheduler_account="starter@my-project.iam.gserviceaccount.com",
            allow_unauthenticated=True,
            environment={"GREETING": "${hello} ~ %{if}"},
        )
        progress = Quiet()
        done = google_functions.apply(release, options, progress)
        assert any("KITCHEN_KEYS is not set here" in line for line in progress.lines)
        with_key = over_http(done.address, key=cloud.secrets["KITCHEN_KEYS"])
        case = Case(
            "golden", "POST", "/predict", {"Content-Type": "image/jpeg"}, open_bundle(OLDER).sample_request()[1]
        )
        assert (over_http(done.address)(case)[0], with_key(case)[0]) == (401, 200)
        [function] = cloud.functions.values()
        assert function["serviceConfig"]["environmentVariables"] == {"GREETING": "${hello} ~ %{if}"}
        [policy] = cloud.policies.values()
        assert policy["bindings"] == [{"role": "roles/run.invoker", "members": ["allUsers"]}]
        [job] = cloud.jobs.values()
        assert job["schedule"] == "0 */6 * * *"
        assert job["httpTarget"]["uri"].endswith(
            "/projects/my-project/locations/europe-west1/jobs/kitchen-monitor-job:run"
        )
        google_functions.remove("kitchen", options, release.state)
        assert (cloud.functions, cloud.jobs, cloud.objects["pizzeria-test"]) == ({}, {}, {})

    @pytest.mark.parametrize(
        ("refusal", "said"),
        [
            (Refusal(403, "PERMISSION_DENIED", "Permission denied on resource"), "forbids this account"),
            (Refusal(401, "UNAUTHENTICATED", "Request had invalid credentials"), "set GOOGLE_APPLICATION_CREDENTIALS"),
            (Refusal(409, "ABORTED", "unable to queue the operation"), "another change of it is under way"),
            (Refusal(404, "NOT_FOUND", "Project was not found"), "check deployment.project"),
        ],
    )
    def test_refusals_say_what_to_do(self, ready: Ready, cloud: GoogleCloud, refusal: Refusal, said: str) -> None:
        release, options = ready()
        cloud.refuse = refusal
        with pytest.raises(DeploymentError) as caught:
            google_functions.apply(release, options, Quiet())
        assert said in f"{caught.value.message} {caught.value.hint}"
        assert google_functions.status("kitchen", options, release.state).state == "absent"

    def test_a_bucket_that_is_not_there(self, ready: Ready) -> None:
        release, options = ready(bucket="no-such-bucket")
        with pytest.raises(DeploymentError, match="cannot upload to gs://no-such-bucket") as caught:
            google_functions.apply(release, options, Quiet())
        assert "Terraform makes the bucket" in caught.value.hint

    def test_nobody_is_logged_in(self, ready: Ready, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        release, options = ready(api_endpoint="https://127.0.0.1:1")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(DeploymentError) as caught:
            google_functions.apply(release, options, Quiet())
        assert "gcloud auth application-default login" in caught.value.hint
