"""A process that forks a child for each attack, with bounded memory and time, and sees what it does.

    python -m pizzeria.torture.hostile_archives.kitchen CASES

CASES is a JSON list of {door, given, allowed, seen}. Into the file `seen` goes {end, message, seconds, grown, wrote}:
`end` is `refused`, the class of another error, or empty when the door took what it was given; `grown` the MiB that the
process grew by, and `wrote` what was opened for writing, or linked, outside of the folder `allowed`.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pizzeria.torture.forked import in_a_fork

LIMIT = 120
"""Seconds of the clock after which a child is killed."""
MEMORY = 2 << 30
"""Bytes of address space that a child may take on top of what it began with."""


def fetch(given: Path) -> None:
    """An archive of data."""
    from pizzeria.fetching import local

    local(given)


def bundle(given: Path) -> None:
    """A zip that is said to be a bundle: imported, deployed or served."""
    from pizzeria.inference.bundle import open_bundle

    open_bundle(given)


def decode(given: Path) -> None:
    """A photo that comes to the service, with its usual limit."""
    from pizzeria.inference.photos import decode as of_service

    of_service(given.read_bytes(), max_megapixels=40)


def inspect(given: Path) -> None:
    """A photo among data."""
    from pizzeria.errors import DataError
    from pizzeria.intake.inspection import inspect as of_intake

    found = of_intake(given.read_bytes(), "0" * 64, 100)
    if found.problem:
        raise DataError(found.problem)


def collect(given: Path) -> None:
    """A folder of data, as its source reads it."""
    from pizzeria import registry
    from pizzeria.progress import PlainProgress
    from pizzeria.spec.problem import Criterion, Problem

    said = json.loads((given / "source.json").read_text())
    source = registry.load("sources", said["use"])
    task = {"table": "tabular_classification", "image_folder": "multilabel_classification"}.get(said["use"])
    tabular = task == "tabular_classification"
    problem = Problem(
        need="To hold.",
        owner="torture",
        task=task or "object_detection",  # type: ignore[arg-type]
        classes=("no", "yes") if tabular else ("bed", "sofa"),
        target="answer" if tabular else None,
        success=(Criterion(metric="any", at_least=0),),
    )
    (given / "out").mkdir()
    said_to = PlainProgress(io.StringIO())
    source.collect(source.Options.model_validate_json(json.dumps(said["options"])), problem, given / "out", said_to)


DOORS: dict[str, Callable[[Path], None]] = {
    "fetch": fetch, "bundle": bundle, "decode": decode, "inspect": inspect, "collect": collect,
}  # fmt: skip


def _watch(allowed: str, seen: list[str]) -> None:
    deeds = ("os.symlink", "os.mkfifo", "os.system", "os.exec", "subprocess.Popen", "socket.connect")

    def hook(event: str, given: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        at = given[0] if writes else given[1] if event == "os.link" else None
        outside = isinstance(at, str) and not os.path.normpath(Path.cwd() / at).startswith(allowed)
        if event in deeds or outside:
            seen.append(f"{event} {given[:2]!r}"[:200])

    sys.addaudithook(hook)


def _grown() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(case: dict[str, Any]) -> None:
    address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (address_space + MEMORY,) * 2)
    wrote: list[str] = []
    end, message, before, began = "", "", _grown(), time.perf_counter()
    _watch(case["allowed"], wrote)
    try:
        DOORS[case["door"]](Path(case["given"]))
    except BaseException as error:
        from pizzeria.errors import PizzeriaError

        end = "refused" if isinstance(error, PizzeriaError) else type(error).__name__
        message = str(error)[:2_000]
    seen = {"end": end, "message": message, "seconds": time.perf_counter() - began, "grown": _grown() - before}
    Path(case["seen"]).write_text(json.dumps(seen | {"wrote": list(wrote)}))


def _warm() -> None:
    from PIL import Image

    from pizzeria import registry

    Image.init()
    for name in ("coco", "pascal_voc", "yolo", "table", "image_folder"):
        registry.load("sources", name)
    import pandas  # noqa: F401 - what the sources import when they read


if __name__ == "__main__":
    _warm()
    for each in json.loads(Path(sys.argv[1]).read_text()):
        in_a_fork(partial(_child, each), LIMIT)
