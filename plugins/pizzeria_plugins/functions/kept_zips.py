"""Zips that were made before: compressing takes seconds, and a redeploy or a roll-back wants the same one again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from pizzeria.atomic import copy_file
from pizzeria.shipment import write_zip

_KEPT = 4


def bring_zip(path: Path, files: Mapping[str, bytes | Path], folder: Path, level: int) -> None:
    """Write the zip of these files as `write_zip` does, or copy the one of the same files from `folder`.

    Args:
        path: Of the zip.
        files: Content, or the file that holds it, by name in the archive.
        folder: Where the last few are kept.
        level: 1 (fast) to 9 (small).
    """
    kept = folder / f"{_key(files, level)}.zip"
    folder.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not kept.is_file():
            write_zip(kept, files, level=level)
        os.utime(kept)
        copy_file(kept, path)
        for old in sorted(folder.glob("*.zip"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
            old.unlink()


def _key(files: Mapping[str, bytes | Path], level: int) -> str:
    digest = hashlib.sha256(f"{level} {zlib.ZLIB_RUNTIME_VERSION}\n".encode())
    for name in sorted(files):
        content = files[name]
        if isinstance(content, bytes):
            told = hashlib.sha256(content).hexdigest()
        else:
            with open(content, "rb") as stream:
                told = hashlib.file_digest(stream, "sha256").hexdigest()
            told += " program" if os.access(content, os.X_OK) else ""
        digest.update(f"{name}\0{told}\n".encode())
    return digest.hexdigest()[:32]
