"""Boosts trees in stretches of some rounds, each from the text of the trees before and with seeds of its own.

A training that is cut off begins its next stretch as one that is not does, so both end with the same trees.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import TrainJob
from pizzeria.datasets import RowSet, open_dataset
from pizzeria.errors import DataError, TrainingError
from pizzeria.inference.predictor import usable_cores
from pizzeria.predictions import Predictions
from pizzeria.tasks import task
from pizzeria_plugins.models.booster_file import read, write
from pizzeria_plugins.trainers.answers import gather, main_metric
from pizzeria_plugins.trainers.history import Epoch, History
from pizzeria_plugins.trainers.readiness import identity, refuse_empty
from pizzeria_plugins.trainers.start import check_start

CHECKPOINT = "checkpoint.safetensors"


def run(job: TrainJob) -> dict[str, Any]:
    """See `pizzeria_plugins.trainers.lightgbm.train`."""
    data = _rows(job)
    refuse_empty(data)
    parameters = job.model.build(job.model_options, job.problem, data.preprocessing, pretrained=True)
    parameters |= _own_parameters(job)
    history, text = _history(job), _start(job, data)
    before = _rounds_in(text)
    text = _resumed(job, history) or text
    train = _dataset(job, data, "train", parameters, None)
    validation = _dataset(job, data, "validation", parameters, train)
    while len(history.epochs) < job.options.rounds and not history.stalled:
        booster = _stretch(job, history, parameters, train, validation, text)
        text = booster.model_to_string(num_iteration=-1)
        write(job.folder / CHECKPOINT, text, {"identity": identity(job), "history": history.state()})
        history.write(job.folder / "curves.csv")
    assert history.best is not None
    best = lightgbm.Booster(model_str=text).model_to_string(num_iteration=before + history.best.epoch)
    write(job.folder / "model.safetensors", best, {})
    history.write(job.folder / "curves.csv")
    return _facts(job, data, history, best)


def predict(job: TrainJob, weights: Path, split: str) -> Predictions:
    """See `pizzeria_plugins.trainers.lightgbm.predict`."""
    text, _ = read(weights)
    return _predict(job, _rows(job), text, split)


def _stretch(
    job: TrainJob,
    history: History,
    parameters: dict[str, Any],
    train: lightgbm.Dataset,
    validation: lightgbm.Dataset,
    text: str | None,
) -> lightgbm.Booster:
    """Up to `checkpoint_every` rounds more, which `history` takes in; fewer where patience ends."""
    done, total = len(history.epochs), job.options.rounds
    seed = int(np.random.SeedSequence([job.seed, done]).generate_state(1)[0] >> 1)
    return lightgbm.train(
        parameters | {"seed": seed},
        train,
        num_boost_round=min(job.options.checkpoint_every, total - done),
        valid_sets=[train, validation],
        valid_names=["train", "validation"],
        init_model=None if text is None else lightgbm.Booster(model_str=text),
        callbacks=[_watch(job, history, train.construct().num_data())],
    )


def _watch(job: TrainJob, history: History, rows: int) -> Callable[[Any], None]:
    """What LightGBM calls after each round."""
    begun = time.perf_counter()

    def after(round_: Any) -> None:
        nonlocal begun
        now = time.perf_counter()
        losses = {where: float(value) for where, _, value, _ in round_.evaluation_result_list}
        number, seconds = len(history.epochs) + 1, now - begun
        begun = now
        if not all(map(math.isfinite, losses.values())):
            raise TrainingError(
                f"the loss became {losses['train']} in round {number}",
                hint=f"lower training.learning_rate (now {job.options.learning_rate:g})",
            )
        history.epochs.append(
            Epoch(
                epoch=number,
                train_loss=losses["train"],
                validation_loss=losses["validation"],
                metric=None,
                learning_rate=job.options.learning_rate,
                seconds=seconds,
                items_per_second=rows / max(seconds, 1e-9),
            )
        )
        job.progress.update("train", number, job.options.rounds, loss=losses["train"], validation=losses["validation"])
        if history.stalled:
            raise lightgbm.callback.EarlyStopException(round_.iteration, round_.evaluation_result_list)

    return after


def _own_parameters(job: TrainJob) -> dict[str, Any]:
    return {
        "learning_rate": job.options.learning_rate,
        "num_threads": _threads(job),
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


def _threads(job: TrainJob) -> int:
    """By the option, by OpenMP's own variable, or as many as the process may use cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return job.options.threads or (int(said) if said.isdigit() and int(said) else usable_cores())


