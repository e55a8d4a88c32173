from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from importlib import import_module

import pytest

from pizzeria.errors import DamagedError, DataError, PluginError
from pizzeria.fetching import local, state
from pizzeria.fetching.cache import Cache
from pizzeria.fetching.store import Store

ROWS = b"a,b\n1,2\n"
BIG = bytes(range(256)) * 12_000  # 3 MB


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def _kept(folder):
    return sorted(path.name for path in (folder / "blobs").rglob("*") if path.is_file())


def test_a_file_is_downloaded_once_and_keeps_its_name(web, progress):
    web.files["/to/my rows.csv"] = ROWS
    address = f"{web.address}/to/my%20rows.csv"
    path = local(address, progress)
    assert path.name == "my rows.csv"
    assert path.read_bytes() == ROWS
    assert not path.stat().st_mode & 0o222
    before = state(address)
    assert local(address) == path
    assert len(web.bodies()) == 1
    web.files["/to/my rows.csv"] = ROWS + b"3,4\n"
    assert state(address) != before
    assert local(address).read_bytes().endswith(b"3,4\n")
    assert path.read_bytes() == ROWS  # whoever reads it still reads the same
    assert progress.lines == [f"fetched 1 files, 0.0 MB, from {address}"]


def test_a_cut_off_download_goes_on_in_the_middle(web):
    web.files["/big.bin"] = BIG
    web.cuts = [1_000_000, 500_000]
    assert local(f"{web.address}/big.bin").read_bytes() == BIG
    ranges = [asked for _, asked in web.bodies()]
    assert ranges[0] is None
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= 1_000_000
    assert len(ranges) == 3


def test_a_server_that_cannot_begin_in_the_middle(web):
    web.files["/big.bin"] = BIG
    web.ranges = False
    web.cuts = [1_000_000, 500_000, 2_000_000]
    assert local(f"{web.address}/big.bin").read_bytes() == BIG
    assert len(web.bodies()) == 4


def test_a_server_that_always_cuts_off_is_given_up(web, own_cache):
    web.files["/big.bin"] = BIG
    web.ranges = False
    # So much that the client must have read some of it before it hears of the cut: what it has not read is lost.
    web.cuts = [1_000_000] * 50
    with pytest.raises(DataError, match=r"big\.bin cannot be asked"):
        local(f"{web.address}/big.bin")
    assert _kept(own_cache) == []
    web.cuts, web.ranges = [], True
    assert local(f"{web.address}/big.bin").read_bytes() == BIG
    assert web.bodies()[-1][1] is not None


_FETCH = "import sys; from pizzeria.fetching import local; print(local(sys.argv[1]))"


def test_kill_in_the_middle(web, own_cache):
    web.files["/big.bin"] = BIG
    killed = threading.Event()
    web.pace = lambda: killed.wait(300) if web.sent > 1_000_000 else None
    address = f"{web.address}/big.bin"
    process = subprocess.Popen([sys.executable, "-c", _FETCH, address], env=os.environ)
    while sum(file.stat().st_size for file in (own_cache / "partial").glob("*")) < 500_000:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed.set()
    assert _kept(own_cache) == []
    assert local(address).read_bytes() == BIG
    assert int(web.bodies()[-1][1].removeprefix("bytes=").rstrip("-")) >= 500_000
    assert not list((own_cache / "partial").iterdir())


def test_two_processes_fetch_it_once(web):
    web.files["/big.bin"] = BIG
    web.pace = lambda: time.sleep(0.02)
    command = [sys.executable, "-c", _FETCH, f"{web.address}/big.bin"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {one.communicate()[0] for one in both}
    assert len(paths) == 1
    assert len(web.bodies()) == 1


def test_a_process_that_comes_while_another_one_ends_does_not_fetch_it_again(web, monkeypatch):
    web.files["/rows.csv"] = ROWS
    real, found = Cache.store, []

    def store(cache, *args):
        real(cache, *args)
        command = [sys.executable, "-c", _FETCH, f"{web.address}/rows.csv"]
        found.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())

    monkeypatch.setattr(Cache, "store", store)
    path = local(f"{web.address}/rows.csv")
    assert found == [str(path)]
    assert len(web.bodies()) == 1


def test_a_pinned_content(web, own_cache):
    web.files["/rows.csv"] = ROWS
    address = f"{web.address}/rows.csv"
    assert local(f"{address}#sha256={_sha256(ROWS).upper()}").read_bytes() == ROWS
    web.asked.clear()
    assert state(f"{address}#sha256={_sha256(ROWS)}") == f"sha256:{_sha256(ROWS)}"
    assert web.asked == []
    web.files["/rows.csv"] = b"other"
    with pytest.raises(DataError) as caught:
        local(f"{address}#sha256={_sha256(ROWS)}")
    for part in (address, _sha256(ROWS), _sha256(b"other")):
        assert part in caught.value.message
    assert _kept(own_cache) == [_sha256(ROWS)]
    assert not list((own_cache / "partial").iterdir())


