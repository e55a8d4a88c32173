"""Weights to begin from: they are those, all of them, or it is said why not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from synthetic import row_job

from pizzeria.contracts import TrainJob
from pizzeria.errors import DataError
from pizzeria_plugins.models import tabular_network
from pizzeria_plugins.trainers import lightning


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    job = row_job(tmp_path_factory.mktemp("first"), "tabular_classification", max_epochs=3)
    lightning.train(job)
    about = {"classes": list(job.problem.classes)}
    about["preprocessing"] = json.loads((job.features / "preprocessing.json").read_text())
    (job.folder / "start.json").write_text(json.dumps(about))
    return job


def from_there(first: TrainJob, folder: Path, **changes: object) -> TrainJob:
    options = lightning.Options(**(first.options.model_dump() | {"max_epochs": 1, "learning_rate": 1e-9}))
    return replace(first, folder=folder, options=options, start=first.folder / "model.safetensors", **changes)


def test_it_begins_where_the_other_ended(first: TrainJob, tmp_path: Path) -> None:
    job = from_there(first, tmp_path)
    facts = lightning.train(job)
    before, after = load_file(first.folder / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert all(torch.allclose(before[name], after[name], atol=1e-4) for name in before)
    assert facts["validation_auroc"] > 0.9


def test_what_does_not_fit_is_said(first: TrainJob, tmp_path: Path) -> None:
    other = first.problem.model_copy(update={"classes": ("n", "maybe")})
    with pytest.raises(DataError, match="other classes: there they have no maybe and here there is no y"):
        lightning.train(from_there(first, tmp_path, problem=other))
    turned = first.problem.model_copy(update={"classes": tuple(reversed(first.problem.classes))})
    with pytest.raises(DataError, match="they stand in another order"):
        lightning.train(from_there(first, tmp_path, problem=turned))
    wider = tabular_network.Options(hidden=48, blocks=1)
    with pytest.raises(DataError, match=r"do not fit the model: .* is \[32.*\] where the model has \[48"):
        lightning.train(from_there(first, tmp_path, model_options=wider))
    job = from_there(first, tmp_path)
    assert job.start is not None
    bare = tmp_path / "bare.safetensors"
    weights = load_file(job.start)
    save_file(dict(list(weights.items())[1:]), bare)
    with pytest.raises(DataError, match="is missing"):
        lightning.train(replace(job, start=bare))
    bare.write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot be read"):
        lightning.train(replace(job, start=bare))


def test_columns_that_were_scaled_otherwise_are_refused(first: TrainJob, tmp_path: Path) -> None:
    job = row_job(tmp_path, "tabular_classification")
    file = job.features / "preprocessing.json"
    said = json.loads(file.read_text())
    said["numeric"][0]["mean"] = 0.5
    file.write_text(json.dumps(said))
    with pytest.raises(DataError, match="scaled and coded otherwise") as caught:
        lightning.train(replace(job, start=first.folder / "model.safetensors"))
    assert "features.fitted" in caught.value.hint
