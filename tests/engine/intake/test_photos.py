"""Photos are looked at once: what was seen is kept by content, and holds through kills and damage."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pizzeria.account import Account
from pizzeria.intake import photos as photos_module
from pizzeria.intake import remembered as remembered_module
from pizzeria.intake.photos import inspect_all, look_at
from pizzeria.intake.remembered import Remembered

from .conftest import Quiet
from .hostile import BROKEN, USED


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    for name, (data, _) in (USED | BROKEN).items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in USED | BROKEN]


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The content of each photo that is really looked at."""
    looked: list[str] = []
    real = photos_module.inspect

    def counted(data: bytes, digest: str, max_megapixels: float):
        looked.append(digest)
        return real(data, digest, max_megapixels)

    monkeypatch.setattr(photos_module, "inspect", counted)
    return looked


def test_a_second_look_decodes_nothing_and_sees_the_same(files: list[Path], decoding: list[str]) -> None:
    first = inspect_all(files, 100, Quiet())
    # ... a photo with too many pixels costs nothing to look at, and the limit may change
    assert len(set(decoding)) == len(decoding) == len(files) - 1
    decoding.clear()
    assert inspect_all(files, 100, Quiet()) == first
    assert len(decoding) == 1
    changed = files[0]
    changed.write_bytes(files[1].read_bytes())
    assert inspect_all(files[:2], 100, Quiet())[0].sha256 == first[1].sha256


def test_the_limit_of_pixels_holds_for_what_was_seen_before(files: list[Path]) -> None:
    plain = files[:1]
    assert not inspect_all(plain, 100, Quiet())[0].problem
    assert inspect_all(plain, 0.001, Quiet())[0].problem == "has too many pixels: more than 0.001 million"
    assert not inspect_all(plain, 100, Quiet())[0].problem


def test_a_damaged_store_is_as_good_as_none(files: list[Path], tmp_path: Path) -> None:
    first = inspect_all(files, 100, Quiet())
    (store,) = (tmp_path / "cache/inspections").glob("*.sqlite")
    store.write_bytes(b"this is no database" * 100)
    assert inspect_all(files, 100, Quiet()) == first  # without it
    assert inspect_all(files, 100, Quiet()) == first  # with a new one
    assert store.read_bytes().startswith(b"SQLite")


def test_a_store_that_others_hold_is_left_to_them(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inspect_all(files, 100, Quiet())
    (store,) = (tmp_path / "cache/inspections").glob("*.sqlite")
    monkeypatch.setattr(remembered_module, "_WAIT_S", 0.05)
    with closing(sqlite3.connect(store)) as other:
        other.execute("pragma journal_mode = delete")
        other.execute("begin exclusive")
        assert inspect_all(files, 100, Quiet()) == first  # without it
    with Remembered() as remembered:
        assert remembered.find(first[0].sha256, 100) == first[0]


def test_several_at_once(files: list[Path]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: inspect_all(files, 100, Quiet()), range(4)))
    assert all(one == found[0] for one in found)
    with Remembered() as remembered:
        assert remembered.find(found[0][0].sha256, 100) == found[0][0]


def test_what_cannot_be_served_becomes_a_png_in_the_folder(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "again.bmp").write_bytes((tmp_path / "bitmap.bmp").read_bytes())
    paths = [str(tmp_path / name) for name in ("bitmap.bmp", "again.bmp", "plain.jpg", "animated.gif")]
    images = pd.DataFrame({"image_id": list("abcd"), "path": paths, "room": "hall"})
    account = Account()
    folder = tmp_path / "out"
    folder.mkdir()
    seen = look_at(images, folder, account, 100, Quiet())
    assert [Path(path).suffix for path in seen["path"]] == [".png", ".png", ".jpg", ".png"]
    assert seen["path"][0] == seen["path"][1]
    assert len(list((folder / "converted").iterdir())) == 2
    assert list(seen["format"]) == ["BMP", "BMP", "JPEG", "GIF"]
    assert account.handled["images"]["converted from BMP to PNG"].count == 2
    assert list(seen.columns)[-1] == "room"
