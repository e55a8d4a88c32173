from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from pizzeria.errors import DataError
from pizzeria.fetching import local


def _zip(path, *names, link=False):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name)
            if link:
                entry.external_attr = 0o120777 << 16
            archive.writestr(entry, b"/etc/passwd")
    return path


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz"])
def test_tar(tmp_path, suffix):
    with tarfile.open(tmp_path / f"a.{suffix}", "w:gz" if suffix != "tar" else "w") as archive:
        for name in ("./one/x.txt", "./two/y.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"1"))
    folder = local(tmp_path / f"a.{suffix}")
    assert (folder / "one/x.txt").read_bytes() == b"1"
    assert local(tmp_path / f"a.{suffix}") == folder


@pytest.mark.parametrize("name", ["../out.txt", "/etc/cron.d/x", "a/../../out.txt", "a\\..\\b"])
def test_what_would_leave_the_folder(tmp_path, name):
    with pytest.raises(DataError, match="cannot be the name of a file here"):
        local(_zip(tmp_path / "a.zip", name))


def test_links_and_devices(tmp_path):
    with pytest.raises(DataError, match="neither a file nor a folder"):
        local(_zip(tmp_path / "a.zip", "x", link=True))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("x")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(DataError, match="neither a file nor a folder"):
        local(tmp_path / "a.tar")


def test_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr("pizzeria.fetching.archive._FREE", 0)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        local(tmp_path / "a.zip")


def test_damage(tmp_path, own_cache):
    path = _zip(tmp_path / "a.zip", "x", "y")
    path.write_bytes(path.read_bytes()[:-10])
    (tmp_path / "b.tar.gz").write_bytes(b"\x1f\x8b nothing of the kind")
    _zip(tmp_path / "c.zip")
    for name, why in {
        "a.zip": "cannot be unpacked",
        "b.tar.gz": "cannot be unpacked",
        "c.zip": "holds no file",
    }.items():
        with pytest.raises(DataError, match=why):
            local(tmp_path / name)
    assert not list((own_cache / "trees").iterdir())
    with pytest.warns(UserWarning, match="Duplicate name"):
        _zip(tmp_path / "d.zip", "x", "x")
    with pytest.raises(DataError, match="twice"):
        local(tmp_path / "d.zip")
