"""Which release and which environments a machine must have, as hashes that name their folders there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.shipment import content_hash, log_lock, read_lock, wheel_files
from pizzeria_plugins.targets.vm_options import Options


@dataclass(frozen=True)
class Identity:
    """Hashes.

    Attributes:
        content: Of what is served: the `content` of the payload.
        environment, tools: Of the environments that serve and that watch; empty where none is to be made.
        package: Name of the folder that the run's package left; empty where nothing watches.
    """

    content: str
    environment: str
    tools: str
    package: str


def identity_of(release: Release, options: Options) -> Identity:
    """Reads the bundle and what the service needs beside it, and writes nothing."""
    environment = tools = package = ""
    if options.python_environment is None:
        environment = _environment(f"serve{log_lock(release)}")
    if release.schedule.monitor is not None and release.run is not None:
        package = (release.run / "stages" / "package").resolve().name
        tools = _environment("monitor") if options.python_environment is None else ""
    return Identity(_content(release), environment, tools, package)


def _environment(lock: str) -> str:
    """Lock and wheel decide an environment; the wheel's own record has the hash of all that is in it."""
    files = wheel_files()
    [record] = [content for name, content in files.items() if name.endswith(".dist-info/RECORD")]
    return _joined(hashlib.sha256(read_lock(lock).encode()).hexdigest(), hashlib.sha256(record).hexdigest())


def _content(release: Release) -> str:
    rooms = release.serving.verification.rooms
    nothing = hashlib.sha256(b"").hexdigest()
    rooms_hash = nothing if rooms is None else content_hash(Path(rooms).expanduser())
    return _joined(content_hash(release.bundle), rooms_hash, _plugins(release))


def _plugins(release: Release) -> str:
    """Those of the working folder, as `write_payload` sends them."""
    log = release.serving.log
    wanted = [("servers", release.serving.use), *([("prediction_logs", log.use)] if log is not None else [])]
    files = {
        Path(kind) / found.file.name: found.file
        for kind, name in wanted
        for found in registry.find(kind).get(name, [])
        if found.file is not None
    }
    lines = [f"{name.as_posix()}\0{content_hash(files[name])}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _joined(*hashes: str) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
