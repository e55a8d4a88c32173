"""What Pizzeria keeps, by kind, each with the files that may be damaged and the code that takes it up."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.cache_folder import VARIABLE
from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.fetching import local
from pizzeria.fetching.place import Place
from pizzeria.inference.bundle import open_bundle, zip_bundle
from pizzeria.loading import load_resolved
from pizzeria.monitoring.history import History
from pizzeria.monitoring.incidents import Changes, update
from pizzeria.runs.artifacts import Artifacts
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.seals import RESULT
from pizzeria.runs.store import Run, Store
from pizzeria.torture.flipping.looking import look

_STAGES = {
    "tables": ("collect", "*"),
    "expectations": ("validate", "**/*"),
    "splits": ("split", "*"),
    "leakage": ("leakage", "*"),
    "features": ("features", "**/*"),
    "checkpoints": ("train", "checkpoints/**/*"),
    "weights": ("train", "model.safetensors"),
    "metrics and gate": ("evaluate", "*"),
    "bundle of a run": ("package", "bundle/**/*"),
    "reference": ("package", "*.*"),
}
"""Kind: stage, and which of its files."""
_RECORDS = 60


@dataclass(frozen=True)
class Kept:
    """Things of one kind.

    Attributes:
        place: The folder of all of it; nothing else lies there that matters.
        patterns: Of the files to damage, below `place`.
        take_up: Reads them as a command does, and returns what it read.
        harmless: Whether the format has bytes that mean nothing.
        known_as: Further names by which a file may be told.
        changes: Whether taking it up changes files, so that they are put back.
    """

    kind: str
    place: Path
    patterns: tuple[str, ...]
    take_up: Callable[[], Any]
    harmless: bool = False
    known_as: dict[str, str] = field(default_factory=dict)
    changes: bool = False

    def files(self) -> list[Path]:
        """Those that may be damaged."""
        found = {path for pattern in self.patterns for path in self.place.glob(pattern)}
        return sorted(path for path in found if path.is_file() and path.stat().st_size)

    def names(self, path: Path) -> tuple[str, ...]:
        """By which one is told."""
        return (path.name, *(name for name in (self.known_as.get(path.name),) if name))


def kept_by(store: Path, folder: Path) -> Iterator[Kept]:
    """What a run keeps whose bundle is packed.

    Args:
        folder: Made, for what is kept outside of the store.
    """
    [run] = Store(store).runs()
    who = run.id.rpartition("-")[0]
    for kind, (stage, pattern) in _STAGES.items():
        stage_folder = (run.folder / "stages" / stage).resolve()
        if not any(path.is_file() and path.name != RESULT for path in stage_folder.glob(pattern)):
            continue
        yield Kept(f"{who}: {kind}", stage_folder, (pattern,), _stage(run, stage))
    train = (run.folder / "stages" / "train").resolve()
    yield Kept(f"{who}: {RESULT}", train, (RESULT,), lambda: Store(store).load(train.name))
    yield Kept(f"{who}: spec of a run", run.folder, ("spec.yaml",), lambda: load_resolved(run.folder / "spec.yaml"))
    bundle = run.folder / "stages" / "package" / "bundle"
    own = folder / "bundle"
    shutil.copytree(bundle, own / "bundle")
    yield Kept(f"{who}: bundle", own, ("bundle/**/*",), lambda: _bundle(own / "bundle"))
    zipped = folder / "zip"
    zip_bundle(bundle, zipped / "bundle.zip")
    yield Kept(f"{who}: zip of a bundle", zipped, ("*.zip",), lambda: _bundle(zipped / "bundle.zip"), harmless=True)
    yield _at_an_address(Store(store), run, folder / "shared")


def _stage(run: Run, stage: str) -> Callable[[], Any]:
    return lambda: sorted(path.name for path in run.stage(stage).rglob("*"))


def _bundle(path: Path) -> Any:
    found = open_bundle(path)
    return found.sha256, found.description, [found.read(name) for name in sorted(found.hashes)]


def _at_an_address(store: Store, run: Run, folder: Path) -> Kept:
    """Stages for other machines: `PIZZERIA_ARTIFACTS`."""
    folder.mkdir(parents=True)
    artifacts = Artifacts(Place.open(str(folder)))
    fingerprints: list[str] = []
    known_as: dict[str, str] = {}
    for stage in ("collect", "split", "evaluate"):
        result = store.load((run.folder / "stages" / stage).resolve().name)
        assert result is not None
        artifacts.push(result.fingerprint, result.folder)
        fingerprints.append(result.fingerprint)
        listed = json.loads((folder / "stages" / f"{result.fingerprint}.json").read_text())["files"]
        known_as |= {one["sha256"]: name for name, one in listed.items()}
        known_as[f"{result.fingerprint}.json"] = result.fingerprint

    def fetch() -> Any:
        with tempfile.TemporaryDirectory() as other:
            machine = Store(Path(other), Artifacts(Place.open(str(folder))))
            return [found and (found.facts, found.files) for found in map(machine.fetch, fingerprints)]

    return Kept(
        f"{run.id.rpartition('-')[0]}: stages at an address", folder, ("**/*",), fetch, known_as=known_as, changes=True
    )


def kept_in_files(folder: Path) -> Iterator[Kept]:
    """What is kept beside the runs."""
    ledger, log = folder / "ledger", folder / "log"
    for place in (ledger, log):
        place.mkdir(parents=True)
    entered = Ledger(ledger)
    for i in range(_RECORDS // 3):
        for event in ("run_started", "deploying", "promoted"):
            entered.add(event, "ab"[i % 2], run=f"run-{i}", sha256=f"{i:064x}", detail={"target": "local", "number": i})

    def ledger_read() -> Any:
        found = Ledger(ledger)
        return found.entries(), found.champion("a"), found.champion("b"), found.names(), found.count()

    yield Kept("ledger", ledger, ("*.sqlite",), ledger_read, harmless=True, changes=True)

    plugin = registry.load("prediction_logs", "sqlite")
    options, begin = plugin.Options(), datetime(2026, 5, 1, tzinfo=UTC)
    moments = [(begin + timedelta(seconds=i)).isoformat() for i in range(_RECORDS)]
    records = [
        {
            "timestamp": at,
            "sha256": "ab" * 32,
            "prediction_id": f"{i:03d}",
            "pred:yes": i / 7,
            "feature:kind": "abc"[i % 3],
        }
        for i, at in enumerate(moments)
    ]
    plugin.writer(options, log)(records)

    def log_read() -> Any:
        return plugin.read(options, log).to_dict("list"), plugin.counts(
            options, log, [begin, begin + timedelta(days=1)]
        )

    yield Kept("prediction log", log, ("*.sqlite",), log_read, harmless=True, changes=True)
    yield _found_by_monitoring(folder / "monitored")
    yield _fetched(folder / "fetched")


def _found_by_monitoring(folder: Path) -> Kept:
    """Read as the pages do, and by a pass that finds nothing new."""
    history, sha256 = History(folder), "ab" * 32
    begin = datetime(2026, 5, 1, tzinfo=UTC)

    def judge(verdict: Verdict) -> Changes:
        changes = Changes()

        def follow(connection: sqlite3.Connection) -> None:
            nonlocal changes
            changes = update(connection, verdict, sha256=sha256, run="run-1", at=begin.isoformat(), champion=True)

        history.record(verdict, sha256=sha256, run="run-1", at=begin.isoformat(), then=follow)
        return changes

    for i in range(_RECORDS // 3):
        chunk = (f"{i:02d}", (begin + timedelta(days=i)).isoformat(), (begin + timedelta(days=i + 1)).isoformat())
        drifted = i % 4 == 3
        found = [Finding("drift", name, *chunk, i / 7, "above 2", drifted, high=2) for name in ("size", "age")]
        alarms = [Alarm("drift", "size", *chunk, f"size has drifted by {i / 7:.3f}", ("age",))] if drifted else []
        judge(Verdict(tuple(found), tuple(alarms), (), chunks=(Judged(*chunk, 100 + i, 0, False),)))

    def read() -> Any:
        chunks = history.chunks()
        return chunks, history.findings(chunks), history.alarms(chunks), judge(Verdict((), (), ()))

    return Kept("history of monitoring", folder, ("*.sqlite",), read, harmless=True, changes=True)


def _fetched(folder: Path) -> Kept:
    """Data that were brought here, whose damage costs no more than to bring them again: so it is harmless."""
    import fsspec

    there = "memory://pizzeria-torture"
    for i in range(4):
        rows = "".join(f"{row},{row * i}\n" for row in range(400))
        fsspec.filesystem("memory").pipe(f"{there}/part-{i}.csv", rows.encode())
    folder.mkdir()

    def fetch() -> Any:
        os.environ[VARIABLE] = str(folder)
        found = local(there)
        return {path.name: path.read_bytes() for path in sorted(found.iterdir())}

    look(fetch)
    return Kept("fetched data", folder, ("fetched/blobs/*/*", "fetched/trees/*/*"), fetch, harmless=True, changes=True)
