from __future__ import annotations

import gzip
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
    monkeypatch.setattr("pizzeria.fetching.bounded.FREE", 0)
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


def test_a_tar_whose_name_is_a_bomb(tmp_path):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 2**31
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        stream.write(entry.tobuf())
        stream.write(bytes(2**20))
    with pytest.raises(DataError, match="a header of 2,147,483,648 bytes"):
        local(tmp_path / "a.tar.gz")


def test_folders_without_an_end_are_a_bomb_too(tmp_path, monkeypatch):
    monkeypatch.setattr("pizzeria.fetching.bounded.FREE", 0)
    entry = tarfile.TarInfo("x")
    entry.type = tarfile.DIRTYPE
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        stream.write(entry.tobuf() * 20_000)
    with pytest.raises(DataError, match="unpacks to more than"):
        local(tmp_path / "a.tar.gz")


def test_so_are_empty_files(tmp_path, monkeypatch):
    monkeypatch.setattr("pizzeria.fetching.bounded.FREE", 50_000)
    monkeypatch.setattr("pizzeria.fetching.bounded.RATIO", 1)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(100):
            archive.writestr(f"{i}", b"")
    with pytest.raises(DataError, match="unpacks to more than"):
        local(tmp_path / "a.zip")


@pytest.mark.parametrize("mode", ["bz2", "xz"])
def test_what_needs_much_memory_to_unpack_is_refused(tmp_path, mode):
    with tarfile.open(tmp_path / "a.tar", f"w:{mode}") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    with pytest.raises(DataError, match="packed by bzip2, xz or zstd"):
        local(tmp_path / "a.tar")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", {"bz2": zipfile.ZIP_BZIP2, "xz": zipfile.ZIP_LZMA}[mode]) as packed:
        packed.writestr("x", b"y")
    with pytest.raises(DataError, match="packed in an unusual way"):
        local(tmp_path / "a.zip")


def test_a_tgz_with_a_flipped_byte(tmp_path):
    """The check sum lies behind all that tar reads."""
    with tarfile.open(tmp_path / "a.tgz", "w:gz", compresslevel=0) as archive:
        entry = tarfile.TarInfo("x")
        entry.size = 5_000
        archive.addfile(entry, io.BytesIO(bytes(5_000)))
    data = bytearray((tmp_path / "a.tgz").read_bytes())
    data[2_000] ^= 1
    (tmp_path / "a.tgz").write_bytes(data)
    with pytest.raises(DataError, match="CRC check failed"):
        local(tmp_path / "a.tgz")


def test_a_zip_that_announces_another_size(tmp_path):
    path = _zip(tmp_path / "a.zip", "x")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = b"\xfe\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(DataError, match="unpacks to more than 200 times"):
        local(path)
