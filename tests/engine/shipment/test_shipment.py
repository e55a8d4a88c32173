"""What travels: the wheel that this installation makes of itself, the locks, and the payload."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from pizzeria.contracts import Release
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.shipment import (
    LOCKS,
    content_hash,
    elsewhere,
    keeps_local_files,
    read_lock,
    secret_names,
    values_of,
    wheel_files,
    wheel_name,
    write_payload,
    write_wheel,
    write_zip,
)
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.monitoring import Alert
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria.spec.verification import Verification
from pizzeria_plugins.alerts import webhook
from pizzeria_plugins.prediction_logs import parquet, postgresql, sqlite
from pizzeria_plugins.servers import bentoml

from ...plugins.targets.local.conftest import make_bundle


@pytest.fixture
def release(tmp_path: Path) -> Release:
    bundle = make_bundle(tmp_path / "one", "one")
    serving = Serving(options=bentoml.Options(), log=PredictionLog(options=sqlite.Options()))
    sha256 = open_bundle(bundle).sha256
    return Release("amenities", bundle, sha256, serving, bentoml, tmp_path / "log", tmp_path / "state")


def logging_to(release: Release, use: str, options: object) -> Release:
    log = PredictionLog(use=use, options=options)
    return replace(release, serving=release.serving.model_copy(update={"log": log}))


def test_the_wheel_installs_and_is_the_same_twice(tmp_path: Path) -> None:
    first = write_wheel(tmp_path / "a")
    assert first.name == wheel_name()
    assert first.read_bytes() == write_wheel(tmp_path / "b").read_bytes()
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps", "--no-index"]
    subprocess.run([*install, str(first)], check=True)
    code = "import pizzeria.atomic, importlib.metadata as m; print(len(m.entry_points(group='pizzeria.targets')))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(done.stdout) >= 1


def test_the_wheel_has_the_shipped_specs_and_no_caches() -> None:
    names = set(wheel_files())
    assert {"pizzeria/conf/config.yaml", "pizzeria_plugins/servers/site/page.html"} <= names
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.parametrize("name", LOCKS)
def test_each_lock_is_pinned_with_hashes_and_names_no_host(name: str) -> None:
    text = read_lock(name)
    starts = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(starts) > 5
    assert all("==" in line and line.endswith("\\") for line in starts)
    assert "://" not in text
    assert not [line for line in starts if line.startswith(("torch", "timm", "pytorch-lightning"))]


def test_no_other_lock_is_known() -> None:
    with pytest.raises(KeyError, match="did you mean serve"):
        read_lock("servee")


def test_a_zip_is_the_same_bytes_whatever_the_order_and_times(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    for name, order in (("a", ("x", "run")), ("b", ("run", "x"))):
        content = {"x": b"1", "run": tmp_path / "program"}
        write_zip(tmp_path / name, {key: content[key] for key in order}, level=9)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    entries = {entry.filename: entry.external_attr >> 16 for entry in zipfile.ZipFile(tmp_path / "a").infolist()}
    assert entries == {"x": 0o100644, "run": 0o100755}


def test_a_payload_has_all_that_serving_needs_and_a_hash_for_each_half(release: Release, tmp_path: Path) -> None:
    first = write_payload(release, tmp_path / "a")
    again = write_payload(release, tmp_path / "a")
    assert (first.environment, first.content) == (again.environment, again.content)
    assert open_bundle(tmp_path / "a" / "bundle").sha256 == release.sha256
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"bundle", "requirements.txt", wheel_name()}
    newer = make_bundle(tmp_path / "two", "two")
    other = write_payload(replace(release, bundle=newer, sha256=open_bundle(newer).sha256), tmp_path / "b")
    assert other.environment == first.environment
    assert other.content != first.content


def test_rooms_and_plugins_of_the_working_folder_go_along(
    release: Release, tmp_path: Path, working_folder: Path
) -> None:
    rooms = make_bundle(tmp_path / "rooms", "rooms")
    verification = Verification(rooms=str(rooms), prior={"kitchen": {"bed": 0.1}})
    serving = release.serving.model_copy(update={"verification": verification, "log": PredictionLog(use="paper")})
    (working_folder / "plugins" / "prediction_logs").mkdir(parents=True)
    (working_folder / "plugins" / "prediction_logs" / "paper.py").write_text("'''Paper.'''\n")
    write_payload(replace(release, serving=serving), tmp_path / "out")
    assert open_bundle(tmp_path / "out" / "rooms").name == "rooms"
    assert (tmp_path / "out" / "plugins" / "prediction_logs" / "paper.py").is_file()


def test_another_bundle_than_the_release_says_is_refused(release: Release, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="was to be deployed"):
        write_payload(replace(release, sha256="0" * 64), tmp_path / "out")


def test_elsewhere_has_no_path_of_this_machine(release: Release, tmp_path: Path) -> None:
    verification = Verification(rooms=str(tmp_path / "rooms"), prior={"kitchen": {"bed": 0.1}})
    serving = release.serving.model_copy(update={"verification": verification})
    there = elsewhere(
        replace(release, serving=serving), PurePosixPath("/opt/p"), PurePosixPath("/var/p"), "/opt/env/bin/python"
    )
    rendered = bentoml.render(there, "127.0.0.1", 3000)
    text = repr(rendered)
    assert str(tmp_path) not in text
    assert sys.executable not in text
    assert rendered.commands[0][0] == "/opt/env/bin/python"


def test_what_a_release_needs_is_known_from_its_log_and_keys(release: Release) -> None:
    assert keeps_local_files(release)
    assert secret_names(release) == ()
    database = logging_to(release, "postgresql", postgresql.Options(dsn_from="LOG_DSN"))
    keyed = replace(database, serving=database.serving.model_copy(update={"keys_from": "KEYS"}))
    assert not keeps_local_files(keyed)
    assert secret_names(keyed) == ("KEYS", "LOG_DSN")
    channels = (Alert(use="slack"), Alert(use="webhook", options=webhook.Options(headers={"Authorization": "TOKEN"})))
    told = replace(keyed, alerts=channels)
    assert secret_names(told, watching=True) == ("KEYS", "LOG_DSN"), "nothing watches from there"
    watched = replace(told, schedule=Schedule(monitor="1h"))
    everything = ("KEYS", "LOG_DSN", "SLACK_WEBHOOK_URL", "PIZZERIA_WEBHOOK_URL", "TOKEN")
    assert secret_names(watched, watching=True) == everything
    assert secret_names(watched) == ("KEYS", "LOG_DSN"), "the service needs no channel's secret"
    assert keeps_local_files(logging_to(release, "parquet", parquet.Options()))
    assert not keeps_local_files(logging_to(release, "parquet", parquet.Options(url="s3://bucket/x")))


def test_a_secret_that_is_not_set_is_named() -> None:
    assert values_of(["A"], {"A": "1", "B": "2"}) == {"A": "1"}
    with pytest.raises(DeploymentError, match="needs B, and") as caught:
        values_of(["A", "B"], {"A": "1", "B": ""})
    assert caught.value.hint == "export B=..."


def test_the_hash_of_a_folder_knows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_text("1")
    first = content_hash(tmp_path / "x")
    (tmp_path / "x" / "a").rename(tmp_path / "x" / "b")
    assert content_hash(tmp_path / "x") != first
