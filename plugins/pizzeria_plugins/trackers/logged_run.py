"""A run kept through one of Lightning's loggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pizzeria.atomic import write_bytes

_ENDS = {"finished": "success", "failed": "failed", "killed": "KILLED"}


class LoggedRun:
    """What the three trackers have in common; see `pizzeria.contracts.TrackedRun`.

    Args:
        logger: Of `pytorch_lightning.loggers`.
        where: For the user: where to look at it.
        steps: The last step that it has.
        folder: Where files are copied to; None where the tracker keeps them itself.
    """

    def __init__(self, logger: Any, where: str, steps: int, folder: Path | None) -> None:
        self.logger = logger
        self.where = where
        self.steps = steps
        self.folder = folder

    def parameters(self, values: Mapping[str, Any]) -> None:
        self.logger.log_hyperparams(dict(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.logger.log_metrics(dict(values), step)
        self.logger.save()

    def lineage(self, values: Mapping[str, str]) -> None:
        self.logger.log_hyperparams({"lineage": dict(values)})

    def file(self, path: Path) -> None:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / path.name, path.read_bytes())

    def close(self, state: Literal["finished", "failed", "killed"]) -> None:
        self.logger.finalize(_ENDS[state])
