"""Writes are old or new, never half."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from pizzeria.atomic import (
    append,
    copy_file,
    filling,
    make_folder,
    replace_folder,
    replace_link,
    replacing,
    sync_all,
    write_bytes,
    write_json,
)


def test_replaces_in_one_step_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": float("nan"), "y": (1, np.float32(2.5)), "z": np.int64(3)})
    assert json.loads(path.read_text()) == {"x": None, "y": [1, 2.5], "z": 3}
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_bytes(path, b"cannot replace a folder")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_a_stream_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as stream:
        stream.writelines(b"half of" if left else b"%d" % (1 // left) for left in (1, 0))
    assert path.read_bytes() == b"old"
    copy_file(path, tmp_path / "b")
    assert [(one.name, one.read_bytes()) for one in sorted(tmp_path.iterdir())] == [("a", b"old"), ("b", b"old")]


def test_a_folder_is_there_when_it_is_filled(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), filling(tmp_path / "new") as folder:
        (folder / "a").write_bytes(b"%d" % (1 // len(list(folder.iterdir()))))
    assert not list(tmp_path.iterdir())
    with filling(tmp_path / "new") as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").touch()
        assert not (tmp_path / "new").exists()
    with pytest.raises(OSError, match="not empty"), filling(tmp_path / "new") as folder:
        (folder / "c").touch()
    assert [one.relative_to(tmp_path).as_posix() for one in sorted(tmp_path.rglob("*"))] == ["new", "new/a", "new/a/b"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr("pizzeria.exchange._renameat2", lambda: None)
    for content in ("old", "new"):
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / content).touch()
        replace_folder(tmp_path / "source", tmp_path / "target")
    assert [one.relative_to(tmp_path).as_posix() for one in sorted(tmp_path.rglob("*"))] == ["target", "target/new"]


def test_a_folder_that_cannot_take_the_place_is_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(one: Path, other: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(other))

    monkeypatch.setattr("pizzeria.atomic.exchanged", refuse)
    for name in ("source", "target"):
        (tmp_path / name / name).mkdir(parents=True)
    with pytest.raises(OSError, match="Input/output"):
        replace_folder(tmp_path / "source", tmp_path / "target")
    found = [one.relative_to(tmp_path).as_posix() for one in sorted(tmp_path.rglob("*"))]
    assert found == ["source", "source/source", "target", "target/target"]


def test_a_link_points_elsewhere_in_one_step(tmp_path: Path) -> None:
    replace_link(tmp_path / "link", "old")
    replace_link(tmp_path / "link", "new")
    assert [(one.name, os.readlink(one)) for one in tmp_path.iterdir()] == [("link", "new")]  # noqa: PTH115


def test_what_went_wrong_first_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "the clean-up fails, too")

    monkeypatch.setattr(Path, "unlink", fail)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "folder", b"x")


def test_made_folders_and_all_in_a_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr("pizzeria.atomic.sync", lambda path: synced.append(path.relative_to(tmp_path).as_posix()))
    make_folder(tmp_path / "a" / "b")
    assert synced == [".", "a"]
    synced.clear()
    make_folder(tmp_path / "a" / "b")
    assert not synced
    (tmp_path / "a" / "b" / "c").touch()
    (tmp_path / "a" / "link").symlink_to("nowhere")
    sync_all(tmp_path / "a")
    assert sorted(synced) == ["a", "a/b", "a/b/c"]


class NearlyFull(io.FileIO):
    """A file on a disk with a few bytes left: it takes a part, and says so only when it is asked again."""

    left = 7

    def write(self, data: object) -> int:
        part = bytes(memoryview(data)[: min(self.left, 3)])  # type: ignore[arg-type]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= len(part)
        return super().write(part)


def test_lines_are_added_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with NearlyFull(path, "a+b") as stream:
        append(stream, b"1\n2\n")
        with pytest.raises(OSError, match="No space"):
            append(stream, b"3\n4\n5\n")
    assert path.read_bytes() == b"1\n2\n"


def test_a_line_that_was_cut_off_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\nhalf of")
    with open(path, "a+b", buffering=0) as stream:
        append(stream, b"2\n")
    assert path.read_bytes() == b"1\nhalf of\n2\n"
