"""Who takes part in the serving benchmark: Pizzeria's service, four rivals, and the in-process limit."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from serving_bundles import BACKBONE, ROOMS, Case
from serving_process import HERE, Limit, Load, Memory, Server, free_port

from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.photos import decode
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml

RIVALS = HERE / "serving_rivals"
sys.path.append(str(RIVALS))

from onnx_model import OnnxModel  # noqa: E402

CONNECTIONS = 16
TOLERANCE = 0.02
"""Of a probability. Answers of another photo are off by more."""
_BOUNDARY = "-----------------------------pizzeria"
_LIMITS = {
    "in-process, photos decoded in full": "plain",
    "in-process, our decoding": "own",
    "in-process, our whole answer": "contract",
}
_TABLE_LIMITS = {
    "in-process, arrays": "arrays",
    "in-process, JSON": "plain",
    "in-process, our whole answer": "contract",
}


@dataclass
class Contender:
    """One line of a table.

    Attributes:
        name: As the table says it.
        group: The process, paused until its turn.
        case: What it serves.
        bodies: Folder of the requests' bodies for wrk.
        content_type: Of these bodies.
        golden: For each request the probabilities that its answer must have.
    """

    name: str
    group: Server | Limit
    case: Case
    bodies: Path
    content_type: str
    golden: list[list[float]]

    def turn(self, seconds: int) -> Load:
        """One measurement; the others are paused."""
        self.group.resume()
        if isinstance(self.group, Limit):
            found = self.group.measure(seconds)
        else:
            found = self.group.drive(CONNECTIONS, seconds, self.bodies, len(self.case.bodies), self.content_type)
            self.group.settle()
        self.group.pause()
        if found.not_2xx or found.broken:
            self.group.fail(f"{self.name}: {found.not_2xx} answers were not 2xx, {found.broken} requests broke off")
        return found

    def warm_up(self) -> None:
        """A second of load; the limit's process did that when it began."""
        if isinstance(self.group, Server):
            self.turn(1)

    def check(self) -> None:
        """Every request is answered as in-process."""
        if isinstance(self.group, Limit):
            return
        self.group.resume()
        for path, wanted in zip(sorted(self.bodies.iterdir()), self.golden, strict=True):
            found = figures(self.group.post(path.read_bytes(), self.content_type))
            off = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
            if off > TOLERANCE:
                self.group.fail(f"{self.name}: an answer to {path} is off by {off:.3f}: {found[:8]}, not {wanted[:8]}")
        self.group.pause()

    def memory(self) -> Memory:
        return self.group.memory()


def figures(answer: Mapping[str, Any]) -> list[float]:
    """All probabilities of an answer, in the order of the classes or rows."""
    if "predictions" in answer:
        return [figure for row in answer["predictions"] for figure in figures(row)]
    if "presence" in answer:
        return [found["probability"] for found in answer["presence"].values()]
    return list(answer["probabilities"].values())


def limits(case: Case, folder: Path) -> list[Contender]:
    """The in-process lines."""
    ways = _TABLE_LIMITS if case.name == "table" else _LIMITS
    bodies = case.bundle.parent / "bodies"
    found = []
    for name, way in ways.items():
        group = Limit(case.bundle, bodies, way, folder / f"{way}.log")
        group.pause()
        found.append(Contender(name, group, case, bodies, case.content_type, []))
    return found


def thin(case: Case, folder: Path) -> Contender:
    """`serving_rivals/thin_asgi.py`."""
    port = free_port()
    command = [sys.executable, str(RIVALS / "thin_asgi.py"), str(case.bundle), str(port)]
    return _rival("thin ASGI app (Starlette, uvicorn)", case, folder, command, port)


def bentoml_image(case: Case, folder: Path) -> Contender:
    """`serving_rivals/bentoml_image.py`."""
    return _bentoml("BentoML, its image descriptor", "bentoml_image", case, folder)


