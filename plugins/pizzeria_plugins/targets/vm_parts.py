"""The pieces that a machine may lack, each as a tar: the release, what environments are made from, and a run."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import Payload, read_lock, write_payload
from pizzeria_plugins.targets.vm_identity import Identity, identity_of
from pizzeria_plugins.targets.vm_options import Options

_TOOLS = "tools.txt"


@dataclass(frozen=True)
class Parts:
    """What lies in a folder here, ready to be sent."""

    payload: Payload
    identity: Identity
    run: Path | None
    wheels: Path | None

    def archive(self, piece: str) -> Path:
        """The tar of one piece.

        Args:
            piece: `release`, `environment`, `tools` or `run`.
        """
        folder = self.payload.folder
        path = folder / f"{piece}.tar"
        with tarfile.open(path, "w") as tar:
            for name, source in self._files(piece):
                tar.add(source, name, recursive=False, filter=_plain)
        return path

    def _files(self, piece: str) -> Iterator[tuple[str, Path]]:
        folder = self.payload.folder
        if piece == "release":
            for name in ("bundle", "rooms", "plugins"):
                yield from _below(name, folder / name)
        elif piece == "run":
            assert self.run is not None
            yield "run/spec.yaml", self.run / "spec.yaml"
            yield from _below("package", (self.run / "stages" / "package").resolve())
        else:
            yield "requirements.txt", folder / ("requirements.txt" if piece == "environment" else _TOOLS)
            yield self.payload.wheel, folder / self.payload.wheel
            if self.wheels is not None:
                for pattern in ("*.whl", "*.tar.gz"):
                    for file in sorted(self.wheels.glob(pattern)):
                        yield f"wheels/{file.name}", file


@contextmanager
def gathered(release: Release, options: Options) -> Iterator[Parts]:
    """Everything that goes to the machine, in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="pizzeria-vm-") as folder:
        yield gather(release, options, Path(folder))


def gather(release: Release, options: Options, folder: Path) -> Parts:
    """Everything that goes to the machine.

    Raises:
        BundleError: the bundle is damaged.
        DeploymentError: something that should go there is not here.
    """
    wheels = options.wheels.expanduser() if options.wheels is not None else None
    if wheels is not None and not any(wheels.glob("*.whl")):
        raise DeploymentError(f"there is no wheel in {wheels}", hint="fill it: pip download -r ... -d " + str(wheels))
    payload = write_payload(release, folder)
    (folder / _TOOLS).write_text(read_lock("monitor"))
    return Parts(payload, identity_of(release, options), release.run, wheels)


def keep(release: Release, options: Options, folder: Path) -> None:
    """Write all pieces as files, to be looked at."""
    work = folder / ".gathering"
    try:
        parts = gather(release, options, work)
        identity = parts.identity
        there = {"environment": identity.environment, "tools": identity.tools, "run": identity.package}
        pieces = ["release", *(piece for piece, hashed in there.items() if hashed)]
        for piece in pieces:
            parts.archive(piece).replace(folder / f"{piece}.tar")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _below(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield name, path
    for file in sorted(path.rglob("*")):
        if file.is_file():
            yield f"{name}/{file.relative_to(path).as_posix()}", file


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime, entry.mode = 0, 0o644
    return entry
