"""Zips that are the same byte for byte whenever their content is, and the hash of a folder's content."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pizzeria.atomic import make_folder, replacing

_DATE = (1980, 1, 1, 0, 0, 0)
_FILE, _PROGRAM = 0o100644 << 16, 0o100755 << 16


def write_zip(path: Path, files: Mapping[str, bytes | Path], *, level: int | None = None) -> None:
    """Write a zip, whole or not at all: names sorted, no times, no owners.

    Args:
        path: Replaced if it is there.
        files: Content, or the file that holds it, by name in the archive. A file keeps whether it is a program.
        level: 1 (fast) to 9 (small); None stores, so that the bytes depend on no version of zlib.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_zip(folder / "a.zip", {"b.txt": b"bed", "a.txt": b"sofa"})
        >>> zipfile.ZipFile(folder / "a.zip").namelist()
        ['a.txt', 'b.txt']
    """
    make_folder(path.parent)
    how = zipfile.ZIP_STORED if level is None else zipfile.ZIP_DEFLATED
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", how, compresslevel=level) as archive:
        for name in sorted(files):
            content = files[name]
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.compress_type = 3, how
            program = isinstance(content, Path) and os.access(content, os.X_OK)
            entry.external_attr = _PROGRAM if program else _FILE
            data = content.read_bytes() if isinstance(content, Path) else content
            archive.writestr(entry, data, compresslevel=level)


def content_hash(path: Path) -> str:
    """sha256 of a file's content, or of the names and contents of all files below a folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_text("bed")
        >>> content_hash(folder / "a")[:12]
        '69dd56be4a5c'
    """
    if path.is_file():
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()}\0{content_hash(file)}\n".encode())
    return digest.hexdigest()