def bentoml_torch(case: Case, folder: Path) -> Contender:
    """`serving_rivals/bentoml_torch.py`."""
    return _bentoml("BentoML over PyTorch", "bentoml_torch", case, folder)


def litserve(case: Case, folder: Path) -> Contender:
    """`serving_rivals/litserve_batched.py`, which takes forms, not bodies."""
    port = free_port()
    forms = folder / "forms"
    forms.mkdir(exist_ok=True)
    for path in (case.bundle.parent / "bodies").iterdir():
        (forms / path.name).write_bytes(_form(path.read_bytes()))
    command = [sys.executable, str(RIVALS / "litserve_batched.py"), str(case.bundle), str(port)]
    found = _rival("LitServe, batching", case, folder, command, port, ready="/health")
    found.bodies, found.content_type = forms, f"multipart/form-data; boundary={_BOUNDARY}"
    return found


def pizzeria(case: Case, folder: Path, *, workers: int, log: bool) -> Contender:
    """The service, started by the command that `pizzeria deploy` uses."""
    name = f"Pizzeria, {workers} worker{'s' * (workers > 1)}{'' if log else ', no prediction log'}"
    state = folder / f"pizzeria-{workers}-{log}"
    state.mkdir()
    server = start_pizzeria(case, state, workers=workers, log=log, max_concurrency=2 * CONNECTIONS * workers)
    server.pause()
    return Contender(name, server, case, case.bundle.parent / "bodies", case.content_type, golden(case, own=True))


def start_pizzeria(case: Case, state: Path, *, workers: int, log: bool, max_concurrency: int | None) -> Server:
    """The service on a free port; its prediction log goes to `state`."""
    serving = Serving(
        options=bentoml.Options(workers=workers),
        max_concurrency=max_concurrency,
        log=PredictionLog(options=sqlite.Options()) if log else None,
    )
    release = Release(
        name=case.name,
        bundle=case.bundle,
        sha256=open_bundle(case.bundle).sha256,
        serving=serving,
        server=bentoml,
        log_folder=state / "log",
        state=state,
    )
    port = free_port()
    rendered = bentoml.render(release, "127.0.0.1", port)
    return Server(rendered.commands[0], rendered.environment, state / "service.log", port)


def golden(case: Case, *, own: bool) -> list[list[float]]:
    """The probabilities of each request, in-process; `own`: photos decoded as Pizzeria does."""
    model = OnnxModel(case.bundle)
    if not own or case.name == "table":
        return [figures(model.answer(body)) for body in case.bodies]
    photos = [decode(body, max_megapixels=40, preprocessing=model.preprocessing) for body in case.bodies]
    return [figures(model.photo(photo.image, (photo.width, photo.height))) for photo in photos]


def _bentoml(name: str, module: str, case: Case, folder: Path) -> Contender:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        f"{module}:service",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    return _rival(name, case, folder, command, port)


def _rival(name: str, case: Case, folder: Path, command: list[str], port: int, ready: str = "/readyz") -> Contender:
    environment = {
        "PYTHONPATH": str(RIVALS),
        "OMP_NUM_THREADS": "1",
        "BENTOML_HOME": str(folder / f"bentoml-{port}"),
        "BENTOML_DO_NOT_TRACK": "True",
        "RIVAL_BUNDLE": str(case.bundle),
        "RIVAL_WEIGHTS": str(case.weights),
        "RIVAL_BACKBONE": BACKBONE,
        "RIVAL_CLASSES": json.dumps(ROOMS),
    }
    server = Server(command, environment, folder / f"{port}.log", port, ready)
    server.pause()
    bodies = case.bundle.parent / "bodies"
    return Contender(name, server, case, bodies, case.content_type, golden(case, own=False))


def _form(photo: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
    stream = BytesIO()
    stream.write(f"{head}Content-Type: image/jpeg\r\n\r\n".encode())
    stream.write(photo)
    stream.write(f"\r\n--{_BOUNDARY}--\r\n".encode())
    return stream.getvalue()
