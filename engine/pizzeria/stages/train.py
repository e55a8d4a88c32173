"""Fits the network; cut off at any moment, it resumes from its last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.contracts import Progress, TrainJob
from pizzeria.errors import PizzeriaError
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome, framing

NAME = "train"
INPUTS = ("features",)
AFTER: tuple[str, ...] = ()
RESUMES = True
REFUSAL: type[PizzeriaError] | None = None


def reads(spec: Spec) -> dict[str, Any]:
    training = spec.training.resolved()
    if spec.training.start is not None:
        training["start"] = spec.training.start.name  # what it holds is what decides, wherever it lies
    return framing(spec) | {"model": spec.model.resolved(), "training": training}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("trainers", spec.training.use), ("models", spec.model.use)]


def data(spec: Spec) -> Sequence[Path]:
    """Weights to begin from, and files that the model's options name."""
    inputs = getattr(registry.load("models", spec.model.use), "inputs", None)
    found = list(inputs(spec.model.options)) if inputs is not None else []
    start = spec.training.start
    if start is not None:
        found += [start, *(path for path in (start.with_name("start.json"),) if path.exists())]
    return found


def run(job: Job) -> Outcome:
    trainer = registry.load("trainers", job.spec.training.use)
    runner = registry.load("runners", job.spec.runner.use)
    wanted = train_job(job.spec, job.inputs["features"].folder, job.folder, job.progress)
    return Outcome(runner.train(job.spec.runner.options, trainer, wanted))


def train_job(spec: Spec, features: Path, folder: Path, progress: Progress) -> TrainJob:
    """What a trainer needs, from the spec."""
    return TrainJob(
        problem=spec.problem,
        model=registry.load("models", spec.model.use),
        model_options=spec.model.options,
        options=spec.training.options,
        seed=spec.training.seed,
        features=features,
        folder=folder,
        progress=progress,
        start=spec.training.start,
    )
