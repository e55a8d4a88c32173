"""The target `container` for real: images built by podman and buildah from a base of debootstrap's, run by podman."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.asking import Quiet
from pizzeria.conformance.corpus import differences, over_http, record
from pizzeria.conformance.targets import TargetSuite
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.ports import free_port
from pizzeria_plugins.targets import container
from pizzeria_plugins.targets.container_engine import commands, service
from pizzeria_plugins.targets.container_engine.kept import label_of, load
from pizzeria_plugins.targets.container_image.materials import content_sha256

pytestmark = pytest.mark.slow

MOST_MB = 450
NASTY = "a\\b\"c$HOME ${X} 'q' `id` \\\\ \\$ #x =é台"
_KEYS = "PIZZERIA_TEST_KEYS"
_SECRET = "kept-from-everybody-0123456789"
_INSIDE = """
import json, os, shutil, sys
from importlib.metadata import distributions
print(json.dumps({
    "uid": os.getuid(),
    "programs": [name for name in ("gcc", "cc", "c++", "clang", "ld", "make", "pip") if shutil.which(name)],
    "packages": sorted(f"{one.metadata['Name']}=={one.version}" for one in distributions()),
    "environment": dict(os.environ),
    "written": [path for path in ("/x", "/opt/pizzeria/x", "/var/lib/pizzeria/x", "/tmp/x") if writes(path)],
    "status": open("/proc/self/status").read(),
    "caches": [path for path in ("/build", "/root/.cache", "/wheels") if os.path.exists(path)],
    "path": sys.path,
}))
"""
_WRITES = """
def writes(path):
    try:
        open(path, "w").close()
    except OSError:
        return False
    return True
"""


def _options(machine: Any, **more: Any) -> container.Options:
    told = {"base": machine.base, "wheels": machine.wheels, "builder": "podman", "environment": {"NASTY": NASTY}}
    return container.Options(**{**told, **more})


class TestContainer(TargetSuite):
    """The suite of all targets."""

    plugin = "container"
    options: ClassVar[Any] = {}


@pytest.fixture(autouse=True, scope="module")
def _on_the_machine(machine: Any) -> None:
    TestContainer.options = {
        "base": machine.base,
        "wheels": str(machine.wheels),
        "builder": "podman",
        "environment": {"NASTY": NASTY},
    }


@pytest.fixture(scope="module")
def context(machine: Any, release_in: Callable[..., Release], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pizzeria deploy --out` writes."""
    folder = tmp_path_factory.mktemp("context")
    release = release_in(folder / "place", tiny_bundles.OLDER)
    out = folder / "out"
    for name, text in container.render(release, _options(machine)).files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    container.build(release, _options(machine), out, Quiet())
    return out


@pytest.fixture(scope="module")
def image(machine: Any, context: Path) -> str:
    """The image of that folder, built by podman."""
    argv = commands.build_command("podman", "localhost/one:1", str(context), _options(machine))
    subprocess.run(argv, check=True, capture_output=True)
    return "localhost/one:1"


def _inspected(machine: Any, image: str) -> dict[str, Any]:
    [found] = json.loads(machine.podman("image", "inspect", image))
    return dict(found)


