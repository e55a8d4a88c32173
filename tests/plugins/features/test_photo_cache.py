from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pizzeria.errors import DataError, PizzeriaError
from pizzeria.inference.photos import decode
from pizzeria.inference.resize import resize
from pizzeria_plugins.features import photo_cache
from pizzeria_plugins.features.pack_cache import prune, stacked
from pizzeria_plugins.features.photo_cache import content_of, resized

HOW = {"kind": "photos", "size": [32, 32], "resize": "crop", "fill": 114}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "photos"


def draw(path: Path, seed: int, size: tuple[int, int] = (48, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)).save(path)
    return path


def photos(folder: Path, count: int) -> list[str]:
    return [str(draw(folder / f"{i:04d}.jpg", i)) for i in range(count)]


def hashes(paths: list[str]) -> list[str]:
    return [sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def look(paths: list[str], progress: Any, how: Any = HOW, most: float = 1.0) -> np.ndarray:
    return stacked(resized(paths, hashes(paths), how, most, progress))


def expected(path: str, how: Any = HOW) -> np.ndarray:
    photo = decode(Path(path).read_bytes(), max_megapixels=1, preprocessing=how)
    return resize(photo.image, how, (photo.width, photo.height))[0]


def decoded(progress: Any) -> int:
    return progress.done.pop("photos", 0)


def test_a_photo_is_decoded_once_for_each_way_of_resizing(tmp_path: Path, progress: Any) -> None:
    paths = photos(tmp_path / "a", 5)
    assert np.array_equal(look(paths, progress)[4], expected(paths[4]))
    assert decoded(progress) == 5
    again = look(paths[::-1], progress)
    assert np.array_equal(again[0], expected(paths[4]))
    assert decoded(progress) == 0
    assert progress.lines == ["5 photos: 0 decoded, 5 from the cache"]
    more = [*paths, str(draw(tmp_path / "new.jpg", 99))]
    look(more, progress)
    assert decoded(progress) == 1
    letterbox = HOW | {"resize": "letterbox"}
    assert np.array_equal(look(paths, progress, letterbox)[0], expected(paths[0], letterbox))
    assert decoded(progress) == 5
    look(paths, progress, HOW | {"fill": 0})  # of which a crop shows nothing
    assert decoded(progress) == 0


def test_another_content_under_the_same_name_is_decoded_again(tmp_path: Path, progress: Any) -> None:
    (path,) = photos(tmp_path, 1)
    before = look([path], progress)
    stale = hashes([path])
    stat = Path(path).stat()
    draw(Path(path), 7)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = look([path], progress)
    assert decoded(progress) == 1
    assert not np.array_equal(before, after)
    assert np.array_equal(after[0], expected(path))
    # What was collected, and is changed before it is decoded, is not taken for what it was.
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(DataError, match=r"0000.jpg: the file has changed since it was collected"):
        resized([path], stale, HOW, 1.0, progress)


def test_equal_content_is_decoded_once(tmp_path: Path, progress: Any) -> None:
    paths = photos(tmp_path, 2)
    shutil.copy(paths[0], tmp_path / "copy.jpg")
    found = look([*paths, str(tmp_path / "copy.jpg")], progress)
    assert decoded(progress) == 2
    assert np.array_equal(found[0], found[2])


def test_broken_photos_are_named_and_the_others_kept(tmp_path: Path, progress: Any) -> None:
    paths = photos(tmp_path, 3)
    Path(paths[1]).write_bytes(b"\xff\xd8\xff no photo")
    with pytest.raises(DataError, match=r"^1 photos cannot be read: .*0001\.jpg: the JPEG cannot be decoded"):
        look(paths, progress)
    decoded(progress)
    look([paths[0], paths[2]], progress)
    assert decoded(progress) == 0
    with pytest.raises(DataError, match=r"2 photos cannot be read: .*48 x 40 = 0.0 megapixels"):
        look([paths[0], paths[2]], progress, most=0.001)
    images = pd.DataFrame({"path": [*paths, str(tmp_path / "away.jpg")]})
    assert content_of(images, progress) == [*hashes(paths), str(tmp_path / "away.jpg")]


@pytest.mark.parametrize("damage", ["cut", "pixel", "empty"])
def test_a_damaged_pack_is_made_again(tmp_path: Path, cache: Path, progress: Any, damage: str) -> None:
    paths = photos(tmp_path, 3)
    before = look(paths, progress)
    (pack,) = cache.glob("*/*.pack")
    whole = pack.read_bytes()
    pack.write_bytes({"cut": whole[:-9], "empty": b"", "pixel": b"\0\1\2\3" + whole[4:]}[damage])
    decoded(progress)
    assert np.array_equal(look(paths, progress), before)
    assert decoded(progress) == 3
    assert "is damaged or cut off: it is made again" in progress.lines[0]
    look(paths, progress)
    assert decoded(progress) == 0


SCRIPT = """
import hashlib, sys, time
from pathlib import Path
from pizzeria_plugins.features import pack_cache, photo_cache
pack_cache._MOST = 4
class Progress:
    def track(self, items, label): return iter(items)
    def update(self, label, done, total, **figures):
        print(done, flush=True)
        time.sleep(600 if done == int(sys.argv[2]) else 0.01)
    def say(self, text): print(text, flush=True)
paths = sorted(map(str, Path(sys.argv[1]).glob("*.jpg")))
content = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
how = {"kind": "photos", "size": [32, 32], "resize": "crop", "fill": 114}
found = photo_cache.resized(paths, content, how, 1.0, Progress())
assert len(found) == len(paths)
"""


def build(folder: Path, stop_at: int = 0) -> subprocess.Popen[str]:
    """A process of its own; it waits to be killed when it has decoded so many."""
    command = [sys.executable, "-c", SCRIPT, str(folder), str(stop_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_in_the_middle_it_goes_on(tmp_path: Path, cache: Path, progress: Any) -> None:
    paths = photos(tmp_path / "photos", 20)
    process = build(tmp_path / "photos", stop_at=11)
    assert process.stdout is not None
    for line in process.stdout:
        if line == "11\n":
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(list(cache.glob("*/*.pack"))) == 2  # of four photos each
    found = look(paths, progress)
    assert decoded(progress) == 20 - 2 * 4
    assert np.array_equal(found[13], expected(paths[13]))


def test_two_builds_at_once_decode_each_photo_once(tmp_path: Path, cache: Path, progress: Any) -> None:
    paths = photos(tmp_path / "photos", 24)
    both = [build(tmp_path / "photos") for _ in range(2)]
    told = [process.communicate(timeout=120)[0].split("\n") for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(line.isdigit() for lines in told for line in lines) == 24
    assert len(list(cache.glob("*/*.pack"))) == 6
    look(paths, progress)
    assert decoded(progress) == 0


def test_what_no_run_holds_is_limited_and_the_oldest_goes_first(
    tmp_path: Path, cache: Path, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = photos(tmp_path, 4)
    packs = []
    for i, path in enumerate(paths):
        place = resized([path], hashes([path]), HOW, 1.0, progress)[0]
        packs.append(place.pack.path)
        used = time.time() - 86_400 * (10 - i)
        os.utime(packs[i], (used, used))
    os.link(packs[0], tmp_path / "held")
    left = packs[0].with_name(".cut-off.tmp")
    left.write_bytes(b"of a killed process")
    os.utime(left, (0, 0))
    size = packs[0].stat().st_size
    assert prune(photo_cache.KIND) == 0
    assert not left.exists()
    monkeypatch.setenv("PIZZERIA_CACHE_GB", str(2.5 * size / 1e9))
    assert prune(photo_cache.KIND) > 0
    assert [path.exists() for path in packs] == [True, False, True, True]
    os.utime(packs[2])
    os.utime(packs[3])
    monkeypatch.setenv("PIZZERIA_CACHE_GB", "0")
    assert prune(photo_cache.KIND) == 0  # used today
    monkeypatch.setenv("PIZZERIA_CACHE_GB", "much")
    with pytest.raises(PizzeriaError, match="PIZZERIA_CACHE_GB is 'much'"):
        prune(photo_cache.KIND)
