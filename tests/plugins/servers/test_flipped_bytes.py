"""A bundle of which one byte was flipped is refused and the file named, by a worker and by a whole service."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import BundleError
from pizzeria.inference.bundle import open_bundle
from pizzeria.ports import free_port
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.servers.settings import Settings
from pizzeria_plugins.servers.worker import Worker

PLACES = 6
"""Bytes of each file that are tried, the first and the last among them."""


def zipped(bundle: Path, to: Path) -> Path:
    """The bundle as one file, stored, so that each of its bytes is a byte of some file or of the archive itself."""
    with zipfile.ZipFile(to, "w") as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(bundle).as_posix())
    return to


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (at % 8)
    path.write_bytes(data)


def places(chance: random.Random, size: int) -> list[int]:
    return sorted({0, size - 1, *(chance.randrange(size) for _ in range(PLACES - 2))})


def open_as_a_worker_does(bundle: Path) -> None:
    Worker(Settings(str(bundle), 10, 40, 100, 16, 30)).open()


def test_each_file_of_a_folder(detection_bundle: Path, tmp_path: Path) -> None:
    chance = random.Random(4)
    names = sorted(path.relative_to(detection_bundle) for path in detection_bundle.rglob("*") if path.is_file())
    assert len(names) == 5
    for name in names:
        for at in places(chance, (detection_bundle / name).stat().st_size):
            copy = tmp_path / f"{name.name}-{at}"
            shutil.copytree(detection_bundle, copy)
            flip(copy / name, at)
            with pytest.raises(BundleError) as error:
                open_as_a_worker_does(copy)
            # A flipped hash in the manifest shows in the file that no longer has it.
            assert name.name in str(error.value) or name.name == "manifest.json", (name, at, str(error.value))
            shutil.rmtree(copy)


def test_each_file_of_a_zip(detection_bundle: Path, tmp_path: Path) -> None:
    chance = random.Random(5)
    good = zipped(detection_bundle, tmp_path / "good.zip")
    assert open_bundle(good).sha256 == open_bundle(detection_bundle).sha256
    with zipfile.ZipFile(good) as archive:
        entries = {
            one.filename: (one.header_offset + 30 + len(one.filename), one.file_size) for one in archive.filelist
        }
    copy = tmp_path / "flipped.zip"
    for name, (begin, size) in entries.items():
        for at in places(chance, size):
            shutil.copyfile(good, copy)
            flip(copy, begin + at)
            with pytest.raises(BundleError) as error:
                open_as_a_worker_does(copy)
            assert Path(name).name in str(error.value), (name, at, str(error.value))


def test_the_archive_itself(detection_bundle: Path, tmp_path: Path) -> None:
    """A flipped byte outside the files' contents is refused, or changes nothing that is served."""
    chance = random.Random(6)
    good = zipped(detection_bundle, tmp_path / "good.zip")
    sha256 = open_bundle(good).sha256
    copy = tmp_path / "flipped.zip"
    size = good.stat().st_size
    for _ in range(200):
        at = size - 1 - chance.randrange(min(size, 600))  # the directory at the archive's end
        shutil.copyfile(good, copy)
        flip(copy, at)
        try:
            found = open_bundle(copy).sha256
        except BundleError:
            continue
        assert found == sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.onnx", "bundle.json"])
def test_a_service_refuses_to_start_and_names_the_file(
    detection_bundle: Path, make_release: Any, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(detection_bundle, copy)
    release = make_release(copy, tmp_path)
    flip(copy / name, (copy / name).stat().st_size // 2)
    rendered = bentoml.render(release, "127.0.0.1", free_port())
    ended = subprocess.run(
        rendered.commands[0],
        env={**os.environ, **rendered.environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert "the service cannot start" in said
    assert "is damaged" in said or "is not JSON" in said
    assert "Traceback" not in said
    assert name in said
