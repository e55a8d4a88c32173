"""The zip of a function: what pip installs, what of Pizzeria serves, the bundle, and the provider's front."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import check_bundle
from pizzeria_plugins.functions import packages, sources
from pizzeria_plugins.functions.kept_zips import bring_zip
from pizzeria_plugins.functions.packages import UNUSED, Machine, Place
from pizzeria_plugins.functions.release import lock_texts

_LARGEST = 5
_MB = 1_000_000
_LEVEL = 6
"""9 takes two and a half times as long for half a per cent less."""


@dataclass(frozen=True)
class Limits:
    """What a provider takes.

    Attributes:
        provider: Its name, for the message.
        unzipped: Bytes of all files.
        zipped: Bytes of the zip.
        beyond: What to do with more.
    """

    provider: str
    unzipped: int
    zipped: int
    beyond: str


@dataclass(frozen=True)
class Built:
    """A zip that was written.

    Attributes:
        path: Where.
        zipped, unzipped: Bytes.
        contents: Bytes by what it holds: each package, `bundle`, `pizzeria` ...; the largest first.
    """

    path: Path
    zipped: int
    unzipped: int
    contents: Mapping[str, int]

    def largest(self) -> str:
        """The largest parts in words.

        Example:
            >>> Built(Path("a.zip"), 30_000_000, 70_000_000, {"bundle": 60_000_000, "numpy": 10_000_000}).largest()
            'bundle 60.0 MB, numpy 10.0 MB'
        """
        return ", ".join(f"{name} {size / _MB:.1f} MB" for name, size in list(self.contents.items())[:_LARGEST])


def build_zip(
    release: Release,
    *,
    front: Mapping[str, str | bytes],
    lock: str,
    modules: Sequence[str],
    path: Path,
    cache: Path,
    python: str,
    machine: Machine = "x86_64",
    glibc: int = 34,
    without: frozenset[str] = UNUSED,
    limits: Limits | None = None,
    install: bool = True,
    below: str = "",
) -> Built:
    """Write it; the same release gives the same bytes with the same versions of Python and zlib here.

    Args:
        release: Its bundle, rooms and plugins of the working folder go in.
        front: The provider's own files by their name in the zip, such as the handler and `service.json`.
        lock: Name of the lock with what the front needs, as `pizzeria.shipment.read_lock` knows it.
        modules: Modules of Pizzeria that the front imports.
        path: Of the zip.
        cache: Folder where installed packages, and the last few zips, are kept for the next time.
        python: Version of Python there, such as 3.12; where it is this interpreter's, the zip has byte code.
        machine: CPU there.
        glibc: Minor version of glibc 2 there.
        without: Packages of the lock that are left out.
        limits: Of the provider; checked before the zip is written, and after.
        install: False where the provider installs the packages itself, from a `requirements.txt` of the front.
        below: Folder of the zip for packages and Pizzeria, where the provider looks for them: `packages/`.

    Raises:
        BundleError: the bundle is damaged, or is another one than the release says.
        DeploymentError: it is too large, and what is large is named; or a package cannot be had.
    """
    check_bundle(release)
    place = Place(python, machine, glibc)
    parts: dict[str, dict[str, bytes | Path]] = {
        "bundle": _files(release.bundle, "bundle"),
        "the front": {name: data.encode() if isinstance(data, str) else data for name, data in front.items()},
    }
    if release.serving.verification.rooms is not None:
        parts["rooms"] = _files(Path(release.serving.verification.rooms).expanduser(), "rooms")
    plugins = _plugins(release)
    parts["plugins"] = dict(plugins)
    own: dict[str, bytes | Path] = dict(sources.serving_files([*modules, *_log_module(release)], plugins.values()))
    with tempfile.TemporaryDirectory(prefix="pizzeria-") as temporary:
        if place.is_here:
            own |= _byte_code(own, Path(temporary))
        parts["pizzeria"] = {f"{below}{name}": data for name, data in own.items()}
        if install:
            texts = lock_texts(release, lock)
            wanted = "".join(packages.filtered(text, place, without, only) for text, only in texts)
            folder = packages.install(wanted, place, cache)
            for name, files in _by_package(folder).items():
                parts[name] = {**parts.get(name, {}), **{f"{below}{path}": data for path, data in files.items()}}
        contents = {name: sum(map(_size, files.values())) for name, files in parts.items()}
        contents = dict(sorted(((a, b) for a, b in contents.items() if b), key=lambda item: -item[1]))
        built = Built(path, 0, sum(contents.values()), contents)
        if limits is not None and built.unzipped > limits.unzipped:
            raise _too_large(release, built, built.unzipped, limits.unzipped, "unzipped", limits)
        every = {name: data for files in parts.values() for name, data in files.items()}
        bring_zip(path, every, cache / "zips", _LEVEL)
    built = Built(path, path.stat().st_size, built.unzipped, contents)
    if limits is not None and built.zipped > limits.zipped:
        path.unlink()
        raise _too_large(release, built, built.zipped, limits.zipped, "as a zip", limits)
    return built


def _too_large(release: Release, built: Built, size: int, most: int, how: str, limits: Limits) -> DeploymentError:
    return DeploymentError(
        f"the function of {release.name} has {size / _MB:.1f} MB {how}, and {limits.provider} takes "
        f"{most / _MB:.1f} MB; the largest are {built.largest()}",
        hint=limits.beyond,
    )


def _files(source: Path, name: str) -> dict[str, bytes | Path]:
    if source.is_file():
        return {name: source}
    return {f"{name}/{one.relative_to(source).as_posix()}": one for one in source.rglob("*") if one.is_file()}


def _plugins(release: Release) -> dict[str, bytes]:
    """The prediction log's, where it lies in ./plugins of the working folder."""
    log = release.serving.log
    if log is None:
        return {}
    for found in registry.find("prediction_logs").get(log.use, []):
        if found.file is not None:
            return {f"plugins/prediction_logs/{found.file.name}": found.file.read_bytes()}
        if not found.origin.startswith("pizzeria:"):
            raise DeploymentError(
                f"serving.log: {log.use!r} ({found.origin}) is needed where the model is served, and cannot be sent",
                hint=f"put it into ./plugins/prediction_logs/{log.use}.py, or use lines",
            )
    return {}


def _log_module(release: Release) -> list[str]:
    log = release.serving.log
    return [] if log is None else [f"pizzeria_plugins.prediction_logs.{log.use}"]


def _byte_code(own: Mapping[str, bytes | Path], folder: Path) -> dict[str, bytes | Path]:
    """That of Pizzeria's modules, by their names."""
    for name, data in own.items():
        if name.endswith(".py") and isinstance(data, bytes):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    packages.compile_folder(folder)
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*.pyc")}


def _by_package(folder: Path) -> dict[str, dict[str, bytes | Path]]:
    """Files of a folder of packages; compiled libraries and metadata count to the package that they are of."""
    out: dict[str, dict[str, bytes | Path]] = {}
    for top in sorted(folder.iterdir()):
        name = top.name.partition(".libs")[0].partition("-")[0].removesuffix(".py")
        name = {"PIL": "pillow", "__pycache__": "single modules"}.get(name, name)
        files = [top] if top.is_file() else [one for one in top.rglob("*") if one.is_file()]
        out.setdefault(name, {}).update({one.relative_to(folder).as_posix(): one for one in files})
    return out


def _size(data: bytes | Path) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size
