"""Where bundles of a name are, or were: the deployment section of each entry says it, and the target there is asked."""

from __future__ import annotations

from typing import Any

from pizzeria import registry
from pizzeria.contracts import DeploymentStatus
from pizzeria.deployments.release import deployment_of, state_folder
from pizzeria.errors import PizzeriaError
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.deployment import Deployment
from pizzeria.spec.spec import Spec


def placement(spec: Spec) -> dict[str, Any]:
    """What an entry keeps of where it deploys: enough to ask, to go back and to stop. A spec holds no secret."""
    resolved = spec.resolved()
    log = resolved["serving"]["log"]
    return {"target": spec.deployment.use, "deployment": resolved["deployment"], "log": log}


def status_of(name: str, deployment: Deployment, store: Store) -> DeploymentStatus:
    """How a deployment is now."""
    target = registry.load("targets", deployment.use)
    status: DeploymentStatus = target.status(name, deployment.options, state_folder(store))
    return status


def ask(entry: Entry, store: Store) -> DeploymentStatus:
    """How the service is where an entry deployed; `dead`, with the reason, where it cannot be asked."""
    try:
        return status_of(entry.name, deployment_of(entry, store), store)
    except PizzeriaError as error:
        return DeploymentStatus("dead", str(entry.detail.get("address", "")), detail=error.message)


def elsewhere(name: str, store: Store) -> list[tuple[Entry, DeploymentStatus]]:
    """Services of a name that an earlier deployment to another target (or machine) left live beside the champion."""
    ledger = Ledger(store.root)
    champion = ledger.champion(name)
    if champion is None:
        return []
    others: dict[tuple[str, str], Entry] = {}
    for entry in ledger.entries(name, ("promoted", "rolled_back", "stopped")):
        if entry.event == "stopped":
            others = {}
        elif entry.event in ("promoted", "rolled_back") and "deployment" in entry.detail:
            others[str(entry.detail["target"]), str(entry.detail.get("address", ""))] = entry
    here = (str(champion.detail.get("target", "")), str(champion.detail.get("address", "")))
    asked = [(entry, ask(entry, store)) for place, entry in others.items() if place != here]
    return [(entry, status) for entry, status in asked if status.state == "live" and status.address != here[1]]