def _dataset(
    job: TrainJob, data: RowSet, split: str, parameters: dict[str, Any], reference: lightgbm.Dataset | None
) -> lightgbm.Dataset:
    """One split as LightGBM takes it; each row of training counts as its class does."""
    rows = data.rows(split)
    weight = _weights(job, data.targets[rows]) if reference is None else None
    numbers = data.numeric.shape[1]
    return lightgbm.Dataset(
        _matrix(data, rows),
        data.targets[rows],
        reference=reference,
        weight=weight,
        categorical_feature=list(range(numbers, numbers + data.categorical.shape[1])),
        params=parameters,
        free_raw_data=False,
    )


def _weights(job: TrainJob, targets: NDArray[Any]) -> NDArray[np.float32] | None:
    """float32 [N], as the model's `class_weights` wish; None where all count the same."""
    wish = job.model_options.class_weights
    if wish is None or job.problem.task == "tabular_regression":
        return None
    from pizzeria_plugins.models.class_weights import ClassWeights

    weights = ClassWeights(wish, job.problem.classes)
    weights.count(np.bincount(targets, minlength=len(job.problem.classes)))
    by_row: NDArray[np.float32] = weights.value.numpy()[targets]
    return by_row


def _matrix(data: RowSet, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [N, F + G]: numbers, then codes, which a float32 holds up to 16 millions."""
    return np.concatenate([data.numeric[rows], data.categorical[rows].astype(np.float32)], axis=1)


def _predict(job: TrainJob, data: RowSet, text: str, split: str) -> Predictions:
    found = np.asarray(lightgbm.Booster(model_str=text).predict(_matrix(data, data.rows(split))), np.float32)
    if job.problem.task == "tabular_classification" and found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    return gather(data, split, [found])


def _rows(job: TrainJob) -> RowSet:
    data = open_dataset(job.features)
    assert isinstance(data, RowSet)  # the spec's check sees to it that features and model go together
    return data


def _start(job: TrainJob, data: RowSet) -> str | None:
    """The trees to begin from."""
    if job.start is None:
        return None
    check_start(job, data.preprocessing)
    try:
        text, _ = read(job.start)
    except TrainingError as error:
        raise DataError(
            f"training.start: {error.message}", hint="name a model.safetensors of a train stage of lightgbm"
        ) from None
    booster = lightgbm.Booster(model_str=text)
    theirs, mine = (booster.num_feature(), booster.num_model_per_iteration()), _shape(job, data)
    if theirs != mine:
        raise DataError(
            f"training.start: the trees are of {theirs[0]} columns, {theirs[1]} each round, where the model has "
            f"{mine[0]} and {mine[1]}",
            hint="the classes and columns must be those that they were made of; training.start: null begins afresh",
        )
    job.progress.say(f"beginning from {job.start}")
    return text


def _shape(job: TrainJob, data: RowSet) -> tuple[int, int]:
    """Columns, and trees of each round."""
    classes = len(job.problem.classes)
    return data.numeric.shape[1] + data.categorical.shape[1], classes if classes > 2 else 1


def _rounds_in(text: str | None) -> int:
    return 0 if text is None else int(lightgbm.Booster(model_str=text).current_iteration())


def _history(job: TrainJob) -> History:
    framing = task(job.problem.task)
    name = framing.MAIN_METRIC
    return History(name, framing.METRICS[name].better, "loss", job.options.early_stopping_rounds)


def _resumed(job: TrainJob, history: History) -> str | None:
    """The trees of this very training's checkpoint, whose rounds `history` takes back; None where there is none."""
    path = job.folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        text, facts = read(path)
    except TrainingError as error:
        job.progress.say(f"{error.message}; starting afresh")
        return None
    if facts["identity"] != identity(job):
        job.progress.say(f"{path} is of a training with other options; starting afresh")
        return None
    history.restore(facts["history"])
    job.progress.say(f"going on after round {len(history.epochs)} of {job.options.rounds}")
    return text


def _facts(job: TrainJob, data: RowSet, history: History, text: str) -> dict[str, Any]:
    assert history.best is not None
    validation = _predict(job, data, text, "validation")
    truth = data.truth("validation", len(job.problem.classes))
    seconds = sum(epoch.seconds for epoch in history.epochs)
    leaves = [tree["num_leaves"] for tree in lightgbm.Booster(model_str=text).dump_model()["tree_info"]]
    return {
        "epochs": len(history.epochs),
        "stopped_early": len(history.epochs) < job.options.rounds,
        "best_epoch": history.best.epoch,
        f"validation_{history.name}": main_metric(job.problem, validation, truth),
        "validation_loss": history.best.validation_loss,
        "seconds": seconds,
        "items_per_second": len(history.epochs) * len(data.rows("train")) / max(seconds, 1e-9),
        "parameters": sum(leaves),
        "device": "cpu",
        "cores": _threads(job),
    }
