"""What all pages share."""

from __future__ import annotations

import re
from typing import Any

from pizzeria.deployments.release import spec_of
from pizzeria.errors import NotFoundError, nearest
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec
from pizzeria.ui.access import Access
from pizzeria.ui.asking import Asker
from pizzeria.ui.jobs import Jobs
from pizzeria.ui.projects import Project
from pizzeria.ui.run_facts import Facts
from pizzeria.ui.run_index import RunIndex

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_SPECS = 50
_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


class Shop:
    """The store and what is known of it.

    Args:
        store: Of all runs.
        access: Who may read and act.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self.store = store
        self.access = access
        self.ledger = Ledger(store.root)
        self.runs = RunIndex(store)
        self.asker = Asker()
        self.jobs = Jobs()
        self._specs: dict[tuple[str, str], Spec] = {}

    def names(self) -> list[str]:
        """All projects, the one that was run last first; those of the ledger alone come last."""
        self.runs.freshen()
        of_runs = self.runs.names()
        return [*of_runs, *(name for name in self.ledger.names() if name not in of_runs)]

    def project(self, name: str) -> Project:
        """A project by its name.

        Raises:
            NotFoundError: there is none.
        """
        self.runs.freshen()
        of_runs = self.runs.names()
        if not _NAME.fullmatch(name) or (name not in of_runs and not self.ledger.entries(name, last=1)):
            raise NotFoundError(f"there is no project {name!r}", hint=nearest(name, self.names()))
        return Project(name, self.store, self.ledger, self.runs.newest(name), of_runs.get(name, 0))

    def run(self, name: str, id: str) -> Facts:
        """A run of a project by its id.

        Raises:
            NotFoundError: there is none.
        """
        found = self.runs.of(id) if _RUN.fullmatch(id) else None
        if found is None or found.name != name:
            raise NotFoundError(f"there is no run {id!r} of {name}", hint="the list of runs has those that there are")
        return found

    def spec_of(self, project: Project, run: str) -> Spec:
        """The spec of a run; of the live one, as it was deployed.

        Raises:
            NotFoundError: the run is gone.
            SpecError: a plugin that it names is gone, or takes other options now.
        """
        entry = project.champion
        live = entry is not None and entry.run == run
        key = (run, str(entry.id) if live and entry is not None else self.run(project.name, run).changed)
        found = self._specs.get(key)
        if found is None:
            if live and entry is not None:
                found = spec_of(entry, self.store)
            else:
                found = load_resolved(self.store.root / run / "spec.yaml")
            self._specs[key] = found
            for old in list(self._specs)[:-_SPECS]:
                self._specs.pop(old, None)
        return found  # as it was found: another page may have pushed it out by now


def shop_of(request: Any) -> Shop:
    """The shop of a request's application."""
    found: Shop = request.app.state.shop
    return found
