"""What the cache of fetched files says when it cannot be written."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from pizzeria import atomic
from pizzeria.fetching.cache import Cache

CONTENT = b"1,2\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path))
    cache = Cache()
    with cache.partial("a") as stream:
        stream.write(CONTENT)
        cache.store(stream, "a", SHA256)
    return cache


def test_a_full_disk_does_not_pass_for_a_faster_process(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(atomic, "rename", full)
    with pytest.raises(OSError, match="No space"):
        cache.tree({"part/a.csv": SHA256})
    assert not list((cache.folder / "trees").iterdir())


def test_a_faster_process_is_taken_at_its_word(cache: Cache) -> None:
    with cache.making("key") as (folder, made):
        assert made is not None
        (made / "a").write_text("late")
        folder.mkdir()
        (folder / "a").write_text("early")
    assert (folder / "a").read_text() == "early"
    assert [path.name for path in folder.parent.iterdir()] == ["key"]
