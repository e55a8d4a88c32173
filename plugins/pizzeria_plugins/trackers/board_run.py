"""A run as TensorBoard keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

from pizzeria_plugins.trackers.logged_run import LoggedRun


class BoardRun(LoggedRun):
    """See `pizzeria.contracts.TrackedRun`.

    TensorBoard compares hyperparameters by the metrics that came of them, so these are told together, at the end.
    """

    def __init__(self, logger: TensorBoardLogger, root: Path, steps: int) -> None:
        super().__init__(logger, f"tensorboard --logdir {root}", steps, Path(logger.log_dir))
        self._values: dict[str, Any] = {}
        self._outcome: dict[str, float] = {}

    def parameters(self, values: Mapping[str, Any]) -> None:
        self._values |= {name: "null" if value is None else value for name, value in values.items()}
        super().parameters(self._values)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        if any(name.startswith("test_") for name in values):
            self._outcome, self.steps = dict(values), step
        super().metrics(values, step)

    def lineage(self, values: Mapping[str, str]) -> None:
        rows = "\n".join(f"| {name} | {value} |" for name, value in values.items())
        self.logger.experiment.add_text("lineage", f"| what | hash |\n|---|---|\n{rows}")

    def file(self, path: Path) -> None:
        super().file(path)
        if path.suffix == ".yaml":
            self.logger.experiment.add_text(path.name, f"```yaml\n{path.read_text()}\n```")

    def close(self, state: Literal["finished", "failed", "killed"]) -> None:
        self.logger.log_hyperparams(self._values, self._outcome, step=self.steps)
        self.logger.save()
        super().close(state)


def open_run(root: Path, name: str, run: str) -> BoardRun:
    """The run, with what it has from before."""
    logger = TensorBoardLogger(root, name, run, default_hp_metric=False)
    return BoardRun(logger, root, _steps(Path(logger.log_dir)))


def _steps(folder: Path) -> int:
    """The last epoch in the files of events that are there."""
    if not any(folder.glob("events.out.tfevents.*")):
        return 0
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()
    steps = [events.Scalars(tag)[-1].step for tag in events.Tags()["scalars"] if tag == "train_loss"]
    return max(steps, default=0)
