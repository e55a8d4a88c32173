"""How large a function of AWS Lambda is, how long it takes to start, and how long a photo takes.

    .venv/bin/python tests/benchmarks/functions.py [--starts 15] [--photos 200] [--python python3.12]

The bundle is that of the serving benchmarks (`serving_bundles`, a detector). The zip is the one that `pizzeria deploy`
uploads, unzipped, and AWS's own bootstrap (awslambdaric) runs it against a runtime API on this machine, with nothing
importable but these two. A cold start is the time from the start of the process to the answer to its first photo, the
golden one, over the whole way through the runtime API; AWS adds what it takes to fetch the zip and to start a machine.
Starts with and without byte code in the zip take turns; the yardstick is a bootstrap whose handler does nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types
import zipfile
from pathlib import Path
from typing import Any

from serving_bundles import prepare

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.functions.packing import Built, build_zip
from pizzeria_plugins.targets.aws_lambda import Options
from pizzeria_plugins.targets.lambda_app import files
from pizzeria_plugins.targets.lambda_app.calls import event

BARS = {"zip": 70.0, "cold": 1.5}
_PARTS = """
import json, os, sys, time
began = time.perf_counter()
task = sys.argv[1]
sys.path[:0] = [task]
os.environ["LAMBDA_TASK_ROOT"] = task
os.environ["OPENBLAS_NUM_THREADS"] = "1"
def mark(name):
    global began
    now = time.perf_counter()
    parts[name] = now - began
    began = now
parts = {}
import numpy; mark("numpy")
import onnxruntime; mark("ONNX Runtime")
import PIL.Image; mark("Pillow")
import pydantic; mark("pydantic")
import mangum; mark("Mangum")
import pizzeria_plugins.servers.worker, pizzeria_plugins.servers.asgi, pizzeria_plugins.prediction_logs.lines
mark("Pizzeria")
from pizzeria_plugins.functions.lambda_front import open_handler
handler = open_handler(); mark("model opened, golden request answered")
handler(json.load(open(sys.argv[2])), None); mark("first answer")
print(json.dumps(parts), file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the function; 3.11 or 3.12")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pizzeria-functions")
    arguments = parser.parse_args()
    case = prepare(arguments.work, "detector")
    version = (
        "3."
        + subprocess.check_output([arguments.python, "-c", "import sys; print(sys.version_info[1])"], text=True).strip()
    )
    built = _build(case.bundle, arguments.work, version)
    task = _unzipped(built, arguments.work / "task")
    plain = arguments.work / "task without byte code"
    shutil.rmtree(plain, ignore_errors=True)
    shutil.copytree(task, plain, ignore=shutil.ignore_patterns("__pycache__"))
    empty = arguments.work / "empty"
    empty.mkdir(exist_ok=True)
    nothing = 'def handler(event, context):\n    return {"statusCode": 200}\n'
    (empty / "lambda_function.py").write_text(nothing)
    runtime = _runtime()
    bootstrap = runtime.bootstrap_folder(arguments.work / "bootstrap")
    _, photo = open_bundle(case.bundle).sample_request()
    golden = event("POST", "/predict", {"Content-Type": "image/jpeg"}, photo)

    starts: dict[str, list[float]] = {"with byte code": [], "without": [], "empty handler (yardstick)": []}
    folders = dict(zip(starts, (task, plain, empty), strict=True))
    for turn in range(arguments.starts + 1):
        for label, folder in folders.items():
            instance = runtime.Instance(folder, bootstrap, {}, arguments.python)
            kind, answer = instance.invoke(golden)
            seconds = time.perf_counter() - instance.begun
            instance.stop()
            if kind != "response" or answer["statusCode"] != 200:
                raise SystemExit(f"{label}: {answer}")
            if turn:  # the first ones fill the file cache
                starts[label].append(seconds)
    warm, invoked = _warm(runtime, task, bootstrap, golden, arguments)
    parts = _parts(task, golden, arguments)

    print(f"AWS Lambda, {case.name}, Python {version}; bundle {built.contents['bundle'] / 1e6:.1f} MB\n")
    print("| what | value | bar |\n|---|---|---|")
    print(f"| zip | {built.zipped / 1e6:.1f} MB | {BARS['zip']:g} MB |")
    print(f"| unzipped | {built.unzipped / 1e6:.1f} MB | {files.LIMITS.unzipped / 1e6:.0f} MB (AWS) |")
    print(f"| its largest parts | {built.largest()} | |")
    for label, seconds in starts.items():
        bar = f"{BARS['cold']:g} s" if label == "with byte code" else ""
        print(f"| cold start, {label} | {_spread(seconds, 1, 's')} | {bar} |")
    print(f"| a photo, warm, in the function | {_spread(warm, 1000, 'ms')} | |")
    print(f"| a photo, warm, through the runtime API | {_spread(invoked, 1000, 'ms')} | |")
    print("\n| part of a cold start, without the bootstrap | median ms |\n|---|---|")
    for part, seconds in parts.items():
        print(f"| {part} | {1000 * statistics.median(seconds):.0f} |")


def _build(bundle: Path, work: Path, python: str) -> Built:
    lines = registry.load("prediction_logs", "lines")
    server = registry.load("servers", "bentoml")
    release = Release(
        name="amenities",
        bundle=bundle,
        sha256=open_bundle(bundle).sha256,
        serving=Serving(options=server.Options(), log=PredictionLog(use="lines", options=lines.Options())),
        server=server,
        log_folder=work / "log",
        state=work / "state",
        task="object_detection",
    )
    options = Options(python=python)
    return build_zip(
        release,
        front=files.front_files(release),
        lock="lambda",
        modules=files.MODULES,
        path=work / "function.zip",
        cache=work / "cache",
        python=options.python_there,
        machine=options.machine,
        without=files.UNUSED,
        limits=files.LIMITS,
    )


def _unzipped(built: Built, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder)
    return folder


def _warm(
    runtime: Any, task: Path, bootstrap: Path, golden: Any, arguments: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Seconds of a photo: as the service counts them itself, and with the way through the runtime API."""
    instance = runtime.Instance(task, bootstrap, {}, arguments.python)
    own, whole = [], []
    for _ in range(arguments.photos):
        begun = time.perf_counter()
        _, answer = instance.invoke(golden)
        whole.append(time.perf_counter() - begun)
        own.append(float(answer["headers"]["server-timing"].partition("dur=")[2]) / 1000)
    instance.stop()
    return own[10:], whole[10:]


def _parts(task: Path, golden: Any, arguments: argparse.Namespace) -> dict[str, list[float]]:
    sent = arguments.work / "golden.json"
    sent.write_text(json.dumps(golden))
    out: dict[str, list[float]] = {}
    for _ in range(arguments.starts):
        command = [arguments.python, "-I", "-S", "-B", "-c", _PARTS, str(task), str(sent)]
        told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=task).stderr
        for part, seconds in json.loads(told.strip().splitlines()[-1]).items():
            out.setdefault(part, []).append(seconds)
    return out


def _spread(seconds: list[float], factor: float, unit: str) -> str:
    digits = 2 if unit == "s" else 1
    middle, least, most = statistics.median(seconds), min(seconds), max(seconds)
    return f"{factor * middle:.{digits}f} {unit} ({factor * least:.{digits}f} to {factor * most:.{digits}f})"


def _runtime() -> types.ModuleType:
    """The runtime API of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "plugins" / "targets"))
    return importlib.import_module("lambda_runtime")


if __name__ == "__main__":
    main()
