"""The whole training recipe: it trains, it goes on where it was cut off, and what cannot work is refused."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from synthetic import Recorder, classification_job, detection_job, row_job

from pizzeria.datasets import open_dataset
from pizzeria.errors import PluginError, SpecError
from pizzeria.loading import load_spec
from pizzeria_plugins.models import timm_classifier
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.multi_scale import refuse_fixed_size
from pizzeria_plugins.trainers.optimizer import make_optimizer, set_pace
from pizzeria_plugins.trainers.schedule import Pace

ALL = {
    "max_epochs": 3,
    "mosaic": 0.5,
    "mixup": 0.3,
    "multi_scale": 0.5,
    "sampling": "repeat_factor",
    "augmentation": "standard",
    "ema_decay": "auto",
    "backbone_rate": 0.2,
    "accumulate": 2,
}


class Interrupting(Recorder):
    """Ctrl-C in the third epoch."""

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        if done == 20:
            os.kill(os.getpid(), signal.SIGINT)


def test_the_whole_recipe_goes_on_to_the_very_same_weights(tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = detection_job(tmp_path / "whole", **ALL)
    facts = lightning.train(whole)
    assert facts["epochs"] == 3
    cut = replace(detection_job(tmp_path / "cut", **ALL), progress=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        lightning.train(cut)
    lightning.train(replace(cut, progress=Recorder()))
    one, two = (load_file(job.folder / "model.safetensors") for job in (whole, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_mixed_photos_teach_classes(tmp_path: Path) -> None:
    job = classification_job(tmp_path, "image_classification", mixup=0.3, cutmix=0.3, sampling="balanced")
    assert lightning.train(job)["validation_accuracy"] > 0.7


def test_parts_of_a_batch_make_the_same_step(tmp_path: Path) -> None:
    ends = []
    for accumulate in (1, 3):
        root = tmp_path / str(accumulate)
        root.mkdir()
        job = row_job(root, "tabular_regression", max_epochs=1, accumulate=accumulate)
        job = replace(job, model_options=job.model_options.model_copy(update={"dropout": 0.0}))
        lightning.train(job)
        ends.append(load_file(job.folder / "model.safetensors"))
    assert all(torch.allclose(ends[0][name], ends[1][name], atol=1e-5) for name in ends[0] if "num_batches" not in name)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_backbone_learns_at_its_own_rate(tmp_path: Path, optimizer: str) -> None:
    job = detection_job(tmp_path, backbone_rate=0.1, optimizer=optimizer, learning_rate=0.02)
    network = job.model.build(
        job.model_options, job.problem, open_dataset(job.features).preprocessing, pretrained=False
    )
    made = make_optimizer(network, job.options)
    set_pace(made, Pace(0.5, 0.9), 0.02)
    rates = {id(p): group["lr"] for group in made.param_groups for p in group["params"]}
    backbone = {id(p) for p in network.backbone_parameters()}
    assert 0 < len(backbone) < len(rates)
    assert rates == {
        id(p): pytest.approx(0.001 if id(p) in backbone else 0.01) for p in network.parameters() if p.requires_grad
    }
    decays = {group["weight_decay"] for group in made.param_groups for p in group["params"] if p.ndim <= 1}
    assert decays == {0.0}


def test_a_model_that_takes_one_size_is_told_so_before_any_work(tmp_path: Path) -> None:
    job = classification_job(tmp_path, "image_classification", multi_scale=0.5)
    lightning.train(replace(job, options=job.options.model_copy(update={"max_epochs": 1, "plain_epochs": 0})))
    job = replace(job, model_options=timm_classifier.Options(backbone="vit_tiny_patch16_224", image_size=64))
    with pytest.raises(PluginError, match="photos of 32 x 32 px") as caught:
        lightning.train(job)
    assert "training.multi_scale: 0" in caught.value.hint


@pytest.mark.parametrize(
    ("experiment", "overrides", "path", "message"),
    [
        ("amenities", ["training.cutmix=0.5"], "training.cutmix", "mosaic is what suits it"),
        ("census", ["training.mosaic=0.5"], "training.mosaic", "learns from columns"),
        ("census", ["training.multi_scale=0.2"], "training.multi_scale", "learns from columns"),
        ("census", ["training.backbone_rate=0.2"], "training.backbone_rate", "no backbone"),
        ("flights", ["training.sampling=balanced"], "training.sampling", "sampling: even"),
        ("amenities", ["training.sampling=balanced"], "training.sampling", "sampling: repeat_factor"),
        (
            "amenities",
            ["model.freeze_backbone=true", "training.backbone_rate=0.2"],
            "training.backbone_rate",
            "trains nothing of it",
        ),
        (
            "amenities",
            ["training.cached_views=0", "training.multi_scale=0.05"],
            "training.multi_scale",
            "write at least 0.11",
        ),
        ("amenities", ["training.multi_scale=0.25"], "training.cached_views", "photos of one size"),
        ("amenities", ["training.mosaic=0.5", "training.plain_epochs=6"], "training", "mosaic never happens"),
    ],
)
def test_what_cannot_work_is_refused_by_the_spec(
    experiment: str, overrides: list[str], path: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec([f"experiment={experiment}", *overrides])
    (fault,) = caught.value.faults
    assert fault.path == path
    assert message in f"{fault.message} {fault.hint}"


def test_shares_of_one_whole() -> None:
    with pytest.raises(ValidationError, match="above 1"):
        lightning.Options(mixup=0.7, cutmix=0.6)
    options: Any = lightning.Options(mixup=0.4, cutmix=0.6, max_epochs=30)
    assert options.last_plain_epochs == 6


@pytest.mark.parametrize("head", ["fcos", "retinanet"])
def test_detectors_take_other_sizes_and_find_their_boxes_there(tmp_path: Path, head: str) -> None:
    job = detection_job(tmp_path, multi_scale=0.5)
    options = job.model_options.model_copy(update={"head": head})
    network = job.model.build(options, job.problem, open_dataset(job.features).preprocessing, pretrained=False)
    refuse_fixed_size(network, job.problem, (64, 64), 0.5)
    assert network.training
    outputs = network(torch.zeros(1, 96, 96, 3, dtype=torch.uint8))
    far = {"boxes": torch.tensor([[70.0, 70.0, 94.0, 94.0]]), "labels": torch.tensor([1])}
    near = {"boxes": torch.tensor([[20.0, 20.0, 44.0, 44.0]]), "labels": torch.tensor([1])}
    # A box beyond the 64 px of validation is matched, and costs what one within them costs, about.
    costs = [float(sum(network.loss(outputs, [target]).values()).detach()) for target in (far, near)]
    assert costs[0] == pytest.approx(costs[1], rel=0.3)
