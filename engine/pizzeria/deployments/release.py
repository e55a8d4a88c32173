"""From a run to what a target needs to know of its bundle, and where things of a deployment lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.loading import load_deployment, load_resolved
from pizzeria.runs.ledger import Entry
from pizzeria.runs.store import Run, Store
from pizzeria.signing.keys import trusted
from pizzeria.signing.shelf import FOLDER
from pizzeria.spec.deployment import Deployment
from pizzeria.spec.spec import Spec


@dataclass(frozen=True)
class Packed:
    """The bundle of a run, and the spec by which it is, was or will be deployed."""

    spec: Spec
    run: Run
    bundle: Path
    sha256: str


def packed(run: Run, spec: Spec, store: Store) -> Packed:
    """The bundle of a run.

    Raises:
        NotFoundError: the run did not get so far.
    """
    package = store.load(run.stage("package").name)
    assert package is not None
    return Packed(spec, run, package.folder / "bundle", str(package.facts["sha256"]))


def spec_of(entry: Entry, store: Store) -> Spec:
    """The spec of what a ledger entry deployed, with the deployment section and the prediction log of that time.

    Raises:
        NotFoundError: its run is gone.
        SpecError: a plugin that it names is gone, or takes other options now.
    """
    instead = entry.detail if "deployment" in entry.detail else None
    return load_resolved(store.run(entry.run).folder / "spec.yaml", instead=instead)


def deployment_of(entry: Entry, store: Store) -> Deployment:
    """Where a ledger entry deployed; for that the ledger is enough, whatever became of the run and its spec.

    Raises:
        NotFoundError: the entry is of an earlier Pizzeria, which did not keep it, and the run is gone.
        SpecError: the target's plugin is gone, or takes other options now.
    """
    if "deployment" in entry.detail:
        return load_deployment(entry.detail["deployment"])
    return spec_of(entry, store).deployment


def deployed_by(entry: Entry, store: Store) -> Packed:
    """What a ledger entry deployed, to deploy it again.

    Raises:
        NotFoundError: its run or its bundle is gone.
        SpecError: a plugin that it names is gone, or takes other options now.
    """
    run = store.run(entry.run)
    bundle = Path(entry.detail["bundle"]) if entry.detail.get("bundle") else None
    if bundle is None or not bundle.is_dir():
        bundle = run.stage("package") / "bundle"
    return Packed(spec_of(entry, store), run, bundle, entry.sha256)


def release_of(spec: Spec, bundle: Path, sha256: str, store: Store, run: Run | None = None) -> Release:
    """What a target needs to know of one bundle."""
    public_keys = trusted(spec.signing.public_keys)
    return Release(
        name=spec.name,
        bundle=bundle.absolute(),
        sha256=sha256,
        serving=spec.serving,
        server=registry.load("servers", spec.serving.use),
        log_folder=log_folder(store, spec.name),
        state=state_folder(store),
        task=spec.problem.task,
        run=None if run is None else run.folder,
        schedule=spec.deployment.schedule,
        alerts=spec.monitoring.alerts,
        public_keys=public_keys,
        signatures=store.root / FOLDER if public_keys else None,
    )


def state_folder(store: Store) -> Path:
    """Where targets keep what they need to find their services again."""
    return store.root / ".deployments"


def log_folder(store: Store, name: str) -> Path:
    """Where file-based prediction logs of a name lie."""
    return store.root / ".predictions" / name
