"""Whether all that a run left, and what came of it, is still what it was: from the spec to the logged predictions.

Each link of the chain is looked at anew: files are hashed again, whatever a process remembers of them.

    ledger       its entries, each of which is chained to the one before
    spec         spec.yaml as it was written, and as each stage read it
    data         the files that the spec names, by the hash that the stage took of them
    <stage>      every file of the stage, and the stages that it was made from
    bundle       its files, its hash, the stages that it names, and its golden answer
    service      what is live: its hash, and its answer to the golden request
    predictions  each logged record, and whether its bundle was live then
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pizzeria import registry
from pizzeria.deployments import log_folder, status_of
from pizzeria.deployments.release import deployment_of, spec_of
from pizzeria.errors import DataError, NotFoundError, PizzeriaError
from pizzeria.fingerprint import FileHashes, digest, flatten
from pizzeria.graph import stages
from pizzeria.inference.bundle import open_bundle
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import CLOSING, Entry, Ledger
from pizzeria.runs.store import Result, Run, Store
from pizzeria.spec.spec import Spec

Verdict = Literal["ok", "changed", "not there"]
_GRACE = timedelta(minutes=10)
"""How long after another one took over a bundle may still answer: it drains, and records wait in a queue."""


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    Attributes:
        verdict: `not there` is nothing to look at, such as data that were taken away: nothing is known of them.
        told: What was looked at, or what is wrong.
    """

    name: str
    verdict: Verdict
    told: str


def audit(run: Run, store: Store) -> Iterator[Link]:
    """The links of a run's chain, in order; each is looked at when it is asked for."""
    try:
        entries = Ledger(store.root).entries()
        yield Link("ledger", "ok", f"{len(entries)} entries")
    except PizzeriaError as error:
        entries = []
        yield Link("ledger", "changed", error.message)
    try:
        spec = load_resolved(run.folder / "spec.yaml")
        yield Link("spec", "ok", str(run.folder / "spec.yaml"))
    except PizzeriaError as error:
        yield Link("spec", "changed", error.message)
        return
    found: dict[str, Result] = {}
    for stage in stages():
        folder = run.folder / "stages" / stage.NAME
        if not folder.is_dir():
            yield Link(stage.NAME, "not there", "the run did not get so far, or it was removed")
            continue
        if (link := _data(stage, spec, store, folder)) is not None:
            yield link
        yield _stage(stage, spec, store, folder, found)
    if "package" in found:
        yield _bundle(found)
    yield _service(spec, run, store, entries)
    yield _predictions(spec, store, entries)


def _data(stage: Any, spec: Spec, store: Store, folder: Path) -> Link | None:
    """The data that a stage reads besides those of other stages; None where it reads none."""
    if not hasattr(stage, "data"):
        return None
    name = f"data of {stage.NAME}"
    try:
        paths = stage.data(spec)
        if not paths:
            return None
        with tempfile.TemporaryDirectory(prefix="pizzeria-") as scratch:  # so that no hash of before is remembered
            now = FileHashes(Path(scratch) / "hashes.sqlite").of(paths)
        result = store.load(folder.resolve().name)
    except DataError as error:
        return Link(name, "not there", error.message)
    except PizzeriaError as error:
        return Link(name, "changed", error.message)
    what = ", ".join(str(path)[:80] for path in paths[:3])
    if result is not None and result.ingredients["data"] != now:
        return Link(name, "changed", f"{what}: not what the run was made from")
    return Link(name, "ok", what)


def _stage(stage: Any, spec: Spec, store: Store, folder: Path, found: dict[str, Result]) -> Link:
    name, at = stage.NAME, folder.resolve()
    try:
        result = store.load(at.name)
        if result is None:
            return Link(name, "changed", f"{at} has no sealed result.json; run it again")
        result.check()
    except PizzeriaError as error:
        return Link(name, "changed", error.message)
    found[name] = result
    if digest(result.ingredients)[:32] != result.fingerprint:
        return Link(name, "changed", f"{at}: its fingerprint is not that of what it was made from")
    for other, fingerprint in result.ingredients["inputs"].items():
        if other in found and found[other].fingerprint != fingerprint:
            return Link(name, "changed", f"{at} was made from another {other}: {fingerprint}")
    read = _plain(dict(flatten(stage.reads(spec))))
    if name != "deploy" and read != _plain(result.ingredients["spec"]):
        return Link(name, "changed", f"{at} was made with another spec than spec.yaml says")
    size = sum((at / one).stat().st_size for one in result.files)
    return Link(name, "ok", f"{len(result.files)} files, {size / 1e6:.1f} MB")


def _plain(value: Any) -> Any:
    """As it comes out of a result."""
    return json.loads(json.dumps(value, sort_keys=True, default=str))


