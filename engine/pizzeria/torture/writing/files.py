"""Bundles, pages, predictions, and the caches of packs and of fetched files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pizzeria.cache_folder import cache_folder
from pizzeria.fetching.cache import Cache
from pizzeria.inference.bundle import open_bundle, write_bundle, zip_bundle
from pizzeria.packs import SUFFIX, open_pack, write_pack
from pizzeria.prediction import write_predictions
from pizzeria.report.page import render
from pizzeria.torture.writing.operation import Operation

_DESCRIPTION: dict[str, Any] = {
    "name": "tiny",
    "task": "object_detection",
    "classes": ["bed"],
    "preprocessing": {"kind": "photos", "size": [8, 8], "resize": "letterbox", "fill": 114},
    "calibration": {"method": "none", "thresholds": {"bed": 0.5}},
    "metrics": {},
    "gate": [],
    "lineage": {},
    "versions": {},
}


def _bundle(folder: Path, name: str = "bundle", content: bytes = b"model") -> None:
    """Only what is not there: a bundle is never replaced."""
    model, target = folder / "model.onnx", folder / "runs" / name
    if not model.exists():
        model.write_bytes(content * 50_000)
    if not target.exists():
        write_bundle(target, _DESCRIPTION, model, ("request.jpg", b"photo"), {"boxes": []})


def _prepare_bundle(folder: Path) -> None:
    (folder / "runs").mkdir()
    (folder / "model.onnx").write_bytes(b"model" * 50_000)


def _bundle_state(folder: Path) -> str:
    path = folder / "runs" / "bundle"
    return open_bundle(path).sha256 if path.exists() else "none"


def _prepare_zip(folder: Path) -> None:
    for name, content in (("old", b"old"), ("new", b"new")):
        (folder / "model.onnx").unlink(missing_ok=True)
        _bundle(folder, name, content)
    zip_bundle(folder / "runs" / "old", folder / "runs" / "bundle.zip")


def _zip_state(folder: Path) -> str:
    return open_bundle(folder / "runs" / "bundle.zip").sha256


def _prepare_page(folder: Path) -> None:
    run = folder / "runs" / "tiny-1"
    run.mkdir(parents=True)
    (run / "spec.yaml").write_text("name: tiny\n")
    (run / "report.html").write_text("<html>old</html>")


def _page_state(folder: Path) -> str:
    text = (folder / "runs" / "tiny-1" / "report.html").read_text()
    if not text.rstrip().endswith("</html>"):
        raise ValueError("the page has no end")
    return "old" if text == "<html>old</html>" else "new"


def _predictions(folder: Path, rows: int) -> None:
    records = [{"row_id": f"r{i}", "class": "yes", "p:yes": i / rows} for i in range(rows)]
    write_predictions(records, "tabular_classification", folder / "runs" / "predictions.csv")


def _predictions_state(folder: Path) -> str:
    lines = (folder / "runs" / "predictions.csv").read_text().splitlines()
    return f"{len(lines)} lines, the last is {lines[-1]}"


def _pack(folder: Path, *keys: str) -> None:
    import numpy as np

    write_pack(cache_folder("photos"), keys, np.ones((len(keys), 64, 64, 3), np.uint8), [{}] * len(keys))


def _pack_state(folder: Path) -> str:
    packs = [open_pack(path) for path in sorted(cache_folder("photos").glob(f"*{SUFFIX}"))]
    if not all(pack.intact() for pack in packs):
        raise ValueError("a pack holds other arrays than were written")
    return ", ".join(sorted(key for pack in packs for key in pack.keys))


_FETCHED = {"part/a.csv": b"a,b\n1,2\n", "b.csv": b"a,b\n3,4\n"}


def _fetch(folder: Path) -> None:
    """As `pizzeria.fetching` keeps what comes."""
    cache, found = Cache(), {}
    for name, content in _FETCHED.items():
        sha256 = hashlib.sha256(content).hexdigest()
        if not cache.blob(sha256).exists():
            with cache.partial(name.replace("/", "-")) as stream:
                stream.truncate(0)
                stream.write(content)
                cache.store(stream, name.replace("/", "-"), sha256)
        found[name] = sha256
    cache.tree(found)
    cache.remember(found)


def _fetched_state(folder: Path) -> str:
    known = Cache().known(list(_FETCHED))
    if not known:
        return "nothing"
    tree = Cache().tree(known)
    content = {name: (tree / name).read_bytes() for name in known}
    if content != _FETCHED:
        raise ValueError(f"{tree} has another content than was fetched")
    return "all"


def _zip(folder: Path) -> None:
    zip_bundle(folder / "runs" / "new", folder / "runs" / "bundle.zip")


OPERATIONS = (
    Operation("bundle", _prepare_bundle, _bundle, _bundle_state),
    Operation("zip of a bundle", _prepare_zip, _zip, _zip_state),
    Operation("report of a run", _prepare_page, lambda folder: render(folder / "runs" / "tiny-1"), _page_state),
    Operation(
        "predictions in a file",
        lambda folder: _predictions(folder, 10),
        lambda folder: _predictions(folder, 1000),
        _predictions_state,
    ),
    Operation(
        "pack of photos", lambda folder: _pack(folder, "a", "b"), lambda folder: _pack(folder, "c", "d"), _pack_state
    ),
    Operation("fetched files", lambda _: Cache(), _fetch, _fetched_state, database=True),
)
