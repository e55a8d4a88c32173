"""The folder that a deployment takes along.

bundle/                  the bundle
rooms/                   the bundle that tells rooms apart, where the spec names one
plugins/<kind>/*.py      plugins of the working folder that the service needs: it is the service's working folder
requirements.txt         a lock with hashes
pizzeria-*.whl           Pizzeria itself
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.shipment.archive import content_hash
from pizzeria.shipment.locks import read_lock
from pizzeria.shipment.needs import log_lock
from pizzeria.shipment.wheel import wheel_name, write_wheel


@dataclass(frozen=True)
class Payload:
    """What was written.

    Attributes:
        folder: Where.
        wheel: Name of Pizzeria's wheel in it.
        environment: sha256 of what decides the Python environment: lock and wheel.
        content: sha256 of all the rest: what is served.
    """

    folder: Path
    wheel: str
    environment: str
    content: str


def write_payload(release: Release, folder: Path) -> Payload:
    """Write it into a folder, which may hold rendered files already; an older payload in it is replaced.

    Raises:
        BundleError: the bundle is damaged, or is another one than the release says.
        DeploymentError: the service needs a plugin of a package that is not on any index.
    """
    check_bundle(release)
    folder.mkdir(parents=True, exist_ok=True)
    _copy(release.bundle, folder / "bundle")
    if release.serving.verification.rooms is not None:
        _copy(Path(release.serving.verification.rooms).expanduser(), folder / "rooms")
    _copy_plugins(release, folder / "plugins")
    lock = folder / "requirements.txt"
    lock.write_text(read_lock(f"serve{log_lock(release)}"))
    wheel = write_wheel(folder)
    parts = [content_hash(folder / name) for name in ("bundle", "rooms", "plugins")]
    return Payload(folder, wheel_name(), _joined(content_hash(lock), content_hash(wheel)), _joined(*parts))


def check_bundle(release: Release) -> None:
    """Open the release's bundle, and see that it is the one that the release names.

    Raises:
        BundleError: it is damaged, or another one.
    """
    found = open_bundle(release.bundle).sha256
    if found != release.sha256:
        raise BundleError(f"{release.bundle} is bundle {found[:12]}, and {release.sha256[:12]} was to be deployed")


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _copy_plugins(release: Release, folder: Path) -> None:
    """Those of the working folder; the built-in ones are in the wheel."""
    shutil.rmtree(folder, ignore_errors=True)
    log = release.serving.log
    for kind, name in [("servers", release.serving.use), *([("prediction_logs", log.use)] if log is not None else [])]:
        for found in registry.find(kind).get(name, []):
            if found.file is not None:
                (folder / kind).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found.file, folder / kind / found.file.name)
            elif not found.origin.startswith("pizzeria:"):
                raise DeploymentError(
                    f"the plugin {name!r} ({found.origin}) is needed where the model is served, and cannot be sent",
                    hint=f"put it into ./plugins/{kind}/{name}.py, or use a built-in one",
                )


def _joined(*hashes: str) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
