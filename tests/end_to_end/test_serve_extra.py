"""The extra `serve` alone, in an empty environment: small, without what training needs, and enough to serve from."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from pizzeria.inference.bundle import open_bundle

from ..plugins.servers.conftest import bundle_of, describe, detector, photo
from ..ports import held_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MOST_MB = 400
UNWANTED = (
    *("torch", "torchvision", "pytorch_lightning", "timm", "torchmetrics"),
    *("pandas", "pyarrow", "duckdb", "scipy", "sklearn", "statsmodels"),
    *("nannyml", "great_expectations", "plotly", "matplotlib"),
)

RENDER = """
import json, sys
from pathlib import Path
from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog, Serving

bundle, state, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
server, log = registry.load("servers", "bentoml"), registry.load("prediction_logs", "sqlite")
serving = Serving(log=PredictionLog(options=log.Options()), options=server.Options())
release = Release("amenities", bundle, open_bundle(bundle).sha256, serving, server, state / "log", state)
rendered = server.render(release, "127.0.0.1", port)
print(json.dumps([rendered.commands[0], rendered.environment]))
"""


@dataclass(frozen=True)
class Place:
    """An environment that holds `pizzeria[serve]` and nothing else, and a folder to work in."""

    python: Path
    folder: Path

    @property
    def packages(self) -> Path:
        [found] = (self.python.parents[1] / "lib").glob("python3.*/site-packages")
        return found

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), *command],
            cwd=self.folder,
            env=_clean(),
            capture_output=True,
            text=True,
            timeout=550,
            check=False,
        )


@dataclass(frozen=True)
class Served:
    url: str
    state: Path
    bundle: Path


def _clean() -> dict[str, str]:
    """Our environment without what would let packages of this one in."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def _constraints(target: Path) -> Path:
    """The versions of requirements.lock, without hashes and extras, which constraints cannot have."""
    lines = re.findall(r"^[A-Za-z0-9].*?==[^\\\n]+", (ROOT / "requirements.lock").read_text(), re.M)
    assert len(lines) > 100
    target.write_text("\n".join(re.sub(r"\[[^\]]*\]", "", line).strip() for line in lines))
    return target


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("serve")
    venv.create(folder / "venv", with_pip=True)
    found = Place(folder / "venv" / "bin" / "python", folder)
    pip = ("-m", "pip", "--disable-pip-version-check", "--no-input")
    asked = found.run(*pip, "download", "--quiet", "--no-deps", "--dest", str(folder / "probe"), "click")
    if asked.returncode:
        pytest.skip(f"no package registry answers, so the extra `serve` is not tested: {asked.stderr[-300:]}")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    built = subprocess.run([sys.executable, *build], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    [wheel] = folder.glob("pizzeria-*.whl")
    constraints = _constraints(folder / "constraints.txt")
    done = found.run(*pip, "install", "--quiet", "--constraint", str(constraints), f"{wheel}[serve]")
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Served]:
    """The bundle, served by that environment's Python with the command that the server plugin renders there."""
    detector(place.folder / "model.onnx")
    bundle = bundle_of(place.folder, describe("object_detection"), ("request.jpg", photo()))
    with held_port() as port:
        yield from _serving(place, bundle, port)


def _serving(place: Place, bundle: Path, port: int) -> Iterator[Served]:
    state = place.folder / "state"
    rendered = place.run("-c", RENDER, str(bundle), str(state), str(port))
    assert rendered.returncode == 0, rendered.stderr
    command, environment = json.loads(rendered.stdout)
    assert command[0] == str(place.python)
    state.mkdir()
    with open(state / "service.log", "w") as output:
        process = subprocess.Popen(
            command, cwd=place.folder, env=_clean() | environment, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url, state / "service.log")
        yield Served(url, state, bundle)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def _wait(process: subprocess.Popen[bytes], url: str, output: Path) -> None:
    until = time.monotonic() + 180
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < until, output.read_text()
        time.sleep(0.1)


def test_nothing_that_trains_or_monitors_is_installed(place: Place) -> None:
    there = {path.name.lower() for path in place.packages.iterdir()}
    assert "onnxruntime" in there
    assert [name for name in UNWANTED if name in there] == []
    code = f"import importlib.util as u; print([n for n in {UNWANTED!r} if u.find_spec(n)])"
    assert place.run("-c", code).stdout.strip() == "[]"


def test_it_is_small(place: Place) -> None:
    sizes = {}
    for top in place.packages.iterdir():
        files = top.rglob("*") if top.is_dir() else [top]
        sizes[top.name] = sum(file.lstat().st_size for file in files if file.is_file()) / 1e6
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    told = ", ".join(f"{name} {size:.0f}" for name, size in largest)
    print(f"\npizzeria[serve]: {sum(sizes.values()):.0f} MB installed; {told}")
    assert sum(sizes.values()) <= MOST_MB, told


def test_a_bundle_is_served_and_repeats_its_golden_answer(served: Served) -> None:
    bundle = open_bundle(served.bundle)
    with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as client:
        assert client.get("/readyz").json()["sha256"] == bundle.sha256
        _, data = bundle.sample_request()
        answer = client.post("/predict", content=data, headers={"Content-Type": "image/jpeg"}).json()
    assert answer.pop("prediction_id")
    assert answer == {**bundle.sample_answer(), "model": bundle.sha256}
    assert len(answer["boxes"]) == 2


def test_the_command_predicts_through_it_and_the_predictions_are_logged(place: Place, served: Served) -> None:
    photos = place.folder / "photos"
    photos.mkdir()
    for i in range(3):
        (photos / f"{i}.jpg").write_bytes(photo(100 + 50 * i))
    pizzeria = ("-m", "pizzeria.cli", "predict", "--url", served.url, "photos")
    done = place.run(*pizzeria, "--out", "found.csv", "--drawn", "drawn")
    assert done.returncode == 0, done.stderr
    assert len((place.folder / "found.csv").read_text().splitlines()) == 1 + 6
    assert len(list((place.folder / "drawn").iterdir())) == 3
    refused = place.run(*pizzeria, "--out", "found.parquet")
    assert refused.returncode == 4
    assert "pandas and pyarrow, which write Parquet, are not installed" in refused.stderr
    wanted = {"0.jpg", "1.jpg", "2.jpg"}
    until = time.monotonic() + 60
    while not wanted <= (names := _input_ids(served.state / "log")):  # the log is written behind the answers
        assert time.monotonic() < until, names
        time.sleep(0.1)


def _input_ids(folder: Path) -> set[str]:
    logged = [path for path in folder.rglob("*") if path.suffix in (".db", ".sqlite")]
    if not logged:
        return set()
    [database] = logged
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone():
            return set()
        return {row[0] for row in connection.execute("SELECT input_id FROM predictions")}
