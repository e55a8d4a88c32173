"""A function of Lambda, really built and run by AWS's own bootstrap: answers, bodies, the log, and what it survives."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizzeria import registry
from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.corpus import Case, differences, record
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog
from pizzeria_plugins.prediction_logs import lines
from pizzeria_plugins.targets import aws_lambda
from pizzeria_plugins.targets.lambda_app.calls import event

from ..servers.conftest import bundle_of, describe, regressor
from ..targets.lambda_runtime import Instance, bootstrap_folder
from .test_packing import release

KEYS = {"KITCHEN_KEYS": "correct horse battery"}
Run = Callable[..., Instance]
pytestmark = pytest.mark.slow


class Quiet:
    def say(self, text: str) -> None:
        pass


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Run]:
    """Builds functions and runs them."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "state").mkdir()
    (folder / "state" / ".functions").symlink_to(cache)
    bootstrap = bootstrap_folder(folder / "bootstrap")
    running = []

    def run(bundle: Path = tiny_bundles.OLDER, environment: dict[str, str] | None = None, **serving: Any) -> Instance:
        of = release(folder, **serving)
        of = replace(of, bundle=bundle, sha256=open_bundle(bundle).sha256, task=open_bundle(bundle).task)
        task = folder / f"task{len(running)}"
        aws_lambda.build(of, aws_lambda.Options(), task, Quiet())
        with zipfile.ZipFile(task / "function.zip") as archive:
            archive.extractall(task)
        running.append(Instance(task, bootstrap, environment))
        return running[-1]

    yield run
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def instance(run: Run) -> Instance:
    return run()