def test_a_pinned_path(tmp_path):
    (tmp_path / "rows.csv").write_bytes(ROWS)
    assert local(f"{tmp_path}/rows.csv#sha256={_sha256(ROWS)}") == tmp_path / "rows.csv"
    with pytest.raises(DataError, match=f"expected sha256 {'0' * 64}, found {_sha256(ROWS)}"):
        local(f"{tmp_path}/rows.csv#sha256={'0' * 64}")


def test_a_damaged_beginning_is_not_gone_on_with(web, own_cache):
    web.files["/big.bin"] = BIG
    web.ranges, web.cuts = False, [1_000_000] * 50
    with pytest.raises(DataError):
        local(f"{web.address}/big.bin")
    (partial,) = (own_cache / "partial").iterdir()
    partial.write_bytes(b"x" * 1_000_000)
    web.ranges, web.cuts = True, []
    assert local(f"{web.address}/big.bin#sha256={_sha256(BIG)}").read_bytes() == BIG


def test_a_server_without_marks_is_read_each_time(web):
    web.files["/rows.csv"], web.marks = ROWS, False
    address = f"{web.address}/rows.csv"
    before = state(address)
    assert state(address) == before
    web.files["/rows.csv"] = ROWS.replace(b"1", b"7")
    assert state(address) != before
    assert local(address).read_bytes() == ROWS.replace(b"1", b"7")


def test_offline(web, monkeypatch, progress):
    web.files["/rows.csv"] = ROWS
    address = f"{web.address}/rows.csv"
    path, was = local(address), state(address)
    web.stop()
    with pytest.raises(DataError, match="cannot be asked") as caught:
        local(address)
    assert "PIZZERIA_OFFLINE=1 to use what was fetched at 20" in caught.value.hint
    monkeypatch.setenv("PIZZERIA_OFFLINE", "1")
    assert local(address, progress) == path
    assert state(address) == was
    assert "may have changed since" in progress.lines[0]
    with pytest.raises(DataError, match="was never fetched"):
        local(f"{web.address}/other.csv")


def _damage(path):
    """Another byte in a file, in whatever names it has."""
    path.chmod(0o644)
    data = path.read_bytes()
    path.write_bytes(data[:2] + bytes([data[2] ^ 1]) + data[3:])


def test_what_was_damaged_since_is_fetched_again(web, own_cache, progress, monkeypatch):
    web.files["/rows.csv"] = ROWS
    address = f"{web.address}/rows.csv"
    path = local(address)
    [blob] = (own_cache / "blobs").rglob("*/*")
    _damage(path)
    assert blob.read_bytes() == path.read_bytes() != ROWS
    assert local(address, progress).read_bytes() == ROWS
    assert len(web.bodies()) == 2
    assert progress.lines[0] == f"{blob} is damaged: it is removed"
    assert progress.lines[-1] == f"{path.parent} is damaged: it is made again"
    _damage(path)
    monkeypatch.setenv("PIZZERIA_OFFLINE", "1")
    with pytest.raises(DataError, match=r"rows\.csv is not on this machine, or was damaged here"):
        local(address)