def test_buildah_gives_the_same_layers(machine: Any, image: str, context: Path, tmp_path: Path) -> None:
    argv = commands.build_command("buildah", "localhost/another:1", str(context), _options(machine))
    done = subprocess.run([*argv[:2], "--no-cache", *argv[2:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    one, another = (_inspected(machine, name) for name in (image, "localhost/another:1"))
    assert one["RootFS"]["Layers"] == another["RootFS"]["Layers"]
    assert one["Config"] == another["Config"]


def test_the_image_is_small(machine: Any, image: str) -> None:
    size, base = (_inspected(machine, name)["Size"] / 1e6 for name in (image, machine.base))
    print(f"{size - base:.0f} MB on a base of {base:.0f} MB")
    assert size - base <= MOST_MB


def test_what_is_inside(machine: Any, image: str) -> None:
    argv = ["run", "--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    python = "/opt/pizzeria/env/bin/python"
    found = json.loads(machine.podman(*argv, "--entrypoint", python, image, "-c", _WRITES + _INSIDE))
    names = {one.split("==")[0].lower() for one in found["packages"]}
    assert found["uid"] == 10001
    assert found["programs"] == []
    assert found["caches"] == []
    assert found["written"] == ["/tmp/x"]
    assert not {"torch", "pandas", "pip", "setuptools", "wheel", "nannyml"} & names
    assert "CapBnd:\t0000000000000000" in found["status"]
    assert found["environment"]["NASTY"] == NASTY

    bill_text = machine.podman("run", "--rm", "--entrypoint", "/bin/cat", image, "/opt/pizzeria/sbom.json") + "\n"
    bill = json.loads(bill_text)
    listed = {f"{one['name']}=={one['version']}".lower() for one in bill["components"] if one["type"] == "library"}
    assert {_plain(one) for one in listed} == {_plain(one) for one in found["packages"]}

    config = _inspected(machine, image)["Config"]
    sha256 = open_bundle(tiny_bundles.OLDER).sha256
    assert config["Labels"]["pizzeria.sbom.sha256"] == content_sha256(bill_text)
    assert config["Labels"]["org.opencontainers.image.revision"] == sha256
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")


def _plain(pin: str) -> str:
    name, version = pin.lower().split("==")
    return f"{name.replace('_', '-').replace('.', '-')}=={version}"


def test_built_by_buildah_and_run_by_podman(
    machine: Any, release_in: Callable[..., Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With keys, a log in a folder of this machine, a health check, and an end by SIGTERM."""
    monkeypatch.setenv(_KEYS, _SECRET)
    release = release_in(tmp_path, tiny_bundles.OLDER, serving={"keys_from": _KEYS})
    options = _options(machine, builder="buildah", port=free_port(), memory="1g", cpus=1.5)
    status = container.apply(release, options, Quiet())
    try:
        assert differences(record(release.bundle, release.serving), over_http(status.address, key=_SECRET)) == []
        kept = load(tmp_path / "state" / "rooms")
        assert kept is not None
        python = "/opt/pizzeria/env/bin/python"
        check = ["exec", kept.container, python, "-I", "/opt/pizzeria/healthy.py", "3000"]
        assert machine.podman(*check, release.sha256) == "ready"
        with pytest.raises(AssertionError):
            machine.podman(*check, "0" * 64)
        for path in (tmp_path / "state").rglob("*"):
            assert not path.is_file() or _SECRET.encode() not in path.read_bytes(), path
        machine.podman("stop", "--time", "30", kept.container)
        assert machine.podman("inspect", "--format", "{{.State.ExitCode}}", kept.container) == "0"
        assert container.status("rooms", options, release.state).state == "dead"
        with closing(sqlite3.connect(next(release.log_folder.glob("*.sqlite")))) as log:
            assert log.execute("select count(*) from predictions").fetchone()[0] > 3
        again = container.apply(release, options, Quiet())  # what died comes back
        assert (again.state, again.sha256) == ("live", release.sha256)
    finally:
        container.remove("rooms", options, release.state)
    assert service.containers("podman", label_of(release.state, "rooms")) == []


def test_without_a_front(machine: Any, release_in: Callable[..., Release], tmp_path: Path) -> None:
    """The service owns the port; another takes it over, and comes back when a third does not come up."""
    options = _options(machine, port=free_port(), front=False)
    release = release_in(tmp_path, tiny_bundles.OLDER)
    stray = f"{label_of(release.state, 'rooms')}"
    try:
        container.apply(release, options, Quiet())
        # What a deploy that was killed may leave.
        machine.podman("create", "--name", "left", "--label", f"{commands.LABEL}={stray}", container_image(release))
        newer = release_in(tmp_path, tiny_bundles.NEWER)
        status = container.apply(newer, options, Quiet())
        assert (status.state, status.sha256) == ("live", newer.sha256)
        assert len(service.containers("podman", stray)) == 1
        with pytest.raises(DeploymentError, match="port"):
            container.apply(release_in(tmp_path, tiny_bundles.OLDER, name="others"), options, Quiet())
        broken = release_in(tmp_path, tiny_bundles.answers_otherwise(tmp_path / "broken"))
        with pytest.raises(DeploymentError, match=r"not 0\.15"):
            container.apply(broken, options, Quiet())
        assert service.ready(status.address) == newer.sha256
    finally:
        container.remove("rooms", options, release.state)
        container.remove("others", options, release.state)


def container_image(release: Release) -> str:
    kept = load(release.state / release.name)
    assert kept is not None
    return kept.image


def test_nothing_is_begun_without_its_secret(
    machine: Any, release_in: Callable[..., Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(_KEYS, raising=False)
    release = release_in(tmp_path, tiny_bundles.OLDER, serving={"keys_from": _KEYS})
    with pytest.raises(DeploymentError, match=_KEYS):
        container.apply(release, _options(machine), Quiet())
    assert not (tmp_path / "state").exists()
