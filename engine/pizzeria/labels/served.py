"""The predictions that a model made, and the log in which their labels are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import registry
from pizzeria.deployments import champion, log_folder
from pizzeria.errors import NotFoundError
from pizzeria.inference.bundle import Bundle, open_bundle
from pizzeria.inference.truth import Label, LabelCounts
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Served:
    """The model of a run with its prediction log.

    Attributes:
        log: Plugin, its options and its folder.
    """

    spec: Spec
    run: Run
    log: tuple[Any, Any, Path]

    @cached_property
    def package(self) -> Path:
        """Folder of the stage that packed the bundle."""
        return self.run.stage("package")

    @cached_property
    def bundle(self) -> Bundle:
        return open_bundle(self.package / "bundle")

    def predictions(self, *, of_all: bool = False) -> pd.DataFrame:
        """The logged predictions, with the truth where it is known.

        Args:
            of_all: Of every model that wrote to the log, and not of this one alone.

        Raises:
            DataError: the log cannot be read.
        """
        plugin, options, folder = self.log
        found: pd.DataFrame = plugin.read(options, folder, sha256=None if of_all else self.bundle.sha256)
        return found

    def labels(self) -> Sequence[Label]:
        """All labels that were ever added."""
        plugin, options, folder = self.log
        found: Sequence[Label] = plugin.labels(options, folder)
        return found

    def add(self, labels: Sequence[Label]) -> LabelCounts:
        """Keep labels with the log."""
        plugin, options, folder = self.log
        found: LabelCounts = plugin.add_labels(options, folder, labels)
        return found

    def photo(self, prediction_id: str) -> bytes | None:
        """The photo of a prediction, where the log keeps photos."""
        plugin, options, folder = self.log
        found: bytes | None = plugin.photo(options, folder, prediction_id)
        return found


def open_served(name: str, store: Store) -> Served:
    """The model that is live under a name, or that of a run.

    Args:
        name: A deployment's name, or a run's id, folder or spec's name.

    Raises:
        NotFoundError: there is no such run, it has no bundle, or its spec has no log that keeps labels.
    """
    live = Ledger(store.root).champion(name)
    if live is not None:
        _, run, spec = champion(name, store)  # with the prediction log that it was deployed with
    else:
        run = store.run(name)
        spec = load_resolved(run.folder / "spec.yaml")
        live = Ledger(store.root).champion(spec.name)
        if live is not None and live.run == run.id:
            _, _, spec = champion(spec.name, store)
    if spec.serving.log is None:
        raise NotFoundError(
            f"{spec.name} keeps no predictions: serving.log is null",
            hint="give the spec a prediction log, and deploy it",
        )
    plugin = registry.load("prediction_logs", spec.serving.log.use)
    if not (hasattr(plugin, "add_labels") and hasattr(plugin, "labels")):
        raise NotFoundError(
            f"the prediction log {spec.serving.log.use!r} keeps no labels",
            hint="those that come with Pizzeria do: sqlite, postgresql, parquet, lines",
        )
    return Served(spec, run, (plugin, spec.serving.log.options, log_folder(store, spec.name)))
