"""How much better a model is than the live champion, for the success criteria that ask it.

Both are judged on the rows of the test split that the champion has not learnt from: its own test rows, and what its
data did not have. The champion answers them from its bundle, by the path that a request takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.datasets import Dataset, open_dataset
from pizzeria.errors import NotFoundError, PizzeriaError
from pizzeria.examination import answers_of, test_inputs
from pizzeria.gate import Gain
from pizzeria.inference.bundle import open_bundle
from pizzeria.measuring.grouping import groups
from pizzeria.measuring.judged import Answers
from pizzeria.measuring.paired import Difference, Evaluate, compare
from pizzeria.measuring.slice_columns import cuts, wanted
from pizzeria.predictions import Predictions
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.maintenance import Comparison
from pizzeria.spec.problem import Criterion
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = 500


def asked(spec: Spec) -> list[tuple[int, Criterion]]:
    """The criteria that ask for a gain, with their places."""
    return [(i, one) for i, one in enumerate(spec.problem.success) if one.gain_over_champion is not None]


def rival(spec: Spec, store: Store, train: str) -> Entry | None:
    """The live champion; None where nobody asks for it, there is none, or it is the very model that is judged.

    Args:
        train: Fingerprint of the training of the model that is judged.
    """
    if not asked(spec):
        return None
    entry = Ledger(store.root).champion(spec.name)
    if entry is None:
        return None
    try:
        trained = store.run(entry.run).stage("train").resolve().name
    except NotFoundError:
        trained = ""
    return None if trained == train else entry


def gains(
    job: Job,
    entry: Entry | None,
    answers: Answers,
    truth: Predictions,
    tables: Tables,
    dataset: Dataset,
    evaluate: Evaluate,
) -> dict[int, Gain]:
    """The gain that each criterion asks for, by its place; empty without a champion.

    Args:
        entry: The champion's, from `rival`.
        answers: Of the model that is judged, on the rows that the criteria are asked of.
        truth: With the same keys.
        evaluate: The spec's evaluator.
    """
    if entry is None:
        return {}
    try:
        theirs = _champion(job, entry, truth.keys, tables, dataset)
    except PizzeriaError as error:
        unknown = _unknown(f"{entry.sha256[:12]} cannot be asked: {error.message}")
        return {i: unknown for i, _ in asked(job.spec)}
    return {i: _gain(one, job.spec, theirs, answers, truth, tables, dataset, evaluate) for i, one in asked(job.spec)}


def _champion(job: Job, entry: Entry, keys: Sequence[str], tables: Tables, dataset: Dataset) -> Answers:
    """What the champion says of those keys that it has not learnt from."""
    run = job.store.run(entry.run)
    index: pd.DataFrame = open_dataset(run.stage("features")).index
    name = "image_id" if "image_id" in index else "row_id"
    side = dict(zip(index[name].astype(str), index["split"], strict=True))
    new = {key for key in keys if side.get(key, "test") == "test"}
    bundle = open_bundle(run.stage("package") / "bundle")
    if tuple(bundle.classes) != job.spec.problem.classes or bundle.task != job.spec.problem.task:
        raise PizzeriaError("it has other classes")
    inputs = {key: value for key, value in test_inputs(tables, dataset).items() if key in new}
    if not inputs:
        raise PizzeriaError("it has learnt from all of the test split")
    job.progress.say(f"asking the champion {entry.sha256[:12]} about {len(inputs)} that it has not learnt from")
    return answers_of(bundle, inputs, job.spec, job.progress)


def _gain(
    criterion: Criterion,
    spec: Spec,
    theirs: Answers,
    mine: Answers,
    truth: Predictions,
    tables: Tables,
    dataset: Dataset,
    evaluate: Evaluate,
) -> Gain:
    keys: Sequence[str] = theirs.predictions.keys
    if criterion.part is not None:
        keys = _in_slice(criterion.part, spec, keys, truth, tables, dataset)
    true = truth.of(keys)
    old, new = (Answers(one.predictions.of(keys), one.calibration) for one in (theirs, mine))
    rule = Comparison(confidence=spec.evaluation.confidence, resamples=spec.evaluation.resamples or _DRAWS)
    names, _ = groups(tables, keys, spec)
    found = compare(rule, spec.problem, old, new, true, names, evaluate=evaluate, metric=criterion.metric)
    if found.undecided:
        return _unknown(found.undecided)
    one: Difference | None = found.main
    if criterion.of_class is not None:
        subject = f"{criterion.metric} of {criterion.of_class}"
        one = next((each for each in found.classes if each.subject == subject), None)
    if one is None:
        return _unknown(f"too few of {criterion.of_class}")
    return Gain(one.gain, one.low, one.high, one.champion, len(keys))


def _in_slice(
    part: tuple[str, str],
    spec: Spec,
    keys: Sequence[str],
    truth: Predictions,
    tables: Tables,
    dataset: Dataset,
) -> Sequence[str]:
    """Those keys that are in a slice of the rows that the criteria are asked of."""
    chosen = [one for one in wanted(spec, tables, dataset.preprocessing) if one.column == part[0]]
    (cut,) = cuts(chosen, spec, tables, truth)
    place: Mapping[str, Any] = dict(zip(cut.names, range(len(cut.names)), strict=True))
    of = dict(zip(truth.keys, np.asarray(cut.of).tolist(), strict=True))
    return tuple(key for key in keys if of[key] == place.get(part[1], -1))


def _unknown(why: str) -> Gain:
    return Gain(math.nan, math.nan, math.nan, math.nan, 0, why)
