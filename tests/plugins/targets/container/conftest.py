"""A machine with podman and buildah of the tests' own: images, containers and settings in a folder that goes.

The base image is made by debootstrap from Debian's packages: no registry is asked. Its files and the lock's wheels are
kept in ~/.cache/pizzeria-tests between runs, by what they are made of.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.shipment import read_lock
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.targets.container_image.materials import TOOLS

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pizzeria-tests"
BASE = "localhost/pizzeria-tests/python:3.11-bookworm"
_PACKAGES = "python3,python3-venv"


@dataclass(frozen=True)
class Machine:
    """What the tests use."""

    base: str
    wheels: Path

    def podman(self, *argv: str) -> str:
        done = subprocess.run(["podman", *argv], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"podman {argv}: {done.stderr}"
        return done.stdout.strip()


def _absent() -> str:
    programs = ("podman", "buildah", "runc", "debootstrap", "iptables")
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed: images are not built and run"
    return "" if os.geteuid() == 0 else "debootstrap needs root: images are not built and run"


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Podman and buildah with a storage of their own, and a base image."""
    if _absent():
        pytest.skip(_absent())
    folder = Path(tempfile.mkdtemp(prefix="pizzeria-containers-", dir="/var/tmp"))  # pytest stumbles over mounts in its
    settings = {
        "CONTAINERS_CONF": _write(
            folder / "containers.conf",
            '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\nevents_logger = "file"\n',
        ),
        "CONTAINERS_STORAGE_CONF": _write(
            folder / "storage.conf",
            f'[storage]\ndriver = "{_driver(folder)}"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n',
        ),
        "BUILDAH_ISOLATION": "chroot",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        here = Machine(BASE, _wheels())
        try:
            here.podman("import", str(_rootfs()), BASE)
            yield here
        finally:
            subprocess.run(["podman", "rm", "--all", "--force", "--time", "2"], capture_output=True, timeout=120)
            _unmount(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _unmount(folder: Path) -> None:
    """What a build that was cut off has left mounted."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in sorted((one for one in points if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], capture_output=True)


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def _driver(folder: Path) -> str:
    """`overlay` where the file system takes another overlay on top."""
    for name in ("lower", "upper", "work", "merged"):
        (folder / "probe" / name).mkdir(parents=True)
    probe = folder / "probe"
    options = f"lowerdir={probe}/lower,upperdir={probe}/upper,workdir={probe}/work"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, probe / "merged"], capture_output=True)
    if done.returncode != 0:
        return "vfs"
    subprocess.run(["umount", probe / "merged"], check=True)
    return "overlay"


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """A file or folder of the cache, made whole or not at all, by one at a time: this user may test twice at once."""
    path = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = CACHE / f".{os.getpid()}.{name}"
            try:
                make(partial)
                partial.rename(path)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                partial.unlink(missing_ok=True)
    return path


def _rootfs() -> Path:
    """Debian with Python 3.11, as a tar."""
    key = hashlib.sha256(f"bookworm {_PACKAGES} 1".encode()).hexdigest()[:12]

    def make(path: Path) -> None:
        root = path.with_name(f"{path.name}.root")
        try:
            argv = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root), *_mirror()]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=500)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
            shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
            subprocess.run(["tar", "--numeric-owner", "-C", root, "-cf", path, "."], check=True)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    return _kept(f"base-{key}.tar", make)


def _mirror() -> list[str]:
    """Where this machine has its Debian from; nothing: debootstrap's own."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))]:
        text = path.read_text() if path.exists() else ""
        found = re.search(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+)", text, re.MULTILINE)
        if found and "debian" in found[1]:
            return [found[1]]
    return []


def _wheels() -> Path:
    """The lock's files as `pip download` leaves them."""
    lock = read_lock("serve")
    key = hashlib.sha256(f"{lock}{TOOLS}".encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        folder.mkdir()
        for name, text in (("requirements.txt", lock), ("tools.txt", TOOLS)):
            (folder / name).write_text(text)
            argv = [sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "--no-deps"]
            done = subprocess.run([*argv, "-r", folder / name, "-d", folder], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]

    return _kept(f"wheels-{key}", make)


@pytest.fixture(scope="session")
def release_in() -> Callable[..., Release]:
    """A release of a bundle whose state and prediction log lie in a folder."""

    def make(folder: Path, bundle: Path, *, name: str = "rooms", **more: Any) -> Release:
        server = registry.load("servers", "bentoml")
        log = PredictionLog(options=registry.load("prediction_logs", "sqlite").Options())
        opened = open_bundle(bundle)
        serving = more.pop("serving", {})
        return Release(
            name=name,
            bundle=bundle,
            sha256=opened.sha256,
            serving=Serving(options=server.Options(), **{"log": log, **serving}),
            server=server,
            log_folder=folder / "log",
            state=folder / "state",
            task=opened.task,
            **more,
        )

    return make
