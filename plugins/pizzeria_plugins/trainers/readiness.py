"""What is looked at before a training begins: whether there is something to learn, and which training it is."""

from __future__ import annotations

import hashlib
import json

from pizzeria.contracts import TrainJob
from pizzeria.datasets import Dataset
from pizzeria.errors import DataError


def refuse_empty(data: Dataset) -> None:
    """Raise DataError where the training or the validation split has no row."""
    for split in ("train", "validation"):
        if not len(data.rows(split)):
            raise DataError(f"the {split} split is empty", hint="bring more data, or change data.split")


def identity(job: TrainJob) -> str:
    """Hash of what decides the course of a training; a checkpoint of another one is of no use to it."""
    parts = {
        "problem": job.problem.model_dump(mode="json"),
        "model": job.model_options.model_dump(mode="json"),
        "training": job.options.model_dump(mode="json"),
        "seed": job.seed,
    }
    if job.start is not None:
        parts["start"] = hashlib.sha256(job.start.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
