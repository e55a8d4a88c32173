"""Tracker `mlflow`: an MLflow run in a local SQLite file, or on a server of yours, by Lightning's MLFlowLogger.

MLflow sends its maker usage data by default. Here that is off, whatever the environment says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from pizzeria_plugins.trackers.mlflow_run import MlflowRun


class Options(PluginOptions):
    """Options of `mlflow`."""

    folder: str = Field(
        default="tracking/mlflow",
        min_length=1,
        description="Folder of mlflow.db and of the artifacts, without a server.",
    )
    tracking_uri: str | None = Field(
        default=None,
        description="Address of a tracking server, or of a database that SQLAlchemy knows; null: a SQLite file in "
        "`folder`. Credentials come from MLflow's own environment variables.",
    )
    experiment: str | None = Field(
        default=None, min_length=1, description="MLflow experiment that the run belongs to; null: the spec's name."
    )

    @field_validator("tracking_uri")
    @classmethod
    def _without_secrets(cls, uri: str | None) -> str | None:
        if uri is None:
            return None
        if not re.match(r"^[a-z][a-z0-9+]*://", uri):
            raise ValueError(f"{uri!r} is no address; write it as http://server:5000 or sqlite:////path/mlflow.db")
        if re.match(r"^[a-z0-9+]+://[^/?#]*:[^/?#]*@", uri):
            raise ValueError(
                "it has a password in it; export MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
            )
        return uri


def prepare() -> None:
    """Import what `begin` needs."""
    import pizzeria_plugins.trackers.mlflow_run  # noqa: F401


def begin(options: Options, name: str, run: str) -> MlflowRun:
    """The MLflow run with the tag `pizzeria.run`, made where there is none.

    Raises:
        Exception: MLflow's own, when the server does not answer.
    """
    from pizzeria_plugins.trackers.mlflow_run import open_run

    folder = Path(options.folder).expanduser().absolute()
    return open_run(options.tracking_uri, folder, options.experiment or name, run)
