"""Runs a training from its first epoch, or its last checkpoint, to the files that it leaves."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from safetensors.torch import save

from pizzeria.atomic import write_bytes
from pizzeria.contracts import TrainJob
from pizzeria.datasets import Dataset, EmbeddingSet, ImageSet, open_dataset
from pizzeria.errors import TrainingError
from pizzeria.tasks import task
from pizzeria_plugins.trainers.allocator import kept_memory
from pizzeria_plugins.trainers.batches import training_loader, validation_loader
from pizzeria_plugins.trainers.bfloat16 import keep_slow_layers_wide
from pizzeria_plugins.trainers.checkpoint_io import SafeCheckpointIO, newest, writing
from pizzeria_plugins.trainers.class_counts import tell_class_counts
from pizzeria_plugins.trainers.device import device_name, precision_name
from pizzeria_plugins.trainers.fit import Fit
from pizzeria_plugins.trainers.history import History
from pizzeria_plugins.trainers.memory import is_out_of_memory
from pizzeria_plugins.trainers.multi_scale import refuse_fixed_size
from pizzeria_plugins.trainers.readiness import identity, refuse_empty
from pizzeria_plugins.trainers.signals import told_to_end
from pizzeria_plugins.trainers.start import begin_from
from pizzeria_plugins.trainers.stem_cache import forget
from pizzeria_plugins.trainers.world import placed, refuse_uneven, share_of


def run(job: TrainJob) -> dict[str, Any]:
    """See `pizzeria_plugins.trainers.lightning.train`."""
    with _memory():
        return _run(job)


def _run(job: TrainJob) -> dict[str, Any]:
    options = job.options
    data = open_dataset(job.features)
    refuse_empty(data)
    refuse_uneven(job.world, len(data.rows("train")), options.batch_size)
    checkpoint = _own_checkpoint(job)
    history = _history(job)
    if checkpoint is not None:
        history.restore(checkpoint[1]["pizzeria"]["history"])
    torch.manual_seed(job.seed)
    done = 0 if checkpoint is None else checkpoint[1]["pizzeria"]["epoch"]["steps"] or 0
    fresh = checkpoint is None and job.start is None
    network = job.model.build(job.model_options, job.problem, data.preprocessing, pretrained=fresh)
    if checkpoint is None and job.start is not None:
        begin_from(network, job, data.preprocessing)
        job.progress.say(f"beginning from {job.start}")
    if checkpoint is not None:
        _take_weights(network, checkpoint[1])
    tell_class_counts(network, data, len(job.problem.classes))
    if options.multi_scale:
        refuse_fixed_size(network, job.problem, tuple(data.preprocessing["size"]), options.multi_scale)
    device = device_name(options.accelerator)
    precision = precision_name(options.precision, device, photos=isinstance(data, ImageSet))
    if device == "cpu" and precision == "bf16-mixed":
        keep_slow_layers_wide(network)
    epoch = len(history.epochs)
    batches = training_loader(data, job, epoch, done, network)
    validation = validation_loader(data, job, epoch, network)
    network.train()  # Lightning leaves modes as they are, and a frozen backbone must be told of its own
    fit = Fit(job, network, data, history, len(batches), identity(job))
    if len(history.epochs) == options.max_epochs or history.stalled:
        assert checkpoint is not None
        fit.on_load_checkpoint(checkpoint[1])
    else:
        with _quiet(), told_to_end(lambda: fit.stepping), _threads_for(data), kept_memory():
            _trainer(job, precision).fit(
                fit, batches, validation, ckpt_path=checkpoint and checkpoint[0], weights_only=checkpoint and False
            )
    if share_of(job.world)[0] == 0:
        with writing(job.folder):
            weights = {name: value.contiguous() for name, value in fit.best_weights.items()}
            write_bytes(job.folder / "model.safetensors", save(weights))
            history.write(job.folder / "curves.csv")
        forget(job)
    return _facts(job, fit, precision)


def _trainer(job: TrainJob, precision: Any) -> pl.Trainer:
    options = job.options
    device = device_name(options.accelerator)
    place = placed(job.world, device)
    return pl.Trainer(
        **{**place, "plugins": [SafeCheckpointIO(), *place["plugins"]]},
        accelerator=device,
        precision=precision,
        max_epochs=options.max_epochs,
        check_val_every_n_epoch=options.validate_every,
        num_sanity_val_steps=0,
        default_root_dir=job.folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _history(job: TrainJob) -> History:
    framing = task(job.problem.task)
    return History(
        name=framing.MAIN_METRIC,
        better=framing.METRICS[framing.MAIN_METRIC].better,
        watch=job.options.monitor,
        patience=job.options.early_stopping_patience,
    )


def _own_checkpoint(job: TrainJob) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint of this very training."""
    found = newest(job.folder / "checkpoints", job.progress.say)
    if found is None:
        return None
    if found[1].get("pizzeria", {}).get("identity") != identity(job):
        job.progress.say(f"{found[0]} is of a training with other options; starting afresh")
        return None
    own = found[1]["pizzeria"]
    epochs, steps = len(own["history"]["epochs"]), own["epoch"]["steps"]
    within = "" if steps is None else f" and step {steps} of the next"
    job.progress.say(f"going on after epoch {epochs}{within} of {job.options.max_epochs}")
    return found


def _take_weights(network: torch.nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Lightning does so too, but only when it begins: a frozen backbone must know its weights before."""
    own = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith("network.")}
    network.load_state_dict({name.removeprefix("network."): value for name, value in own.items()})


def _facts(job: TrainJob, fit: Fit, precision: str) -> dict[str, Any]:
    history, best = fit.history, fit.history.best
    assert best is not None
    rates = sorted(epoch.items_per_second for epoch in history.epochs)
    device, processes = device_name(job.options.accelerator), share_of(job.world)[1]
    return {
        "epochs": len(history.epochs),
        "stopped_early": len(history.epochs) < job.options.max_epochs,
        "best_epoch": best.epoch,
        f"validation_{history.name}": best.metric,
        "validation_loss": best.validation_loss,
        "seconds": sum(epoch.seconds for epoch in history.epochs),
        "items_per_second": rates[len(rates) // 2],
        "batch_parts": fit.portions.parts,
        "cores": torch.get_num_threads() * processes,
        "gpus": int(device == "cuda") * processes,
        "processes": processes,
        "parameters": sum(parameter.numel() for parameter in fit.network.parameters()),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "precision": precision,
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's banners, tips and advice on settings that were chosen on purpose."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            warnings.filterwarnings("ignore", message=r".*LeafSpec.* is deprecated")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _threads_for(data: Dataset) -> Iterator[None]:
    """One thread for what is trained on embeddings: several would spend their time waiting for each other."""
    before = torch.get_num_threads()
    if isinstance(data, EmbeddingSet):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _memory() -> Iterator[None]:
    """Say it plainly when there is too little memory for anything but a batch's way through the network."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"out of memory: {str(error).splitlines()[0] if str(error) else 'Python has none left'}",
            hint="choose a smaller model, or a smaller training.batch_size",
        ) from error
