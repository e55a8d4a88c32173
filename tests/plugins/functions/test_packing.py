"""The zip of a function: what is in it, what is not, that it is always the same, and that it is not too large."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizzeria import registry
from pizzeria.conformance import tiny_bundles
from pizzeria.contracts import Release
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.shipment import read_lock
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.functions.packages import UNUSED, Place, filtered
from pizzeria_plugins.functions.packing import Built, Limits, build_zip
from pizzeria_plugins.functions.release import check, service_settings
from pizzeria_plugins.functions.slimming import leaves
from pizzeria_plugins.functions.sources import serving_files
from pizzeria_plugins.servers.settings import Settings

Build = Callable[..., Built]
FRONT = "pizzeria_plugins.functions.lambda_front"


def release(folder: Path, **serving: Any) -> Release:
    log = {"log": PredictionLog(use="lines", options=registry.load("prediction_logs", "lines").Options())}
    options = registry.load("servers", "bentoml").Options()
    return Release(
        name="rooms",
        bundle=tiny_bundles.OLDER,
        sha256=open_bundle(tiny_bundles.OLDER).sha256,
        serving=Serving(options=options, **{**log, **serving}),
        server=registry.load("servers", "bentoml"),
        log_folder=folder / "log",
        state=folder / "state",
        task="object_detection",
    )


@pytest.fixture
def build(tmp_path: Path, cache: Path) -> Build:
    """Builds a zip for this Python."""

    def build(name: str = "function.zip", folder: Path = cache, of: Release | None = None, **more: Any) -> Built:
        of = of or release(tmp_path)
        how: dict[str, Any] = {"lock": "lambda", "python": f"3.{sys.version_info[1]}", **more}
        front = {"service.json": service_settings(of, "AWS Lambda")}
        return build_zip(of, front=front, modules=[FRONT], path=tmp_path / name, cache=folder, **how)

    return build


@pytest.mark.slow
def test_the_zip_is_the_same_each_time_and_holds_what_serving_needs(build: Build, tmp_path: Path) -> None:
    one, other = build("one.zip"), build("other.zip", tmp_path / "another cache")
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.zipped == one.path.stat().st_size < 70e6
    with zipfile.ZipFile(one.path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert one.unzipped == sum(entry.file_size for entry in archive.infolist())
    assert names == sorted(set(names))
    for name in ("bundle/model.onnx", "service.json", "pizzeria/inference/contract.py", "mangum/adapter.py"):
        assert name in names
    assert "pizzeria_plugins/prediction_logs/lines.py" in names
    assert any(name.startswith("pizzeria/inference/__pycache__/contract.") for name in names)
    for part in ("bentoml/", "torch/", "hydra/", "pizzeria/cli", "numpy/tests", "onnxruntime/tools", "/parquet.py"):
        assert not [name for name in names if part in name], part
    assert "numpy" in one.largest()


@pytest.mark.slow
def test_a_zip_for_another_python_and_cpu_has_their_libraries_and_no_byte_code(build: Build) -> None:
    other = "3.12" if sys.version_info[1] == 11 else "3.11"
    built = build(python=other, machine="aarch64")
    with zipfile.ZipFile(built.path) as archive:
        compiled = [name for name in archive.namelist() if name.endswith(".so")]
        assert not [name for name in archive.namelist() if name.endswith(".pyc")]
        machines = {archive.read(name)[18] for name in compiled}
    assert machines == {183}, "every library is one for aarch64"
    assert any(f"cpython-{other.replace('.', '')}-" in name for name in compiled)


@pytest.mark.slow
def test_what_is_too_large_is_refused_and_the_largest_named(build: Build, tmp_path: Path) -> None:
    limits = Limits("a provider", 10_000_000, 10_000_000, "take less")
    with pytest.raises(
        DeploymentError, match=r"has \d+\.\d MB unzipped, and a provider takes 10\.0 MB.* numpy"
    ) as told:
        build(limits=limits)
    assert told.value.hint == "take less"
    with pytest.raises(DeploymentError, match=r"as a zip"):
        build(limits=replace(limits, unzipped=10**9))
    assert not list(tmp_path.glob("*.zip"))


def test_a_bundle_that_is_another_one_is_refused(build: Build, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="was to be deployed"):
        build(of=replace(release(tmp_path), sha256="0" * 64))


def test_a_package_that_cannot_be_had_is_told_as_pip_tells_it(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DeploymentError, match="pip cannot fetch what a function") as told:
        build(folder=tmp_path / "empty cache")
    assert "No matching distribution" in told.value.message
    assert not list((tmp_path / "empty cache").glob("python*")), "nothing half made is left"


def test_a_lock_is_filtered_for_its_place() -> None:
    lock = read_lock("lambda")
    for python in ("3.11", "3.12"):
        found = filtered(lock, Place(python, "x86_64"), UNUSED)
        names = [line.partition("==")[0] for line in found.splitlines() if "==" in line]
        assert names == sorted(set(names))
        assert {"numpy", "onnxruntime", "pillow", "mangum", "msgspec"} <= set(names)
        assert not UNUSED & set(names)
        assert ";" not in found
        assert found.count("--hash=sha256:") >= len(names)


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        ({"log": PredictionLog(use="sqlite")}, "'sqlite' keeps files on the machine that serves"),
        ({"log": PredictionLog(use="parquet")}, "'parquet' keeps files"),
    ],
)
def test_a_log_in_files_is_refused_with_what_to_write(serving: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=said) as told:
        check(release(tmp_path, **serving), "a provider")
    assert "serving.log.use=lines" in told.value.hint


def test_the_settings_are_those_of_a_service_alone(tmp_path: Path) -> None:
    told = Settings.of_environment(json.loads(service_settings(release(tmp_path, timeout_s=7), "AWS Lambda")))
    assert (told.bundle, told.workers, told.metrics, told.platform) == ("bundle", 1, False, "AWS Lambda")
    assert (told.timeout_s, told.log) == (7, "lines")


def test_only_what_serving_imports_goes_along() -> None:
    names = set(serving_files([FRONT]))
    assert {"pizzeria_plugins/functions/app.py", "pizzeria_plugins/servers/site/app.js"} <= names
    for part in ("cli/", "stages/", "execution", "deployments", "trainers", "targets", "monitors", "conf/"):
        assert not [name for name in names if f"/{part}" in name], part
    stranger = b"from pizzeria_plugins.prediction_logs.rows import as_row\nimport os\n"
    assert set(serving_files([FRONT], [stranger])) - names >= {"pizzeria_plugins/prediction_logs/rows.py"}


def test_licences_stay() -> None:
    assert not leaves("numpy-2.4.6.dist-info/licenses/LICENSE.txt")
    assert not leaves("onnxruntime/ThirdPartyNotices.txt")
    assert leaves("numpy/_core/tests/test_dtype.py")


@pytest.mark.slow
def test_a_database_needs_its_own_library_and_nothing_more(build: Build, tmp_path: Path) -> None:
    options = registry.load("prediction_logs", "postgresql").Options(dsn_from="KITCHEN_DATABASE")
    of = release(tmp_path, log=PredictionLog(use="postgresql", options=options))
    built = build(of=of)
    assert {"psycopg", "psycopg_binary"} <= set(built.contents)
    assert not {"bentoml", "uvicorn", "httptools"} & set(built.contents)
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(tmp_path / "task")
    code = (
        "import sys, os; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from pizzeria_plugins.functions.app import open_app\n"
        "open_app(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(tmp_path / "task")]
    environment = {"KITCHEN_DATABASE": "postgresql://127.0.0.1:9/none?connect_timeout=1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    del environment["KITCHEN_DATABASE"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert "KITCHEN_DATABASE" in ran.stderr
