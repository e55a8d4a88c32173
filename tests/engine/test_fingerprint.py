"""Fingerprints change with what decides a result, and with nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pizzeria import fingerprint
from pizzeria.errors import DataError
from pizzeria.fingerprint import FileHashes, code_hashes, digest, flatten


def test_code_follows_imports_of_the_own_package_alone() -> None:
    from pizzeria_plugins.models import timm_detector

    names = set(code_hashes([timm_detector]))
    assert "pizzeria_plugins.models.fcos" in names
    assert not {name for name in names if name.startswith(("torch", "pizzeria.spec", "pizzeria_plugins.sources"))}


def test_flatten_and_digest() -> None:
    assert dict(flatten({"a": {"b": [1, 2], "c": {}}})) == {"a.b": [1, 2], "a.c": {}}
    assert digest({"a": 1.0}) != digest({"a": 1})


def test_files_count_by_name_and_content(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("one")
    hashes = FileHashes(tmp_path / "h.sqlite")
    first = hashes.of([data])
    assert hashes.of([data]) == first
    (data / "a.txt").write_text("two")  # the same size, at once
    second = hashes.of([data])
    assert second != first
    (data / "a.txt").rename(data / "b.txt")
    assert hashes.of([data]) != second
    assert hashes.of([]) is None
    with pytest.raises(DataError, match=r"there is no .*absent"):
        hashes.of([tmp_path / "absent"])


def test_an_old_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    old = time.time() - 60
    os.utime(path, (old, old))
    hashes = FileHashes(tmp_path / "h.sqlite")
    first = hashes.of([path])
    path.write_text("two")
    os.utime(path, (old, old))  # a file that hides its change is believed, as git and make do
    assert hashes.of([path]) == first
    os.utime(path, (old, old + 1))
    assert hashes.of([path]) != first


def test_a_change_within_the_clock_s_step_is_seen() -> None:
    assert fingerprint._RACY_S >= 1
