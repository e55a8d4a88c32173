"""What was fetched, by content.

    blobs/ab/ab12...    a file by its sha256, read-only
    partial/<key>       what has come so far of a file; a lock on it keeps two processes from fetching it twice
    trees/<key>/        files under the names that they have at an address: hard links to blobs
    index.sqlite        which object, of which size and mark, has which sha256; the sha256 of each tree's files;
                        and the last listing of each address

A blob is complete when it is there: it is renamed into place after its hash is known. Both are hashed again whenever
they are taken up, and what was damaged is fetched or unpacked anew. All may be deleted.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pizzeria.atomic import filling, make_folder, rename
from pizzeria.cache_folder import cache_folder
from pizzeria.hashing import sha256_of_all
from pizzeria.sqlite_files import damage_told

if TYPE_CHECKING:
    from pizzeria.contracts import Progress

_TABLES = (
    "create table if not exists blob(key text primary key, sha256 text not null)",
    "create table if not exists listing(address text primary key, at real not null, found text not null)",
    "create table if not exists tree(key text primary key, files text not null)",
)


class Cache:
    """The folder `fetched` of the user's cache.

    Args:
        progress: Told of what is damaged.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self.folder = cache_folder("fetched")
        for name in ("blobs", "partial", "trees"):
            (self.folder / name).mkdir(exist_ok=True)

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        path = self.folder / "index.sqlite"
        hint = f"remove it (rm {path}): what was fetched is asked for again"
        with damage_told(path, hint), closing(sqlite3.connect(path, timeout=60)) as connection:
            for statement in _TABLES:
                connection.execute(statement)
            with connection:
                yield connection

    def blob(self, sha256: str) -> Path:
        """Where the file of that content lies, or would."""
        return self.folder / "blobs" / sha256[:2] / sha256

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        """The sha256 of those objects whose content is here, and intact; what is damaged is removed."""
        found: dict[str, str] = {}
        with self._index() as index:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                places = ",".join("?" * len(part))
                found.update(index.execute(f"select key, sha256 from blob where key in ({places})", part))  # noqa: S608 - our own words, and values are parameters
        here = {sha256: self.blob(sha256) for sha256 in set(found.values()) if self.blob(sha256).exists()}
        for sha256, found_there in zip(list(here), sha256_of_all(here.values()), strict=True):
            if found_there == sha256:
                continue
            self._say(f"{here[sha256]} is damaged: it is removed")
            here.pop(sha256).unlink(missing_ok=True)
        return {key: sha256 for key, sha256 in found.items() if sha256 in here}

    def _say(self, text: str) -> None:
        if self._progress is not None:
            self._progress.say(text)

    def remember(self, found: Mapping[str, str]) -> None:
        """Keep which objects have which content."""
        with self._index() as index:
            index.executemany("insert or replace into blob values (?, ?)", found.items())

    def keep_listing(self, address: str, found: Any) -> None:
        """Keep what lay at an address just now."""
        with self._index() as index:
            index.execute("insert or replace into listing values (?, ?, ?)", (address, time.time(), json.dumps(found)))

    def listing(self, address: str) -> tuple[float, Any] | None:
        """When the address was last listed (seconds since 1970), and what lay there."""
        with self._index() as index:
            row = index.execute("select at, found from listing where address = ?", (address,)).fetchone()
        return None if row is None else (float(row[0]), json.loads(row[1]))

    @contextmanager
    def partial(self, key: str) -> Iterator[IO[bytes]]:
        """What has come so far under that key, for this process alone: a stream to read and to append to."""
        path = self.folder / "partial" / key
        while True:
            stream = open(path, "a+b")  # noqa: SIM115 - closed below, after the lock is had
            fcntl.flock(stream, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                # Whoever had the lock before may have made a blob of it.
                if os.fstat(stream.fileno()).st_ino == path.stat().st_ino:
                    break
            stream.close()
        with stream:
            yield stream

    def store(self, stream: IO[bytes], key: str, sha256: str) -> None:
        """Make a blob of what came under that key."""
        stream.flush()
        os.fsync(stream.fileno())
        os.fchmod(stream.fileno(), 0o444)
        blob = self.blob(sha256)
        make_folder(blob.parent)
        rename(self.folder / "partial" / key, blob)

    def discard(self, key: str) -> None:
        """Forget what came under that key."""
        (self.folder / "partial" / key).unlink(missing_ok=True)

    def tree(self, files: Mapping[str, str]) -> Path:
        """A folder with these files: name to sha256, all of which are here."""
        key = hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()
        with self.making(key) as (folder, made):
            if made is not None:
                for name, sha256 in files.items():
                    path = made / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        os.link(self.blob(sha256), path)
                    except OSError:  # too many links to one file, or a file system without any
                        shutil.copyfile(self.blob(sha256), path)
        return folder

    @contextmanager
    def making(self, key: str) -> Iterator[tuple[Path, Path | None]]:
        """The folder of a tree and, where it is not there or damaged, another one to fill, which then takes its place.

        Raises:
            OSError: it cannot be written; nothing is left of it.
        """
        folder = self.folder / "trees" / key
        if folder.is_dir():
            with self._index() as index:
                row = index.execute("select files from tree where key = ?", (key,)).fetchone()
            if row is not None and json.loads(row[0]) == self._files(folder):
                yield folder, None
                return
            self._say(f"{folder} is damaged: it is made again")
            shutil.rmtree(folder)
        try:
            with filling(folder) as made:
                yield folder, made
                with self._index() as index:  # before it has its name, and nobody can find it without
                    index.execute("insert or replace into tree values (?, ?)", (key, json.dumps(self._files(made))))
        except OSError as error:
            faster = error.errno in (errno.EEXIST, errno.ENOTEMPTY) and folder.is_dir()
            if not faster:  # than this process was another one
                raise

    @staticmethod
    def _files(folder: Path) -> dict[str, str]:
        """The sha256 of each file below a folder."""
        found = (path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in found]
        return dict(zip(names, sha256_of_all(folder / name for name in names), strict=True))


def key_of(*parts: object) -> str:
    """A file name for what these parts say.

    Example:
        >>> key_of("s3://bucket/a", 3, "tag") == key_of("s3://bucket/a", 3, "tag")
        True
    """
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()