def ask(
    instance: Instance, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> dict[str, Any]:
    kind, answer = instance.invoke(event(method, path, headers, body))
    assert kind == "response", answer
    return dict(answer)


def test_each_answer_is_logged_before_it_goes_out(instance: Instance, tmp_path: Path) -> None:
    for count in range(1, 4):
        photo = open_bundle(tiny_bundles.OLDER).sample_request()[1]
        answer = ask(instance, "POST", f"/predict?input_id={count}", {"Content-Type": "image/jpeg"}, photo)
        assert answer["statusCode"] == 200
        frame = lines.read(lines.Options(read_from=str(instance.log)), tmp_path)
        assert frame["input_id"].tolist() == [str(n) for n in range(1, count + 1)]
    assert frame["prediction_id"].tolist()[-1] == json.loads(answer["body"])["prediction_id"]
    ready = json.loads(ask(instance, "GET", "/readyz")["body"])
    assert ready["log"] == {"waiting": 0, "dropped": 0, "trouble": False}


def test_a_label_is_logged_before_its_answer_goes_out(instance: Instance, tmp_path: Path) -> None:
    bundle = open_bundle(tiny_bundles.OLDER)
    answer = ask(instance, "POST", "/predict", {"Content-Type": "image/jpeg"}, bundle.sample_request()[1])
    name = json.loads(answer["body"])["prediction_id"]
    label = {"prediction_id": name, "classes": [bundle.classes[0]]}
    answer = ask(instance, "POST", "/feedback", {"Content-Type": "application/json"}, json.dumps(label).encode())
    assert (answer["statusCode"], json.loads(answer["body"])) == (202, {"accepted": 1})
    frame = lines.read(lines.Options(read_from=str(instance.log)), tmp_path).set_index("prediction_id")
    assert frame[f"true:{bundle.classes[0]}"][name] == 1
    wrong = ask(instance, "POST", "/feedback", {"Content-Type": "application/json"}, b"{}")
    assert wrong["statusCode"] == 422


def test_pages_come_whole_text_or_not(instance: Instance) -> None:
    page = ask(instance, "GET", "/")
    assert page["headers"]["content-type"].startswith("text/html")
    assert not page["isBase64Encoded"]
    photo = page["body"].partition("/sample.")[0].rpartition('"')[2] + "/sample.jpg"
    found = ask(instance, "GET", photo)
    assert found["isBase64Encoded"]
    assert base64.b64decode(found["body"]) == open_bundle(tiny_bundles.OLDER).sample_request()[1]
    script = ask(instance, "GET", photo.replace("sample.jpg", "app.js"), {"Accept-Encoding": "gzip"})
    assert script["headers"]["content-encoding"] == "gzip"
    assert script["isBase64Encoded"]
    docs = ask(instance, "GET", "/docs")["body"]
    assert "the limits of AWS Lambda" in docs
    assert "Head of a request" not in docs
    assert ask(instance, "GET", "/metrics")["statusCode"] == 404
    again = ask(instance, "GET", "/", {"If-None-Match": page["headers"]["etag"]})
    assert (again["statusCode"], again["body"]) == (304, "")


def test_what_is_no_request_fails_alone(instance: Instance) -> None:
    for wrong in ({}, [], {"version": "2.0"}, {"Records": [{"eventSource": "aws:s3"}]}):
        kind, told = instance.invoke(wrong)
        assert kind == "error", told
    assert ask(instance, "GET", "/healthz")["statusCode"] == 200


def test_rows_are_answered_as_everywhere(run: Run, tmp_path: Path) -> None:
    regressor(tmp_path / "model.onnx")
    columns = [{"name": name, "median": 1, "mean": 0, "std": 1} for name in ("rooms", "beds")]
    how = {"kind": "columns", "numeric": columns, "categorical": [], "target": {"name": "price", "mean": 0, "std": 1}}
    description = describe("tabular_regression", classes=[], preprocessing=how, calibration={"method": "none"})
    bundle = bundle_of(tmp_path, description, ("request.json", b'{"rows": [{"rooms": 2, "beds": 1}]}'))
    serving = release(tmp_path, max_rows=50, max_body_mb=0.2).serving
    instance = run(bundle, max_rows=50, max_body_mb=0.2)

    def send(case: Case) -> tuple[int, bytes]:
        answer = ask(instance, case.method, case.target, dict(case.headers), case.body)
        body = answer.get("body", "")
        return answer["statusCode"], base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()

    assert differences(record(bundle, serving), send) == []


def test_keys_and_other_sites(run: Run) -> None:
    instance = run(environment=KEYS, keys_from="KITCHEN_KEYS", cors=("https://a.example",), log=None)
    photo = open_bundle(tiny_bundles.OLDER).sample_request()[1]
    kind = {"Content-Type": "image/jpeg", "Origin": "https://a.example"}
    refused = ask(instance, "POST", "/predict", kind, photo)
    assert refused["statusCode"] == 401
    assert refused["headers"]["access-control-allow-origin"] == "https://a.example"
    assert ask(instance, "POST", "/predict", {**kind, "X-API-Key": KEYS["KITCHEN_KEYS"]}, photo)["statusCode"] == 200
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert ask(instance, "OPTIONS", "/predict", preflight)["statusCode"] == 204
    without = run(keys_from="KITCHEN_KEYS", log=None)
    kind_of, told = without.invoke(event("GET", "/readyz"))
    assert kind_of == "init"
    assert "KITCHEN_KEYS" in told["errorMessage"]


def test_a_log_of_ones_own_in_the_working_folder_goes_along(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins" / "prediction_logs").mkdir(parents=True)
    source = Path(lines.__file__).read_text().replace("sys.stdout.write(text)", "sys.stdout.write('MINE ' + text)")
    (tmp_path / "plugins" / "prediction_logs" / "paper.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    log = PredictionLog(use="paper", options=registry.load("prediction_logs", "paper").Options())
    instance = run(log=log)
    photo = open_bundle(tiny_bundles.OLDER).sample_request()[1]
    assert ask(instance, "POST", "/predict", {"Content-Type": "image/jpeg"}, photo)["statusCode"] == 200
    assert 'MINE {"pizzeria":"record"' in instance.log.read_text()
