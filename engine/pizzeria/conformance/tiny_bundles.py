"""Two tiny bundles with real ONNX models of a few kB, and bundles that are broken in two ways.

tests/engine/conformance/make_bundles.py of the project made them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "bundles"

OLDER, NEWER = FOLDER / "older", FOLDER / "newer"
"""Detectors that see a bed and a sofa in every photo; they differ in how sure they are of the sofa."""


def unable_to_start(folder: Path) -> Path:
    """A bundle whose hashes are right, and whose model no runtime can load.

    Example:
        >>> import tempfile
        >>> from pizzeria.inference.bundle import open_bundle
        >>> open_bundle(unable_to_start(Path(tempfile.mkdtemp()) / "b")).name
        'conformance'
    """
    return _changed(folder, "model.onnx", lambda _: b"this is no model")


def answers_otherwise(folder: Path) -> Path:
    """A bundle whose model does not answer its golden request as its golden answer says."""

    return _changed(folder, "sample/answer.json", lambda answer: answer.replace(b"0.75", b"0.15"))


def _changed(folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    shutil.copytree(NEWER, folder)
    content = change((NEWER / name).read_bytes())
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, name: sha256(content).hexdigest()}, indent=2) + "\n")
    return folder
