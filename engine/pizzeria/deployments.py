"""Puts bundles live, and says how they are: what the stage `deploy` and the commands around it share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.contracts import DeploymentStatus, Progress, Release
from pizzeria.errors import NotFoundError, nearest
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec


@dataclass(frozen=True)
class Deployed:
    """The champion of a name, and how its service is now."""

    name: str
    entry: Entry
    spec: Spec
    status: DeploymentStatus


def release_of(spec: Spec, bundle: Path, sha256: str, store: Store) -> Release:
    """What a target needs to know of one bundle."""
    return Release(
        name=spec.name,
        bundle=bundle.absolute(),
        sha256=sha256,
        serving=spec.serving,
        server=registry.load("servers", spec.serving.use),
        log_folder=log_folder(store, spec.name),
        state=state_folder(store),
        task=spec.problem.task,
    )


def state_folder(store: Store) -> Path:
    """Where targets keep what they need to find their services again."""
    return store.root / ".deployments"


def log_folder(store: Store, name: str) -> Path:
    """Where file-based prediction logs of a name lie."""
    return store.root / ".predictions" / name


def put_live(spec: Spec, run: Run, bundle: Path, sha256: str, store: Store, progress: Progress) -> DeploymentStatus:
    """Bring a bundle up on the spec's target, and enter it in the ledger as the champion.

    Raises:
        DeploymentError: it did not come up; the ledger is as it was.
    """
    target = registry.load("targets", spec.deployment.use)
    release = release_of(spec, bundle, sha256, store)
    release.log_folder.mkdir(parents=True, exist_ok=True)
    release.state.mkdir(parents=True, exist_ok=True)
    status: DeploymentStatus = target.apply(release, spec.deployment.options, progress)
    ledger = Ledger(store.root)
    champion = ledger.champion(spec.name)
    if champion is None or champion.sha256 != sha256 or champion.detail.get("address") != status.address:
        detail = {"address": status.address, "target": spec.deployment.use, "bundle": str(bundle)}
        ledger.add("promoted", spec.name, run=run.id, sha256=sha256, detail=detail)
    return status


def status_of(spec: Spec, store: Store) -> DeploymentStatus:
    """How the spec's deployment is now."""
    target = registry.load("targets", spec.deployment.use)
    status: DeploymentStatus = target.status(spec.name, spec.deployment.options, state_folder(store))
    return status


def champion(name: str, store: Store) -> tuple[Entry, Run, Spec]:
    """The champion of a name, with its run and spec.

    Raises:
        NotFoundError: nothing of this name is deployed.
    """
    ledger = Ledger(store.root)
    entry = ledger.champion(name)
    if entry is None:
        raise NotFoundError(
            f"nothing named {name!r} is deployed", hint=nearest(name, ledger.names(), "deployed before:")
        )
    run = store.run(entry.run)
    return entry, run, load_resolved(run.folder / "spec.yaml")


def deployed(store: Store) -> list[Deployed]:
    """All champions with their present status."""
    out = []
    for name in Ledger(store.root).names():
        if Ledger(store.root).champion(name) is not None:
            entry, _, spec = champion(name, store)
            out.append(Deployed(name, entry, spec, status_of(spec, store)))
    return out


def stop(name: str, store: Store) -> None:
    """Take a service down.

    Raises:
        NotFoundError: nothing of this name is deployed.
    """
    entry, run, spec = champion(name, store)
    registry.load("targets", spec.deployment.use).remove(name, spec.deployment.options, state_folder(store))
    Ledger(store.root).add("stopped", name, run=run.id, sha256=entry.sha256)


def roll_back(name: str, store: Store, progress: Progress) -> Entry:
    """Put the bundle live again that was champion before the present one.

    Raises:
        NotFoundError: there was none before.
        DeploymentError: it did not come up.
    """
    ledger = Ledger(store.root)
    present, _, _ = champion(name, store)
    made = [entry for entry in ledger.entries(name) if entry.event in ("promoted", "rolled_back")]
    before = [entry for entry in made if entry.id < present.id and entry.sha256 != present.sha256]
    if not before:
        raise NotFoundError(f"{name} has had no other bundle to go back to", hint="pizzeria status shows what is live")
    entry = before[-1]
    run = store.run(entry.run)
    spec = load_resolved(run.folder / "spec.yaml")
    release = release_of(spec, run.stage("package") / "bundle", entry.sha256, store)
    status = registry.load("targets", spec.deployment.use).apply(release, spec.deployment.options, progress)
    detail: dict[str, Any] = {"address": status.address, "instead_of": present.sha256}
    ledger.add("rolled_back", name, run=run.id, sha256=entry.sha256, detail=detail)
    return ledger.entries(name)[-1]
