"""A run as MLflow keeps it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pizzeria_plugins.trackers.logged_run import LoggedRun

# Read by MLflow when it is imported: a server that is down is given up after seconds, and not after minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - MLflow would import it when it is first used
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pytorch_lightning.loggers import MLFlowLogger

from pizzeria.holding import in_turn

TAG = "pizzeria.run"


class MlflowRun(LoggedRun):
    """See `pizzeria.contracts.TrackedRun`."""

    def __init__(self, logger: MLFlowLogger, client: MlflowClient, where: str, steps: int) -> None:
        super().__init__(logger, where, steps, None)
        self._client = client

    @property
    def _id(self) -> str:
        return str(self.logger.run_id)

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Those that are not there: MLflow never changes one, and what decides a run does not change within it."""
        there = self._client.get_run(self._id).data.params
        super().parameters({name: value for name, value in values.items() if name not in there})

    def lineage(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._client.set_tag(self._id, TAG if name == "run" else f"pizzeria.{name}", value)

    def file(self, path: Path) -> None:
        self._client.log_artifact(self._id, str(path))


def open_run(uri: str | None, folder: Path, experiment: str, run: str) -> MlflowRun:
    """The run with the tag, on the server or in the folder's SQLite file."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each step in which a new file is laid out
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if uri is not None:
        return _opened(uri, None, experiment, run)
    folder.mkdir(parents=True, exist_ok=True)
    with in_turn(folder / ".lock"):  # MLflow lays out a new file in many steps, and two that do so at once break it
        return _opened(f"sqlite:///{folder}/mlflow.db", (folder / "artifacts").as_uri(), experiment, run)


def _opened(uri: str, artifacts: str | None, experiment: str, run: str) -> MlflowRun:
    client = MlflowClient(uri)
    number = _experiment(client, experiment, artifacts)
    runs = client.search_runs([number], filter_string=f"tags.`{TAG}` = '{run}'", max_results=1)
    known, steps = None, 0
    if runs:
        known = runs[0].info.run_id
        client.update_run(known, status="RUNNING")
        steps = max((point.step for point in client.get_metric_history(known, "train_loss")), default=0)
    logger = MLFlowLogger(experiment, run, tracking_uri=uri, tags={TAG: run}, run_id=known)
    return MlflowRun(logger, client, f"{uri}, experiment {experiment}, run {logger.run_id}", steps)


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """Its number; it is made where there is none, unless another run makes it at the same moment."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)
