"""The environment that the target `vm` makes on the machine: by pip, from the lock, as it would be anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pizzeria.conformance.corpus import differences, over_http, record
from pizzeria.conformance.tiny_bundles import NEWER, OLDER
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import read_lock
from pizzeria_plugins.targets import vm

from .conftest import Lines, Machine

pytestmark = pytest.mark.slow
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the lock names, as a user fetches it for a machine without an index."""
    folder = tmp_path_factory.mktemp("wheels")
    lock = folder / "requirements.txt"
    lock.write_text(read_lock("serve"))
    download = [PYTHON, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--disable-pip-version-check"]
    locked = ["--require-hashes", "--only-binary", ":all:", "--no-binary", "antlr4-python3-runtime", "-r", str(lock)]
    download[0] = sys.executable
    for what in (locked, ["setuptools", "wheel"]):
        done = subprocess.run([*download, *what], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"pip cannot fetch the lock, so that no environment is made: {done.stderr[-300:]}")
    return folder


def test_an_environment_is_made_once_and_serves(
    machine: Machine, release_of: Callable[..., Release], wheels: Path, tmp_path: Path
) -> None:
    version = subprocess.run(
        [PYTHON, "-c", "import ensurepip, sys; print(sys.version_info[:2])"], capture_output=True, text=True
    )
    if version.stdout.strip() != repr(sys.version_info[:2]):
        pytest.skip(f"{PYTHON} is not the Python that the wheels are for, or has no venv: no environment is made")
    for folder in (machine.folder, *machine.folder.parents):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    options = machine.options(python=PYTHON, python_environment=None, wheels=wheels, service_user="nobody")
    older, newer = release_of(OLDER, "made"), release_of(NEWER, "made")
    said = Lines()
    vm.apply(older, options, said)
    assert any("the environment is there after" in line for line in said.lines)
    assert differences(record(OLDER, older.serving), over_http(options.public_address)) == []
    [log] = (Path(options.root) / "state" / "made" / "predictions").glob("*.sqlite")
    assert log.stat().st_uid == 65534, "the service is not root"
    again = Lines()
    vm.apply(newer, options, again)
    assert not any("environment" in line for line in again.lines)
    [made] = [one for one in (Path(options.root) / "environments").iterdir() if not one.name.startswith(".")]
    (made / "pizzeria-complete").unlink()  # as if the command before had been cut off
    half = Lines()
    vm.remove("made", options, tmp_path)
    with pytest.raises(DeploymentError, match=r"(?s)pip.*failed on the machine") as caught:
        vm.apply(older, options.model_copy(update={"wheels": _empty(tmp_path)}), half)
    assert "deployment.wheels=" in caught.value.hint
    assert vm.status("made", options, tmp_path).state == "absent"


def _empty(folder: Path) -> Path:
    """Wheels, but none that is needed."""
    found = folder / "wheels"
    found.mkdir()
    (found / "nothing-1-py3-none-any.whl").write_bytes(b"")
    return found
