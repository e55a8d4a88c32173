"""Runner `local`: in this process, on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pizzeria.contracts import BulkWork, Trainer, TrainJob
from pizzeria.spec.section import Options as PluginOptions


class Options(PluginOptions):
    """Options of `local`: none."""


def train(options: Options, trainer: Trainer, job: TrainJob) -> Mapping[str, Any]:
    """What the trainer returns."""
    return trainer.train(job)


def each(options: Options, work: BulkWork, items: Sequence[str]) -> Iterator[str]:
    """One item after the other; ONNX Runtime takes all cores for each."""
    if items:
        yield from map(work.open(), items)