def _bundle(found: dict[str, Result]) -> Link:
    from pizzeria.inference.predictor import Predictor
    from pizzeria.inference.sample import check_sample

    package = found["package"]
    try:
        bundle = open_bundle(package.folder / "bundle")
        check_sample(Predictor(bundle))
    except PizzeriaError as error:
        return Link("bundle", "changed", error.message)
    if bundle.sha256 != package.facts["sha256"]:
        return Link("bundle", "changed", f"{bundle.location} is {bundle.sha256[:12]}, not what was packed")
    for stage, fingerprint in bundle.description["lineage"].items():
        if stage in found and found[stage].fingerprint != fingerprint:
            return Link("bundle", "changed", f"{bundle.location} was made from another {stage}: {fingerprint}")
    return Link("bundle", "ok", bundle.sha256)


def _service(spec: Spec, run: Run, store: Store, entries: list[Entry]) -> Link:
    """What is live of this run, as it answers."""
    reigns = [one for one in entries if one.name == spec.name and one.event in ("promoted", "rolled_back", "stopped")]
    if not reigns or reigns[-1].event == "stopped" or reigns[-1].run != run.id:
        return Link("service", "not there", "this run is not live")
    entry = reigns[-1]
    try:
        status = status_of(entry.name, deployment_of(entry, store), store)
        if status.state != "live":
            return Link("service", "not there", f"{status.address} is {status.state}: {status.detail}")
        if status.sha256 != entry.sha256:
            return Link("service", "changed", f"{status.address} answers with {status.sha256[:12] or 'no bundle'}")
        return _golden(status.address, run.stage("package") / "bundle", entry.sha256)
    except NotFoundError as error:
        return Link("service", "not there", error.message)
    except PizzeriaError as error:
        return Link("service", "changed", error.message)


def _golden(address: str, folder: Path, sha256: str) -> Link:
    from pizzeria.inference.sample import sample_difference
    from pizzeria.observation import Service

    bundle = open_bundle(folder)
    if bundle.sha256 != sha256:
        return Link("service", "changed", f"{address} has {sha256[:12]}, the run {bundle.sha256[:12]}")
    status, answer = Service(address).answer(bundle.sample_request())
    if status in (401, 403):
        return Link("service", "ok", f"{address} has {sha256[:12]}; it wants a key, so it was asked nothing")
    if status != 200:
        return Link("service", "changed", f"{address} answers the golden request with {status or 'nothing'}")
    difference = sample_difference(bundle, answer)
    if difference:
        return Link("service", "changed", f"{address} does not give the golden answer: {difference}")
    return Link("service", "ok", f"{address} answers as {sha256[:12]}")


def _predictions(spec: Spec, store: Store, entries: list[Entry]) -> Link:
    own = [entry for entry in entries if entry.name == spec.name]
    made = [entry for entry in own if entry.event in ("promoted", "rolled_back")]
    try:
        log = (spec_of(made[-1], store) if made else spec).serving.log
        if log is None:
            return Link("predictions", "not there", "the spec keeps no log")
        plugin, folder = registry.load("prediction_logs", log.use), log_folder(store, spec.name)
        if hasattr(plugin, "check"):
            plugin.check(log.options, folder)
        terms, count = live_terms(own), 0
        for frame in plugin.batches(log.options, folder):
            count += len(frame)
            for sha256, moment in zip(frame["sha256"], frame["timestamp"], strict=True):
                if not any(begin <= moment <= end for begin, end in terms.get(str(sha256), ())):
                    told = f"a record of {moment} names {str(sha256)[:12]}, which was not live then"
                    return Link("predictions", "changed", f"{folder}: {told}")
    except PizzeriaError as error:
        return Link("predictions", "changed", error.message)
    if not count:
        return Link("predictions", "not there", "nothing was logged yet")
    return Link("predictions", "ok", f"{count} records")


def live_terms(entries: list[Entry]) -> dict[str, list[tuple[datetime, datetime]]]:
    """From when to when each bundle may have answered, by its sha256.

    It begins with the intent, since canaries answer before they are promoted, and ends a while after another one took
    over, it failed, or it was stopped.

    Args:
        entries: Of one name, oldest first.
    """
    open_: dict[str, datetime] = {}
    terms: dict[str, list[tuple[datetime, datetime]]] = {}
    champion = ""
    for entry in entries:
        at = datetime.fromisoformat(entry.at)
        gone: set[str] = set()
        if entry.event == "deploying":
            open_.setdefault(entry.sha256, at - timedelta(seconds=1))
        elif entry.event in ("promoted", "rolled_back"):
            open_.setdefault(entry.sha256, at - timedelta(seconds=1))
            gone, champion = open_.keys() - {entry.sha256}, entry.sha256
        elif entry.event == "stopped":
            gone, champion = set(open_), ""
        elif entry.event in CLOSING and entry.sha256 != champion:
            gone = {entry.sha256} & open_.keys()
        for sha256 in gone:
            terms.setdefault(sha256, []).append((open_.pop(sha256), at + _GRACE))
    for sha256, begin in open_.items():
        terms.setdefault(sha256, []).append((begin, datetime.max.replace(tzinfo=begin.tzinfo)))
    return terms
