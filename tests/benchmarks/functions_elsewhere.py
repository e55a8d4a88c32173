"""How large a function of Google and of Azure is, how long it takes to start, and how long a photo takes.

    .venv/bin/python tests/benchmarks/functions_elsewhere.py [--starts 15] [--photos 200]

The bundle is that of the serving benchmarks (a detector), the zips are those that `pizzeria deploy` uploads. Google's
is served by functions-framework, Azure's by its worker library behind the host of the tests, with nothing importable
but the zip and what the platform itself brings. A cold start is the time from the start of the process to the answer
to its golden photo; the providers add what it takes to fetch the zip and to start a machine. The two take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from serving_bundles import prepare
from tests.plugins.targets.function_places import Place, clear

from pizzeria.conformance.asking import Quiet
from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import lines
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import azure_functions, google_functions

_AZURE = {
    "subscription": "00000000-0000-0000-0000-000000000001",
    "resource_group": "a",
    "function_app": "app",
    "storage_account": "abc",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pizzeria-functions")
    arguments = parser.parse_args()
    bundle = prepare(arguments.work, "detector").bundle
    log = PredictionLog(use="lines", options=lines.Options())
    serving = Serving(options=bentoml.Options(), log=log)
    release = Release(
        "rooms", bundle, open_bundle(bundle).sha256, serving, bentoml, arguments.work / "log", arguments.work / "state"
    )
    zips = {}
    for kind, target, options in (
        ("google", google_functions, google_functions.Options(project="a-project", bucket="abc")),
        ("azure", azure_functions, azure_functions.Options(**_AZURE)),
    ):
        (arguments.work / kind).mkdir(parents=True, exist_ok=True)
        target.build(release, options, arguments.work / kind, Quiet())
        zips[kind] = arguments.work / kind / "function.zip"
    photo = open_bundle(bundle).sample_request()[1]
    colds: dict[str, list[float]] = {kind: [] for kind in zips}
    warm: dict[str, list[float]] = {}
    for turn in range(arguments.starts + 1):
        for kind, path in zips.items():
            place = Place(path, kind)
            try:
                seconds = _first_answer(place, photo)
                if turn:  # the first start fills the disk cache
                    colds[kind].append(seconds)
                if turn == arguments.starts:
                    warm[kind] = sorted(_timed(place.port, photo) for _ in range(arguments.photos))
            finally:
                place.stop()
    clear()
    for kind, path in zips.items():
        with zipfile.ZipFile(path) as archive:
            unzipped = sum(one.file_size for one in archive.infolist())
        figures = {
            "zip_mb": round(path.stat().st_size / 1e6, 1),
            "unzipped_mb": round(unzipped / 1e6, 1),
            "cold_s": round(statistics.median(colds[kind]), 2),
            "slowest_cold_s": round(max(colds[kind]), 2),
            "photo_ms": round(1000 * statistics.median(warm[kind]), 1),
            "photo_p95_ms": round(1000 * warm[kind][int(0.95 * len(warm[kind]))], 1),
        }
        print(kind, json.dumps(figures))


def _first_answer(place: Place, photo: bytes) -> float:
    while place.process.poll() is None:
        with contextlib.suppress(OSError):
            _timed(place.port, photo)
            return time.monotonic() - place.begun
        time.sleep(0.005)
    raise SystemExit(place.output.read_text())


def _timed(port: int, photo: bytes) -> float:
    begun = time.perf_counter()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/predict", photo, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{answer.status}: {body!r}")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
