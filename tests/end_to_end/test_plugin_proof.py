"""docs/plugins.md does what it says: its target is installed as a package into a clean environment, and deploys."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pizzeria import registry
from pizzeria.conformance import tiny_bundles
from pizzeria.inference.bundle import open_bundle
from pizzeria.loading import load_spec
from pizzeria.runs.store import Result, Store
from pizzeria.shipment import write_wheel

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
MOST_LINES = 60


def _block(language: str, containing: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    [one] = [block for block in found if containing in block]
    return str(one)


TARGET = _block("python", "def apply(")


@dataclass(frozen=True)
class Clean:
    """An environment of its own with Pizzeria and the target as distributions, and an empty working folder."""

    python: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIZZERIA"))}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=550, check=False
        )

    def pizzeria(self, *arguments: str) -> str:
        done = self.run(str(self.python.parent / "pizzeria"), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    folder = tmp_path_factory.mktemp("clean")
    source = folder / "pizzeria-cellar"
    (source / "src" / "pizzeria_cellar").mkdir(parents=True)
    (source / "src" / "pizzeria_cellar" / "__init__.py").write_text(TARGET)
    (source / "pyproject.toml").write_text(_block("toml", "pizzeria-cellar"))
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    # The libraries are those of the environment that tests; Pizzeria itself and the target are installed.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")}))
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "work").mkdir()
    for what in (str(write_wheel(folder)), str(source)):
        install = [
            "install",
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            "--disable-pip-version-check",
            "-q",
            what,
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(python), *install],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return Clean(python, folder / "work")


def test_it_is_short() -> None:
    lines = [line for line in TARGET.splitlines() if line.strip()]
    assert len(lines) < MOST_LINES, f"{len(lines)} lines"
    functions = {node.name for node in ast.parse(TARGET).body if isinstance(node, ast.FunctionDef)}
    assert set(registry.KINDS["targets"]) - {"Options"} <= functions


def test_the_table_of_kinds_is_right() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `[\w.\[\]]+` \| (.*?) \|$", PAGE, re.M))
    asked = {kind: parts.partition(";")[0] for kind, parts in rows.items()}  # what may be left out follows
    told = {kind: {"Options", *re.findall(r"`(\w+)`", parts)} for kind, parts in asked.items()}
    assert told == {kind: set(parts) for kind, parts in registry.KINDS.items()}


@pytest.mark.slow
def test_both_are_installed_for_themselves(clean: Clean) -> None:
    done = clean.run(
        str(clean.python), "-c", "import pizzeria, pizzeria_cellar as c; print(pizzeria.__file__, c.__file__)"
    )
    assert done.returncode == 0, done.stderr
    assert all(one.startswith(str(clean.python.parents[1])) for one in done.stdout.split())
    assert "pizzeria-cellar: pizzeria_cellar" in clean.pizzeria("plugins", "list", "targets")
    shown = clean.pizzeria("plugins", "show", "cellar")
    assert "pizzeria-cellar: pizzeria_cellar 0.1.0" in shown
    assert "patience_s  number, default 60" in shown


@pytest.mark.slow
def test_it_deploys_answers_and_goes(clean: Clean) -> None:
    _make_run(clean.folder, tiny_bundles.OLDER)
    assert "--host" in clean.pizzeria("deploy", "rooms-one", "--dry-run")
    wanted = open_bundle(tiny_bundles.OLDER).sha256
    said = clean.pizzeria("deploy", "rooms-one")
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
        assert wanted[:12] in said
        with urllib.request.urlopen(f"{address}/readyz", timeout=60) as answer:
            assert json.load(answer)["sha256"] == wanted
        _, photo = open_bundle(tiny_bundles.OLDER).sample_request()
        (clean.folder / "photo.jpg").write_bytes(photo)
        found = clean.pizzeria("predict", "--url", address, "photo.jpg")
        assert '"bed"' in found
        assert "live" in clean.pizzeria("status")
    finally:
        clean.pizzeria("stop", "rooms")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/readyz", timeout=60)


@pytest.mark.slow
def test_it_passes_the_conformance_suite(clean: Clean) -> None:
    said = clean.pizzeria("plugins", "test", "cellar", "patience_s=90")
    assert "0 failed" in said
    assert "passed  a newer bundle takes over, and no request fails meanwhile" in said


def _make_run(folder: Path, bundle: Path) -> None:
    """A run of `rooms` that has got as far as its bundle, and is to be deployed on the cellar."""
    resolved = load_spec(["experiment=amenities", "name=rooms"]).resolved()
    resolved["deployment"] = {"use": "cellar"}
    store = Store(folder / "runs")
    run = store.open_run("rooms-one", yaml.safe_dump(resolved, sort_keys=False))
    with store.partial("one-package", keep=False) as partial:
        shutil.copytree(bundle, partial / "bundle")
        facts = {"sha256": open_bundle(bundle).sha256}
        run.link(store.commit(partial, Result("package", "one-package", partial, facts, 0.0, "", {}, None)))
