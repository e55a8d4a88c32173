"""Tracker `csv`: metrics.csv, hparams.yaml, spec and report of each run in a folder, by Lightning's logger."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from pizzeria_plugins.trackers.logged_run import LoggedRun


class Options(PluginOptions):
    """Options of `csv`."""

    folder: str = Field(
        default="tracking/csv", min_length=1, description="Folder; a run lies in <folder>/<name of the spec>/<run>."
    )


def prepare() -> None:
    """Import what `begin` needs."""
    import pytorch_lightning.loggers  # noqa: F401


def begin(options: Options, name: str, run: str) -> LoggedRun:
    """The run's folder, emptied: all of its epochs are told again, from the file that the training keeps."""
    from pytorch_lightning.loggers import CSVLogger

    from pizzeria_plugins.trackers.logged_run import LoggedRun

    root = Path(options.folder).expanduser().absolute()
    folder = root / name / run
    shutil.rmtree(folder, ignore_errors=True)  # Lightning's logger cannot go on with a file, and warns of it
    return LoggedRun(CSVLogger(root, name, run), str(folder), 0, folder)
