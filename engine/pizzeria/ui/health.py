"""How a live service is now, and what it was asked: beside the page, because a machine far away may not answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pizzeria import registry
from pizzeria.clock import utcnow
from pizzeria.contracts import DeploymentStatus
from pizzeria.deployments import log_folder
from pizzeria.deployments.places import ask, elsewhere
from pizzeria.errors import PizzeriaError
from pizzeria.monitoring.traffic import LoggedTraffic
from pizzeria.runs.ledger import Entry
from pizzeria.ui.asking import Answer
from pizzeria.ui.projects import Project
from pizzeria.ui.shop import Shop

_FRESH_S = 8.0


@dataclass(frozen=True)
class Seen:
    """What the target said.

    Attributes:
        well: Whether the champion, and no other bundle, answers.
        others: Services of the name on other targets.
    """

    status: DeploymentStatus
    well: bool
    others: Sequence[tuple[Entry, DeploymentStatus]]


@dataclass(frozen=True)
class Hours:
    """Predictions by the hour.

    Attributes:
        begins: ISO 8601, of each hour.
    """

    begins: Sequence[str]
    counts: Sequence[int]


def health(shop: Shop, project: Project, wait_s: float = 1.5) -> Answer | None:
    """How the live service is; None where nothing is live."""
    entry = project.champion
    if entry is None:
        return None

    def look() -> Seen:
        status = ask(entry, shop.store)
        well = status.state == "live" and status.sha256 == entry.sha256
        return Seen(status, well, elsewhere(project.name, shop.store))

    return shop.asker.ask(("health", project.name, str(entry.id)), look, fresh_s=_FRESH_S, wait_s=wait_s)


def traffic(shop: Shop, project: Project, hours: int, wait_s: float = 1.5) -> Answer | None:
    """How many predictions were logged in each of the last hours; None where nothing is live, or keeps a log."""
    entry = project.champion
    if entry is None:
        return None
    try:
        spec = shop.spec_of(project, entry.run)
    except PizzeriaError as error:
        return Answer(trouble=error.message)
    if spec.serving.log is None:
        return None
    use, options = spec.serving.log.use, spec.serving.log.options

    def count() -> Hours:
        end = utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        edges = [end - timedelta(hours=hours - i) for i in range(hours + 1)]
        plugin = registry.load("prediction_logs", use)
        logged = LoggedTraffic(plugin, options, log_folder(shop.store, project.name), None)
        begins = [edge.isoformat(timespec="minutes") for edge in edges[:-1]]
        return Hours(begins, list(logged.counts(edges)))

    return shop.asker.ask(("traffic", project.name, str(hours)), count, fresh_s=30, wait_s=wait_s)
