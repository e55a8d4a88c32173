"""A deployment target for tests: its service is a file in `place`, which says what serves.

`STALL_AT` names a point at which a command writes the file `stalled` and waits to be killed; `BREAK_AT` one at which
the target fails. Tests copy it to ./plugins/targets.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.atomic import write_json
from pizzeria.contracts import DeploymentStatus, Observation, Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.spec.section import Options as PluginOptions


class Options(PluginOptions):
    """Options of the target."""

    place: str = Field(default="here", description="Folder of the service.")
    fault: str = Field(default="", description="errors, slow, hash or silence: how a staged bundle misbehaves.")
    port: int = Field(default=1, description="A setting.")


def _point(name: str) -> None:
    if os.environ.get("BREAK_AT") == name:
        raise DeploymentError(f"it broke at {name}", hint="mend it")
    if os.environ.get("STALL_AT") == name:
        Path("stalled").write_text(name)
        time.sleep(600)


def _load(options: Options, name: str) -> dict[str, Any]:
    path = Path(options.place) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _save(options: Options, name: str, state: dict[str, Any]) -> None:
    Path(options.place).mkdir(exist_ok=True)
    write_json(Path(options.place) / f"{name}.json", state)


def render(release: Release, options: Options) -> Rendered:
    return Rendered({"service.ini": f"[{release.name}]\n"}, [["serve", release.sha256]], {"PLACE": options.place})


def apply(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    _point("apply begins")
    old = _load(options, release.name)
    _save(options, release.name, {**old, "starting": release.sha256})
    _point("apply starts the new one")
    if os.environ.get("LEAVES_NOTHING"):
        _save(options, release.name, {"sha256": "", "dead": True})
    _point("apply has stopped the old one")
    _save(options, release.name, {"sha256": release.sha256, "port": options.port})
    _point("apply has switched")
    return status(release.name, options, release.state)


def status(name: str, options: Options, state: Path) -> DeploymentStatus:
    found = _load(options, name)
    address = f"http://{options.place}"
    if not found or (not found.get("sha256") and not found.get("dead")):
        return DeploymentStatus("absent")
    if found.get("dead"):
        return DeploymentStatus("dead", address, detail="it ended by itself")
    return DeploymentStatus("live", address, found["sha256"], f"port {found.get('port')}")


def remove(name: str, options: Options, state: Path) -> None:
    _point("remove begins")
    path = Path(options.place) / f"{name}.json"
    path.unlink(missing_ok=True)
    _point("remove has removed")


def stage(release: Release, options: Options, progress: Progress) -> DeploymentStatus:
    found = _load(options, release.name)
    if not found.get("sha256"):
        raise DeploymentError("nothing is live that it could be staged beside")
    _point("stage begins")
    _save(options, release.name, {**found, "staged": release.sha256, "percent": 0})
    _point("stage has staged")
    return DeploymentStatus("live", f"http://{options.place}/staged", release.sha256)


def shift(name: str, options: Options, state: Path, percent: int) -> None:
    _point(f"shift {percent} begins")
    _save(options, name, {**_load(options, name), "percent": percent})
    _point(f"shift {percent} has shifted")


def observe(
    name: str, options: Options, state: Path, sample: tuple[str, bytes], probes: int
) -> tuple[Observation, Observation]:
    assert sample[0] == "request.json"
    assert json.loads(sample[1])["rows"]
    found = _load(options, name)
    _point(f"observe {found['percent']}")
    requests, errors, p95_ms, sha256 = probes, 0, 12.0, found["staged"]
    if options.fault == "errors" and found["percent"] > 5:
        errors = probes // 2
    elif options.fault == "slow":
        p95_ms = 700.0
    elif options.fault == "hash":
        sha256 = "0" * 64
    elif options.fault == "silence":
        requests, p95_ms = 0, float("nan")
    return Observation(sha256, requests, errors, p95_ms), Observation(found["sha256"], 100, 0, 10.0)


def settle(name: str, options: Options, state: Path, keep: bool, progress: Progress) -> DeploymentStatus:
    found = _load(options, name)
    _point(f"settle {keep} begins")
    if found.get("staged"):
        kept = found["staged"] if keep else found["sha256"]
        _save(options, name, {"sha256": kept, "port": options.port})
    _point(f"settle {keep} has settled")
    return status(name, options, state)
