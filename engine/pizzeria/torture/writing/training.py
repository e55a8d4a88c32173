"""A training of three epochs, each with its checkpoint: cut off, it goes on from the last one and ends the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pizzeria.contracts import TrainJob
from pizzeria.registry import load
from pizzeria.runs.store import Result, Store
from pizzeria.spec.problem import Problem
from pizzeria.torture.writing.operation import Operation

_PRINT = "a" * 64
_ROWS = 60


class _Silent:
    def track(self, items: Any, label: str) -> Any:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        return

    def say(self, text: str) -> None:
        return


def _prepare(folder: Path) -> None:
    """Features of rows, as a features plugin leaves them."""
    import numpy as np
    import pandas as pd

    features = folder / "features"
    features.mkdir()
    draw = np.random.default_rng(0)
    numeric = draw.normal(size=(_ROWS, 2)).astype(np.float32)
    np.save(features / "numeric.npy", numeric)
    np.save(features / "categorical.npy", draw.integers(0, 3, (_ROWS, 1)))
    np.save(features / "targets.npy", (numeric.sum(axis=1) > 0).astype(np.int64))
    splits = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    index = pd.DataFrame({"row_id": [str(i) for i in range(_ROWS)], "split": splits})
    index.to_parquet(features / "index.parquet", index=False)
    preprocessing = {
        "kind": "columns",
        "numeric": [{"name": name, "median": 0, "mean": 0, "std": 1} for name in "xy"],
        "categorical": [{"name": "kind", "values": ["p", "q"]}],
        "target": {"name": "target", "classes": ["no", "yes"]},
    }
    (features / "preprocessing.json").write_text(json.dumps(preprocessing))
    Store(folder / "runs")


def _train(folder: Path) -> None:
    trainer, model, store = load("trainers", "lightning"), load("models", "tabular_network"), Store(folder / "runs")
    problem = Problem(
        need="To be broken, and to hold.",
        owner="torture",
        task="tabular_classification",
        classes=("no", "yes"),
        target="target",
        success=({"metric": "auroc", "at_least": 0},),  # type: ignore[arg-type]
    )
    options = trainer.Options(max_epochs=3, batch_size=20, learning_rate=1e-2, accelerator="cpu")
    with store.partial(_PRINT, keep=True) as partial:
        job = TrainJob(
            problem=problem,
            model=model,
            model_options=model.Options(hidden=8, blocks=1),
            options=options,
            seed=0,
            features=folder / "features",
            folder=partial,
            progress=_Silent(),
        )
        trainer.train(job)
        store.commit(partial, Result("train", _PRINT, partial, {}, 1.0, "2026-01-01", {}, None))


def _state(folder: Path) -> str:
    found = Store(folder / "runs").load(_PRINT)
    if found is None:
        return "not trained"
    found.check()
    return hashlib.sha256((found.folder / "model.safetensors").read_bytes()).hexdigest()


OPERATIONS = (Operation("training with checkpoints", _prepare, _train, _state, imports=("torch", "pytorch_lightning")),)
