"""Tracker `tensorboard`: curves, hyperparameters and the spec as TensorBoard shows them, by Lightning's logger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from pizzeria_plugins.trackers.board_run import BoardRun


class Options(PluginOptions):
    """Options of `tensorboard`."""

    folder: str = Field(
        default="tracking/tensorboard", min_length=1, description="What `tensorboard --logdir` is given."
    )


def prepare() -> None:
    """Import what `begin` needs."""
    import pizzeria_plugins.trackers.board_run  # noqa: F401


def begin(options: Options, name: str, run: str) -> BoardRun:
    """The run in `<folder>/<name of the spec>/<run>`; one that goes on gets one more file of events there."""
    from pizzeria_plugins.trackers.board_run import open_run

    return open_run(Path(options.folder).expanduser().absolute(), name, run)
