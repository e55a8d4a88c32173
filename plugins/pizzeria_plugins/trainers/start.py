"""Weights to begin from, instead of random or pretrained ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pizzeria.contracts import TrainJob
from pizzeria.errors import DataError

_SHOWN = 5


def begin_from(network: nn.Module, job: TrainJob, preprocessing: Mapping[str, Any]) -> None:
    """Fill a network with the weights of `training.start`.

    Raises:
        DataError: they cannot be read, or do not fit; says what does not.
    """
    check_start(job, preprocessing)
    assert job.start is not None
    try:
        weights = load_file(job.start)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"training.start: {job.start} cannot be read: {error}", hint="name a model.safetensors of a train stage"
        ) from None
    own = network.state_dict()
    faults = [f"{name} is missing" for name in own.keys() - weights.keys()]
    faults += [f"{name} is not of this model" for name in weights.keys() - own.keys()]
    faults += [
        f"{name} is {list(weights[name].shape)} where the model has {list(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DataError(
            f"training.start: the weights do not fit the model: {'; '.join(sorted(faults)[:_SHOWN])}{more}",
            hint="the model, its classes and its columns must be those that the weights were trained with; "
            "training.start: null begins afresh",
        )
    network.load_state_dict(weights)


def check_start(job: TrainJob, preprocessing: Mapping[str, Any]) -> None:
    """Hold the weights of `training.start` against the job by what is said of them.

    `start.json` beside the weights, where there is one, says with which `classes` and `preprocessing` they were
    trained. Weights of other classes, or of columns that were scaled and coded otherwise, would fit by their shapes,
    and mean something else; they are refused.

    Raises:
        DataError: they were trained for something else; says for what.
    """
    assert job.start is not None
    about = job.start.with_name("start.json")
    if about.exists():
        said = json.loads(about.read_text())
        _check_classes(said.get("classes"), list(job.problem.classes), job.start)
        _check_columns(said.get("preprocessing"), preprocessing, job.start)


def _check_classes(theirs: Any, mine: list[str], file: Path) -> None:
    if theirs is None or list(theirs) == mine:
        return
    new, gone = [name for name in mine if name not in theirs], [name for name in theirs if name not in mine]
    what = [f"there they have no {', '.join(new)}"] * bool(new) + [f"here there is no {', '.join(gone)}"] * bool(gone)
    raise DataError(
        f"training.start: {file} was trained for other classes: {' and '.join(what) or 'they stand in another order'}",
        hint="begin afresh with training.start: null, or maintenance.start: cold",
    )


def _check_columns(theirs: Any, mine: Mapping[str, Any], file: Path) -> None:
    if theirs is None or mine.get("kind") != "columns" or theirs == json.loads(json.dumps(mine)):
        return
    raise DataError(
        f"training.start: {file} was trained on columns that were scaled and coded otherwise",
        hint=f"features.fitted: {file.with_name('preprocessing.json')} keeps them as they were then",
    )
