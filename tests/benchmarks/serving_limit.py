"""What the model itself can do on this machine: called in-process from as many threads as there are cores.

A process of its own, told by lines on standard input what to do, so that it can wait beside the servers without work:

    python serving_limit.py BUNDLE BODIES WAY

It answers each line SECONDS with one line of JSON: requests, seconds, p50_ms, p99_ms. Ways to answer a request:

| way | what is timed |
|---|---|
| plain | Pillow decodes the whole photo; resizing, model, JSON of the answer |
| own | the same with `pizzeria.inference.photos.decode`, which decodes no more of a JPEG than the model needs |
| contract | `Contract.answer`: all that the service does but HTTP and the prediction log |
| arrays | the model alone, on arrays (tables) |
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).with_name("serving_rivals")))

from onnx_model import OnnxModel

from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor

Answer = Callable[[bytes], Any]


def way(name: str, bundle: Path) -> Answer:
    """A function from a request's body to the bytes of its answer."""
    if name == "contract":
        contract = Contract(Predictor(open_bundle(bundle), 1), Limits())
        tabular = contract.predictor.bundle.task.startswith("tabular")
        headers = {"content-type": "application/json" if tabular else "image/jpeg"}
        return lambda body: contract.answer("POST", "/predict", headers, body).body
    model = OnnxModel(bundle)
    if name == "plain":
        return lambda body: json.dumps(model.answer(body)).encode()
    if name == "own":

        def answer(body: bytes) -> bytes:
            photo = decode(body, max_megapixels=40, preprocessing=model.preprocessing)
            return json.dumps(model.photo(photo.image, (photo.width, photo.height))).encode()

        return answer
    if name == "arrays":
        known: dict[bytes, Any] = {}

        def run(body: bytes) -> Any:
            if body not in known:
                known[body] = model.arrays(body)
            return model.probabilities(known[body])

        return run
    raise SystemExit(f"no way {name!r}; there are plain, own, contract and arrays")


def measure(answer: Answer, bodies: list[bytes], seconds: float) -> dict[str, float]:
    """Answer for so long from all threads; times of single answers in milliseconds."""
    threads = len(os.sched_getaffinity(0))

    def work(first: int) -> list[float]:
        times = []
        at, end = first, time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            answer(bodies[at % len(bodies)])
            times.append(time.perf_counter() - begun)
            at += 1
        return times

    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times = np.concatenate(list(pool.map(work, range(threads))))
    took = time.perf_counter() - begun
    p50, p99 = np.percentile(times * 1000, (50, 99)).tolist()
    return {"requests": len(times), "seconds": took, "p50_ms": p50, "p99_ms": p99, "not_2xx": 0, "broken": 0}


def main() -> None:
    bundle, folder, name = sys.argv[1:4]
    bodies = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    answer = way(name, Path(bundle))
    for body in bodies:
        answer(body)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(answer, bodies, float(line))), flush=True)


if __name__ == "__main__":
    main()
