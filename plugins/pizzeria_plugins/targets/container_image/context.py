"""The folder that an image is built from: `docker build DIR` works there by hand.

Dockerfile, .dockerignore, requirements.txt (the lock), tools.txt, packages.txt, sbom.json, programs     rendered
pizzeria-*.whl, payload/{bundle,rooms,plugins}, wheels/                                                  written
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.shipment import read_lock, wheel_name, write_payload
from pizzeria_plugins.targets.container_image.materials import (
    EPOCH,
    PROGRAMS,
    TOOLS,
    Platform,
    Python,
    bill_of_materials,
    lock_of,
    package_list,
    program,
)


def context_files(
    release: Release,
    *,
    lock: str | None = None,
    python: Python = "3.11",
    platform: Platform = "linux/amd64",
    wheels: bool = False,
    store: bool = False,
) -> dict[str, str]:
    """Every text of the context but its Dockerfile.

    Args:
        lock: Another one than the release's own.
        wheels: Whether the context has a folder `wheels`.
        store: Whether it has a folder `store`, for what watches the release.
    """
    lock = lock or lock_of(release)
    listed = ["*", "!tools.txt", "!requirements.txt", "!packages.txt", "!sbom.json", *(f"!{name}" for name in PROGRAMS)]
    folders = ["payload", *(["wheels"] if wheels else []), *(["store"] if store else [])]
    return {
        ".dockerignore": "\n".join([*listed, f"!{wheel_name()}", *(f"!{name}" for name in folders), ""]),
        "requirements.txt": read_lock(lock),
        "tools.txt": TOOLS,
        "packages.txt": package_list(lock, python, platform),
        "sbom.json": bill_of_materials(release, lock, python, platform),
        **{name: program(name) for name in PROGRAMS},
    }


def write_context(release: Release, folder: Path, *, wheels: Path | None = None) -> None:
    """Write what is no text into a folder where the rendered files lie.

    Args:
        wheels: Folder with the files that the lock names, and those of tools.txt, as `pip download` leaves them.

    Raises:
        BundleError: the bundle is damaged, or is another one than the release says.
        DeploymentError: the folder of wheels is not there.
    """
    payload = folder / "payload"
    write_payload(release, payload)
    os.replace(payload / wheel_name(), folder / wheel_name())  # noqa: PTH105
    (payload / "requirements.txt").unlink()
    if wheels is not None:
        _copy_wheels(wheels, folder / "wheels")
    date(folder)


def write_monitor_context(release: Release, folder: Path, *, wheels: Path | None = None) -> None:
    """The same for what watches the release: it takes along the run, so far as monitoring reads it.

    Raises:
        DeploymentError: the run is not known or has no bundle, or the folder of wheels is not there.
    """
    write_context(release, folder, wheels=wheels)
    shutil.rmtree(folder / "store", ignore_errors=True)
    _copy_run(run_of(release), folder / "store")
    date(folder)


def run_of(release: Release) -> Path:
    """Folder of the run that packed the bundle.

    Raises:
        DeploymentError: nobody knows it, or it has no bundle.
    """
    if release.run is None or not (release.run / "stages/package/result.json").is_file():
        where = "nobody said which" if release.run is None else f"{release.run} has no stage `package`"
        raise DeploymentError(
            f"monitoring {release.name} needs the run that packed its bundle, and {where}",
            hint="deploy a run: pizzeria deploy RUN; or leave the monitor out: deployment.monitor=false",
        )
    return release.run


def _copy_run(run: Path, store: Path) -> None:
    """As `pizzeria.runs.store` lays it: the spec, and the stage in the cache with a link to it."""
    package = (run / "stages/package").resolve()
    shutil.copytree(package, store / ".cache" / package.name)
    stages = store / run.name / "stages"
    stages.mkdir(parents=True)
    (stages / "package").symlink_to(f"../../.cache/{package.name}")
    shutil.copyfile(run / "spec.yaml", store / run.name / "spec.yaml")


def date(folder: Path) -> None:
    """One time for all that is below, and modes that let any user read: both go into the layers."""
    for path in sorted([folder, *folder.rglob("*")], reverse=True):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def _copy_wheels(source: Path, target: Path) -> None:
    found = sorted(path for path in source.expanduser().glob("*") if path.name.endswith((".whl", ".tar.gz", ".zip")))
    if not found:
        raise DeploymentError(
            f"there are no wheels in {source}",
            hint=f"pip download --require-hashes --no-deps -r requirements.txt -d {source}; the same for tools.txt",
        )
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in found:
        shutil.copyfile(path, target / path.name)  # no link: `date` would change the user's own file
