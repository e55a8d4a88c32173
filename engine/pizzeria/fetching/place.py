"""A folder at an address that is written to, in which files appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.errors import DataError, PizzeriaError
from pizzeria.fetching.names import safe
from pizzeria.fetching.store import Store, asked

_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"})
"""Stores in which an object is there when all of it has come."""


@dataclass(frozen=True)
class Place:
    """A folder at an address that fsspec knows: a path, `file://`, `s3://`, `gs://`, `abfs://`, `memory://` ...

    Every method raises a DataError that names the address where the store refuses or does not answer.
    """

    address: str
    files: Any
    """fsspec's file system."""
    root: str

    @classmethod
    def open(cls, address: str) -> Place:
        """Find the file system; asks nobody yet.

        Raises:
            PluginError: a library for it is not installed.
            DataError: there is no such kind of address, or it is one that nothing can be written to.
        """
        found = Store.open(address)
        if found.is_http:
            raise DataError(f"nothing can be written to {address}", hint="give a path, or a bucket: s3://, gs://")
        return cls(address.rstrip("/"), found.files, found.root.rstrip("/"))

    @property
    def _local(self) -> bool:
        return bool(self._protocols & {"file", "local"})

    @property
    def _protocols(self) -> set[str]:
        found = self.files.protocol
        return {found} if isinstance(found, str) else set(found)

    def names(self, suffix: str = "") -> list[str]:
        """Files that lie in the folder itself and end so, in order of name; none where there is no folder."""
        with asked(self.address):
            try:
                found = self.files.ls(self.root, detail=True)
            except FileNotFoundError:
                return []
        names = (str(one["name"]).rsplit("/", 1)[-1] for one in found if one["type"] == "file")
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with asked(self.address):
            try:
                return int(self.files.info(self._at(name))["size"])
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes:
        """The content of a file."""
        with asked(f"{self.address}/{name}"):
            return bytes(self.files.cat_file(self._at(name)))

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, or another content into it."""
        with self._writing(name) as at:
            if self._local:
                atomic.write_bytes(Path(at), data)
            else:
                self.files.pipe_file(at, data)

    def upload(self, path: Path, name: str) -> None:
        """Put a copy of a file of this machine there."""
        with self._writing(name) as at:
            if self._local:
                atomic.copy_file(path, Path(at))
            else:
                self.files.put_file(os.fspath(path), at)

    def download(self, name: str, path: Path) -> None:
        """Copy a file to a path of this machine, whose folder is there."""
        with asked(f"{self.address}/{name}"):
            self.files.get_file(self._at(name), os.fspath(path))

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""
        with asked(self.address):
            try:
                self.files.rm_file(self._at(name))
            except FileNotFoundError:
                return

    def _at(self, name: str) -> str:
        return f"{self.root}/{safe(name, self.address)}"

    @contextmanager
    def _writing(self, name: str) -> Iterator[str]:
        """Where to write; it becomes `name` when the block ends well."""
        final = self._at(name)
        try:
            with asked(self.address):
                if self._local or not self._protocols & _AT_ONCE:
                    self.files.makedirs(final.rpartition("/")[0], exist_ok=True)
                if self._local or self._protocols & _AT_ONCE:
                    yield final
                else:
                    temporary = f"{final}.{secrets.token_hex(4)}.tmp"
                    yield temporary
                    self.files.mv(temporary, final)
        except PizzeriaError as error:
            raise DataError(f"{self.address}/{name} cannot be written: {error.message}", hint=error.hint) from error