def test_a_damaged_index_is_told(web, own_cache):
    web.files["/rows.csv"] = ROWS
    local(f"{web.address}/rows.csv")
    (own_cache / "index.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(DamagedError, match=r"index\.sqlite is damaged") as caught:
        local(f"{web.address}/rows.csv")
    assert "rm " in caught.value.hint


def test_unpacked_files_that_were_damaged_or_lost_are_unpacked_again(tmp_path, progress):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", "one")
        archive.writestr("b.jpg", "two")
    folder = local(tmp_path / "photos.zip")
    for change in (lambda: _damage(folder / "a.jpg"), (folder / "b.jpg").unlink, (folder / "c.jpg").touch):
        change()
        assert local(tmp_path / "photos.zip", progress) == folder
        assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.jpg": "one", "b.jpg": "two"}
        assert progress.lines[-2] == f"{folder} is damaged: it is made again"


def test_what_http_cannot_do(web):
    web.files["/photos/"] = web.files["/page"] = b"<html>"
    for path in ("/photos/", "/page"):
        with pytest.raises(DataError, match="web page") as caught:
            local(web.address + path)
        assert ".tar.gz" in caught.value.hint
    with pytest.raises(DataError, match="there is nothing at"):
        local(f"{web.address}/none.csv")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(DataError, match="cannot be asked"):
            local(f"http://127.0.0.1:{probe.getsockname()[1]}/x.csv")


def test_unknown_kinds_of_address(monkeypatch):
    with pytest.raises(DataError, match="nosuch"):
        local("nosuch://there/x")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    # What an earlier test loaded is kept there.
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(PluginError) as caught:
        Store.open("s3://bucket/x")
    assert caught.value.hint == "pip install 'pizzeria[remote]'"


def test_an_archive_comes_unpacked(web, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photos/cat/1.jpg", b"1")
        archive.writestr("photos/dog/2.jpg", b"2")
        archive.writestr("__MACOSX/photos/._1.jpg", b"x")
    web.files["/photos.zip"] = (tmp_path / "photos.zip").read_bytes()
    for address in (f"{web.address}/photos.zip", tmp_path / "photos.zip"):
        folder = local(address)
        assert folder.name == "photos"
        assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*.jpg")) == ["cat/1.jpg", "dog/2.jpg"]
    assert state(tmp_path / "photos.zip") == tmp_path / "photos.zip"


# S3


def test_a_bucket_is_a_folder(bucket, progress):
    bucket.put(**{"set/a/1.jpg": b"1", "set/b/2.jpg": b"22", "set/": b"", "other.txt": b"no"})
    folder = local("s3://data/set", progress)
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert files == {"a/1.jpg": b"1", "b/2.jpg": b"22"}
    before = state("s3://data/set")
    bucket.got.clear()
    assert local("s3://data/set/") == folder
    assert bucket.got == []
    bucket.put(**{"set/b/2.jpg": b"33"})
    assert state("s3://data/set") != before
    assert (local("s3://data/set", progress) / "b/2.jpg").read_bytes() == b"33"
    assert [path for path, _ in bucket.got] == ["/data/set/b/2.jpg"]
    assert progress.lines[1] == "fetched 1 files, 0.0 MB, from s3://data/set; 1 were here"


def test_files_of_a_pattern(bucket):
    bucket.put(**{"t/part-1.csv": ROWS, "t/part-2.csv": ROWS, "t/notes.txt": b"no"})
    folder = local("s3://data/t/part-*.csv")
    assert sorted(file.name for file in folder.iterdir()) == ["part-1.csv", "part-2.csv"]
    assert local("s3://data/t/part-1.csv").read_bytes() == ROWS


def test_s3_goes_on_in_the_middle(bucket, monkeypatch, own_cache):
    monkeypatch.setattr("pizzeria.fetching.store.CHUNK", 1_000_000)
    bucket.put(big=BIG)
    real, count = Store.read, 0

    def fails_once(store, item, start):
        nonlocal count
        for offset, data in real(store, item, start):
            count += 1
            if count == 3:
                raise OSError("cut off")
            yield offset, data

    monkeypatch.setattr(Store, "read", fails_once)
    assert local("s3://data/big").read_bytes() == BIG
    starts = [asked.removeprefix("bytes=").split("-")[0] for _, asked in bucket.got]
    assert starts == ["0", "1000000", "2000000", "2000000", "3000000"]


def test_sha256sums_of_a_folder_are_heeded(bucket, own_cache):
    sums = f"{_sha256(b'1')}  a.txt\n{_sha256(b'2')} *b/c.txt\n".encode()
    bucket.put(**{"s/a.txt": b"1", "s/b/c.txt": b"2", "s/free.txt": b"3", "s/SHA256SUMS": sums})
    assert (local("s3://data/s") / "b/c.txt").read_bytes() == b"2"
    bucket.put(**{"s/a.txt": b"evil"})
    with pytest.raises(DataError, match=r"s3://data/s/a\.txt is not what it should be") as caught:
        local("s3://data/s")
    assert _sha256(b"1") in caught.value.message
    assert _sha256(b"evil") in caught.value.message
    assert _sha256(b"evil") not in _kept(own_cache)
    bucket.client.delete_object(Bucket="data", Key="s/a.txt")
    with pytest.raises(DataError, match=r"names 'a\.txt', which is not there"):
        local("s3://data/s")


def test_an_object_that_does_not_match_its_etag(bucket, monkeypatch, own_cache):
    bucket.put(x=b"right")
    real = Store.read
    monkeypatch.setattr(Store, "read", lambda *a: ((at, data.replace(b"r", b"w")) for at, data in real(*a)))
    with pytest.raises(DataError, match="expected md5"):
        local("s3://data/x")
    assert _kept(own_cache) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a//b", "x" * 300])
def test_hostile_object_names(bucket, name):
    bucket.put(**{f"h/{name}": b"x", "h/fine": b"y"})
    with pytest.raises(DataError, match="cannot be the name of a file here"):
        local("s3://data/h")
    bucket.client.delete_object(Bucket="data", Key=f"h/{name}")


def test_a_file_that_is_a_folder_too(bucket):
    bucket.put(**{"h/a": b"x", "h/a/b": b"y"})
    with pytest.raises(DataError, match="both as a file and as a folder"):
        local("s3://data/h")


def test_nothing_in_the_bucket(bucket):
    for address in ("s3://data/none", "s3://nobucket/none"):
        with pytest.raises(DataError, match="nothing at"):
            local(address)


# Google


def test_google_cloud_storage(google, own_cache):
    google.objects |= {"set/a.csv": ROWS, "set/b/c.csv": BIG}
    folder = local("gs://data/set")
    assert (folder / "a.csv").read_bytes() == ROWS
    assert (folder / "b/c.csv").read_bytes() == BIG
    before = state("gs://data/set")
    google.got.clear()
    assert local("gs://data/set") == folder
    assert google.got == []
    google.objects["set/a.csv"] = b"new"
    assert state("gs://data/set") != before
    google.md5["set/a.csv"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(DataError, match="expected md5 00000000"):
        local("gs://data/set/a.csv")
