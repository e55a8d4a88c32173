from dataclasses import replace
from pathlib import Path

import numpy as np
from synthetic import row_job

from pizzeria_plugins.models import tabular_network
from pizzeria_plugins.trainers import lightning


def test_balanced_weights_come_from_the_training_split(tmp_path: Path) -> None:
    """With a rare class, balanced weights let a network say it far more often."""
    said = {}
    for wish in (None, "balanced"):
        (tmp_path / str(wish)).mkdir()
        job = row_job(tmp_path / str(wish), "tabular_classification", max_epochs=3)
        numeric, file = np.load(job.features / "numeric.npy"), job.features / "targets.npy"
        rare = (numeric[:, 0] + np.random.default_rng(1).normal(size=len(numeric)) > 2).astype(np.int64)
        np.save(file, rare)
        job = replace(job, model_options=tabular_network.Options(hidden=32, blocks=1, class_weights=wish))
        lightning.train(job)
        found = lightning.predict(job, job.folder / "model.safetensors", "validation").probabilities
        said[wish] = float(found[:, 1].mean())
    assert said["balanced"] > 2.5 * said[None]
