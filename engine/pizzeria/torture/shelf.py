"""A store whose runs cost nothing: tiny bundles with real models, under a spec of their own, ready to be put live."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from pizzeria.conformance.tiny_bundles import NEWER, OLDER
from pizzeria.fingerprint import digest
from pizzeria.inference.bundle import open_bundle
from pizzeria.loading import load_spec
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Result, Run, Store
from pizzeria.runs.working import at_work
from pizzeria.torture import workplace

NAME = "shelf"


def spec_text(folder: Path, deployment: Mapping[str, Any]) -> str:
    """A resolved spec of the tiny bundles, deployed so.

    Args:
        deployment: The section; `{"use": "replay"}` serves nothing, and says what it would serve.
    """
    path = workplace.photos(folder, name=NAME)
    spec = load_spec([str(path), "problem.classes=[bed,sofa]"]).resolved()
    return yaml.safe_dump(spec | {"deployment": dict(deployment)}, sort_keys=False)


def register(store: Store, text: str, version: str) -> Run:
    """Leave what `pizzeria run --until package` does: a stage with a bundle of its own, a run that points at it, and
    entries of the ledger.

    Args:
        version: Decides the bundle's content; the same one is the same bundle.
    """
    fingerprint = digest({"torture": version})
    run = store.open_run(f"{NAME}-{fingerprint[:12]}", text)
    ledger = Ledger(store.root)
    with at_work(run, NAME, {"package": fingerprint}):
        ledger.add("run_started", NAME, run=run.id, detail={"stages": ["package"]})
        with store.partial(fingerprint, keep=False) as folder:
            sha = _bundle(folder / "bundle", version)
            facts = {"sha256": sha}
            result = Result("package", fingerprint, folder, facts, 0.0, "2026-01-01T00:00:00.000+00:00", {}, None)
            run.link(store.commit(folder, result))
        ledger.add("bundled", NAME, run=run.id, sha256=sha)
        ledger.add("run_finished", NAME, run=run.id)
    return run


def _bundle(folder: Path, version: str) -> str:
    """One of the two tiny models, with the version in its description; returns its sha256."""
    shutil.copytree(OLDER if version.endswith("older") else NEWER, folder)
    described = json.loads((folder / "bundle.json").read_text())
    content = json.dumps(described | {"lineage": {"version": version}}, indent=1).encode()
    (folder / "bundle.json").write_bytes(content)
    hashes = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(hashes | {"bundle.json": sha256(content).hexdigest()}, indent=2))
    return open_bundle(folder).sha256
