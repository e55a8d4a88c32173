"""docs/serving.md does what it says: each command and program in it runs against a live service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pizzeria.loading import load_spec
from pizzeria.spec.stages import Serving

from ..plugins.servers.conftest import bundle_of, classifier, describe, detector, photo, regressor, starting

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "serving.md"
KEY = "a-key-of-a-good-length"


@dataclass(frozen=True)
class Block:
    """A fenced block of the page, with the model that it is about, and the answer that is shown below it."""

    line: int
    language: str
    text: str
    model: str
    answer: Block | None = None


def _blocks() -> list[Block]:
    found: list[Block] = []
    model = "detector"
    pattern = r"^<!-- model: (?P<model>\w+) -->$|^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    text = PAGE.read_text()
    for match in reversed(list(re.finditer(pattern, text, re.M | re.S))):
        if match["language"]:
            before = re.findall(r"^<!-- model: (\w+) -->$", text[: match.start()], re.M)
            model = before[-1] if before else "detector"
            follows = found[0] if found and found[0].language in ("json", "http") else None
            line = text.count("\n", 0, match.start()) + 1
            found.insert(0, Block(line, match["language"], match["text"], model, follows))
    return found


BLOCKS = _blocks()


def _of(language: str) -> list[Any]:
    return [pytest.param(one, id=f"line {one.line}") for one in BLOCKS if one.language == language]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One service for each model of the page."""
    folder = tmp_path_factory.mktemp("models")
    columns = [{"name": name, "median": 1, "mean": 0, "std": 1} for name in ("rooms", "beds")]
    preprocessing = {
        "kind": "columns",
        "numeric": columns,
        "categorical": [],
        "target": {"name": "price", "mean": 0, "std": 1},
    }
    uncalibrated = {"calibration": {"method": "none"}}
    made = {
        "detector": (detector, describe("object_detection"), ("request.jpg", photo())),
        "classifier": (classifier, describe("image_classification", **uncalibrated), ("request.jpg", photo())),
        "table": (
            regressor,
            describe("tabular_regression", classes=[], preprocessing=preprocessing, **uncalibrated),
            ("request.json", b'[{"rooms": 2, "beds": 1}]'),
        ),
    }
    bundles = {}
    for name, (model, description, sample) in made.items():
        (folder / name).mkdir()
        model(folder / name / "model.onnx")
        bundles[name] = bundle_of(folder / name, description, sample)
    with starting(tmp_path_factory.mktemp("services")) as start:
        found = {name: start(bundle).url for name, bundle in bundles.items()}
        locked = start(bundles["detector"], keys_from="KITCHEN_KEYS", environment={"KITCHEN_KEYS": KEY})
        yield found | {"locked": locked.url}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the page names."""
    (tmp_path / "kitchen.jpg").write_bytes(photo(40, (640, 480)))
    (tmp_path / "bedroom.jpg").write_bytes(photo(240, (640, 480)))
    (tmp_path / "broken.jpg").write_bytes(photo(240, (640, 480))[:700])
    return tmp_path


def _run(command: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which("curl"), "the commands of docs/serving.md need curl"
    (folder / ".curlrc").write_text('silent\nshow-error\nnoproxy = "*"\nwrite-out = "%{stderr}status %{http_code}"\n')
    (folder / "bin").mkdir()
    (folder / "bin" / "pizzeria").write_text(f'#!/bin/sh\nexec {sys.executable} -m pizzeria.cli "$@"\n')
    (folder / "bin" / "pizzeria").chmod(0o755)
    environment = os.environ | {
        "SERVICE": url,
        "KITCHEN_KEY": KEY,
        "CURL_HOME": str(folder),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("block", _of("bash"))
def test_commands_answer_as_shown(block: Block, addresses: dict[str, str], folder: Path) -> None:
    done = _run(block.text, addresses[block.model], folder)
    assert done.returncode == 0, done.stderr
    if "curl" not in block.text:
        assert "Traceback" not in done.stderr
        return
    status = done.stderr.rpartition("status ")[2]
    if block.answer is None:
        assert status == "200", done.stdout
    elif block.answer.language == "json":
        assert status == ("202" if "/feedback" in block.text else "200"), done.stdout
        _same_shape(json.loads(block.answer.text), json.loads(done.stdout), "answer")
    else:
        _same_reply(block.answer.text, done.stdout)


def _same_reply(shown: str, found: str) -> None:
    """The status line, the headers and the error that are shown are there."""
    shown_head, _, shown_body = shown.partition("\n\n")
    head, _, body = found.replace("\r\n", "\n").partition("\n\n")
    assert head.splitlines()[0] == shown_head.splitlines()[0]
    headers = {line.lower() for line in head.splitlines()[1:]}
    assert {line.lower() for line in shown_head.splitlines()[1:]} <= headers
    error, told = json.loads(body)["error"], json.loads(shown_body)["error"]
    assert error.keys() == told.keys()
    assert (error["code"], error["hint"]) == (told["code"], told["hint"])  # the message may quote a library


def _same_shape(shown: Any, found: Any, where: str) -> None:
    """Equal keys, equal kinds of values; every element of a list is as the first one shown."""
    if isinstance(shown, dict):
        assert isinstance(found, dict), where
        assert found.keys() == shown.keys(), where
        for key in shown:
            _same_shape(shown[key], found[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(found, list), where
        assert found, f"{where} is empty"
        for i, item in enumerate(found):
            _same_shape(shown[0], item, f"{where}[{i}]")
    elif isinstance(shown, float):
        assert isinstance(found, int | float), where
        assert not isinstance(found, bool), where
    else:
        assert type(found) is type(shown), where


@pytest.mark.parametrize("block", _of("python"))
def test_programs_run(block: Block, addresses: dict[str, str], folder: Path) -> None:
    program = block.text.replace("http://127.0.0.1:3000", addresses[block.model])
    assert addresses[block.model] in program
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= program.count("print(") - program.count("except ")


@pytest.mark.parametrize("block", _of("yaml"))
def test_settings_are_right(block: Block, working_folder: Path) -> None:
    spec = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)[1])
    (working_folder / "mine.yaml").write_text(yaml.safe_dump(spec | yaml.safe_load(block.text)))
    found = load_spec(["mine.yaml"]).serving
    assert found != load_spec(["experiment=amenities"]).serving


def test_limits_are_the_defaults() -> None:
    rows = dict(re.findall(r"^\| `serving\.(\w+)` \| (.*?) \|", PAGE.read_text(), re.M))
    assert set(rows) == {"max_body_mb", "max_megapixels", "formats", "max_rows", "max_concurrency", "timeout_s"}
    serving = Serving(use="bentoml")
    for name, told in rows.items():
        value = getattr(serving, name)
        if value is None:  # from the machine
            assert told == "three for each core"
            continue
        assert told == (", ".join(value) if isinstance(value, tuple) else f"{value:g}")
