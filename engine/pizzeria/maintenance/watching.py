"""How a champion does since it was promoted, beside the model before it: three ways, the first that can be gone.

1. *side by side*: the former model is asked about the very inputs that the new one answered and that have labels by
   now. The same rows for both, so that a world that got harder since is held against neither. Surely worse by the rule
   of `pizzeria.maintenance.comparison`, as a whole or in a class, is worse.
2. *realised*: the former cannot be asked, because its inputs were not kept. What the new one reaches on labelled
   predictions is compared with the former's last ones, and with what the new one showed when it was promoted: to be
   worse, its interval must lie outside that of the former, and short of what it showed.
3. *estimated*: there are no labels. Its estimated performance, of all chunks since, must lie with its band outside that
   of the former's last chunks, and call for an alert by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.contracts import Progress
from pizzeria.deployments import packed
from pizzeria.errors import NotFoundError, PizzeriaError
from pizzeria.examination import answers_of
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.column_inputs import column_names
from pizzeria.labels.served import open_served
from pizzeria.loading import load_resolved
from pizzeria.maintenance.comparison import surely_worse
from pizzeria.maintenance.kept import PHOTOS, keep, read_kept
from pizzeria.measuring.draws import LEAST_GROUPS
from pizzeria.measuring.judged import Answers
from pizzeria.measuring.paired import compare, figure
from pizzeria.monitoring.history import Chunk, History, folder_of
from pizzeria.monitoring.incidents import open_kinds
from pizzeria.predictions import Boxes, Predictions
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.problem import Problem
from pizzeria.spec.spec import Spec
from pizzeria.tasks import task

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS, MOST_PHOTOS = 5000, 500
"""The newest so many labelled predictions are asked of the former model."""
LAST_CHUNKS = 5
"""Of the former's chunks, the last so many say how it did."""
_BAND = 1.96


@dataclass(frozen=True)
class Seen:
    """What was seen of a champion since it was promoted.

    Attributes:
        how: `side by side`, `realised` or `estimated`.
        worse: Whether it is surely worse, by more than it may; None where that cannot be told.
        behind: Whether it is surely worse at all.
    """

    how: str
    worse: bool | None
    text: str
    evidence: dict[str, Any]
    behind: bool = False


def look_at(
    entry: Entry,
    run: Run,
    former: str,
    row: Entry,
    spec: Spec,
    store: Store,
    progress: Progress,
    begin: datetime,
    *,
    dry_run: bool = False,
) -> Seen:
    """How a champion does, by the first way that can be gone; see the module."""
    examples = _examples(entry.name, store, progress, dry_run)
    mine = _of(examples, entry.sha256, begin)
    kept = store.root / ".collected" / entry.name / "kept"
    if mine is not None and len(mine) >= LEAST_GROUPS:
        inputs = inputs_of(mine, open_bundle(run.stage("package") / "bundle").preprocessing, kept / PHOTOS)
        if inputs is not None:
            found = _side_by_side(mine, inputs, run, former, spec, store, progress)
            if found is not None:
                return found
        theirs = _of(examples, former, None)
        found = None if theirs is None else _realised(mine, theirs, row, spec)
        if found is not None:
            return found
    found = _estimated(entry, former, store, begin)
    if found is not None:
        return found
    count = 0 if mine is None else len(mine)
    return Seen(
        "nothing", None, f"{count} of its predictions have labels, and no chunk was judged", {"labelled": count}
    )


def inputs_of(examples: pd.DataFrame, preprocessing: Any, photos: Path) -> dict[str, Any] | None:
    """What was asked, by prediction, so that another model can be asked the same; None where it was not kept."""
    if "file" in examples and examples["file"].fillna("").ne("").any():
        known = examples[examples["file"].fillna("").ne("")].tail(MOST_PHOTOS)
        return {str(name): photos / str(file) for name, file in zip(known["prediction_id"], known["file"], strict=True)}
    names = column_names(preprocessing) if preprocessing.get("kind") == "columns" else []
    if not names or any(f"feature:{name}" not in examples for name in names):
        return None
    table = examples.tail(MOST_ROWS)
    columns = [_plain_column(table[f"feature:{name}"]) for name in names]
    rows = (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
    return dict(zip(table["prediction_id"].astype(str), rows, strict=True))


def truth_of(examples: pd.DataFrame, problem: Problem) -> Predictions:
    """Labels as the truth: boxes where all have some, or else classes, or values."""
    keys, said = tuple(examples["prediction_id"].astype(str)), [json.loads(one) for one in examples["truth"]]
    index = {name: i for i, name in enumerate(problem.classes)}
    if task(problem.task).JUDGED == "value":
        return Predictions(keys, values=np.array([one["value"] for one in said], np.float32))
    if said and all("boxes" in one for one in said):
        return Predictions(keys, boxes=tuple(_boxes(one["boxes"], index) for one in said))
    rows = np.zeros((len(said), len(index)), np.float32)
    for row, one in zip(rows, said, strict=True):
        for name in [one["class"]] if "class" in one else one["classes"]:
            row[index[name]] = 1
    return Predictions(keys, probabilities=rows)


def _side_by_side(
    mine: pd.DataFrame, inputs: dict[str, Any], run: Run, former: str, spec: Spec, store: Store, progress: Progress
) -> Seen | None:
    try:
        before = store.run(run_of(former, spec.name, store))
        old = packed(before, load_resolved(before.folder / "spec.yaml"), store)
        progress.say(f"asking {former[:12]} what {len(inputs)} labelled predictions would have been")
        sides = [
            answers_of(open_bundle(folder), inputs, spec, progress)
            for folder in (old.bundle, run.stage("package") / "bundle")
        ]
    except PizzeriaError as error:
        progress.say(f"the former model cannot be asked: {error.message}")
        return None
    asked = mine[mine["prediction_id"].astype(str).isin(inputs)]
    truth = truth_of(asked, spec.problem).of(tuple(inputs))
    rule, problem = spec.maintenance.compare, spec.problem
    metric = "average_precision" if sides[0].predictions.boxes is not None and truth.boxes is None else None
    found = compare(rule, problem, sides[0], sides[1], truth, _groups(asked, truth.keys), metric=metric)
    if found.undecided:
        return None
    worse = surely_worse(found.main, rule.no_worse_by, problem)
    lost = [one for one in found.classes if surely_worse(one, rule.class_no_worse_by, problem)]
    main = found.main
    text = f"{main.subject} {main.challenger:.4g}, the former {main.champion:.4g} on the same {found.rows} inputs"
    text += f" (gain {main.gain:+.3g}, {main.low:+.3g} to {main.high:+.3g})"
    text += "".join(f"; {one.subject} {one.challenger:.4g}, was {one.champion:.4g}" for one in lost)
    return Seen("side by side", worse or bool(lost), text, {"compared": found.plain()}, main.high < 0)


def _realised(mine: pd.DataFrame, theirs: pd.DataFrame, row: Entry, spec: Spec) -> Seen | None:
    """By the answers that are in the log."""
    judged, main = task(spec.problem.task).JUDGED, task(spec.problem.task).MAIN_METRIC
    metric = "average_precision" if judged == "presence" else main
    figures = []
    for one in (mine.tail(MOST_ROWS), theirs.tail(MOST_ROWS)):
        said, truth = _logged(one, spec.problem), _present(truth_of(one, spec.problem), spec.problem)
        figures.append(None if said is None else figure(spec.maintenance.compare, spec.problem, said, truth, metric))
    now, before = figures
    if now is None or before is None:
        return None
    sign = -1 if task(spec.problem.task).METRICS[main].better == "lower" else 1
    best, worst = (now.high, before.low) if sign > 0 else (now.low, before.high)
    promised = row.detail["evidence"].get("challenger") if row.detail["evidence"].get("metric") == metric else None
    worse = sign * best < sign * worst and (promised is None or sign * best < sign * float(promised))
    text = (
        f"{metric} {now.value:.4g} ({now.low:.4g} to {now.high:.4g}) on {now.rows} labelled predictions; the former's"
    )
    text += f" last {before.rows}: {before.value:.4g} ({before.low:.4g} to {before.high:.4g})"
    text += "" if promised is None else f"; when it was promoted it showed {float(promised):.4g}"
    return Seen("realised", worse, text, {"now": asdict(now), "former_last": asdict(before), "promised": promised})


def _present(truth: Predictions, problem: Problem) -> Predictions:
    """The log has no boxes: what is in the photo stands for them."""
    if truth.boxes is None:
        return truth
    return Predictions(truth.keys, probabilities=truth.presence(len(problem.classes)))


def _logged(examples: pd.DataFrame, problem: Problem) -> Answers | None:
    keys, said = tuple(examples["prediction_id"].astype(str)), [json.loads(one) for one in examples["answer"]]
    if task(problem.task).JUDGED == "value":
        values = np.array([one.get("pred", math.nan) for one in said], np.float32)
        return Answers(Predictions(keys, values=values), {"method": "none"})
    names = [f"p:{name}" for name in problem.classes]
    if any(name not in one for one in said for name in names):
        return None
    rows = np.array([[one[name] for name in names] for one in said], np.float32)
    # Average precision asks for no threshold, and the calibration needs one to be told from that of single labels.
    thresholds = dict.fromkeys(problem.classes, 0.5) if task(problem.task).JUDGED == "presence" else {}
    return Answers(Predictions(keys, probabilities=rows), {"method": "none", "thresholds": thresholds})


def _estimated(entry: Entry, former: str, store: Store, begin: datetime) -> Seen | None:
    folder = folder_of(store, entry.name)
    if not (folder / "history.sqlite").exists():
        return None
    history = History(folder)
    mine = [one for one in history.chunks(sha256=entry.sha256) if not one.open and one.start >= begin.isoformat()]
    now, before = _figure(history, mine), _figure(history, history.chunks(sha256=former, last=LAST_CHUNKS))
    if now is None or before is None or now[0] != before[0]:
        return None
    subject, value, error = now
    _, was, was_error = before
    sign = -1 if subject in ("mae", "rmse", "mse", "mape") else 1
    apart = sign * (was - value) > _BAND * (error + was_error)
    alarmed = "performance" in open_kinds(store, entry.name, entry.sha256)
    text = f"estimated {subject} {value:.4g} (within {_BAND * error:.2g}) in {len(mine)} chunks; the former's last: "
    text += f"{was:.4g} (within {_BAND * was_error:.2g})"
    evidence = {"subject": subject, "estimated": value, "error": error, "former": was, "former_error": was_error}
    return Seen("estimated", apart and alarmed, text, evidence)


def _figure(history: History, chunks: Sequence[Chunk]) -> tuple[str, float, float] | None:
    """The main metric over chunks: the mean of the estimates by rows, and its sampling error."""
    found = history.findings(chunks, kind="performance")
    values: list[tuple[float, float, int]] = []
    subject = ""
    for chunk in chunks:
        for one in found[chunk.id]:
            if " of " not in one.subject and one.value is not None and subject in ("", one.subject):
                subject = one.subject
                values.append((one.value, one.error or 0.0, chunk.rows))
                break
    total = sum(rows for _, _, rows in values)
    if not total:
        return None
    mean = sum(value * rows for value, _, rows in values) / total
    return subject, mean, math.sqrt(sum((error * rows) ** 2 for _, error, rows in values)) / total


def _examples(name: str, store: Store, progress: Progress, dry_run: bool) -> pd.DataFrame | None:
    kept = store.root / ".collected" / name / "kept"
    if dry_run:
        return read_kept(kept)
    try:
        return keep(open_served(name, store), kept, progress)
    except NotFoundError:
        return None  # the spec keeps no predictions, or no labels


def _of(examples: pd.DataFrame | None, model: str, begin: datetime | None) -> pd.DataFrame | None:
    if examples is None or not len(examples):
        return None
    mine = examples[examples["model"] == model]
    if begin is not None:
        import pandas as pd

        mine = mine[pd.to_datetime(mine["predicted_at"], utc=True, format="ISO8601") >= begin]
    return mine


def _groups(examples: pd.DataFrame, keys: Sequence[str]) -> list[str] | None:
    listing = dict(zip(examples["prediction_id"].astype(str), examples["listing_id"].fillna(""), strict=True))
    if not any(listing.values()):
        return None
    return [f"group {listing[key]}" if listing[key] else f"row {key}" for key in keys]


def _boxes(found: Sequence[Any], index: dict[str, int]) -> Boxes:
    if not found:
        return Boxes.empty()
    corners = [[one[key] for key in ("x_min", "y_min", "x_max", "y_max")] for one in found]
    labels = np.array([index[one["class"]] for one in found], np.int64)
    return Boxes(np.array(corners, np.float32), np.ones(len(found), np.float32), labels)


def _plain_column(values: pd.Series[Any]) -> list[Any]:
    return [None if value is None or value != value else value for value in values.tolist()]


def run_of(sha256: str, name: str, store: Store) -> str:
    """The run of a bundle that was live.

    Raises:
        NotFoundError: it never was.
    """
    for one in reversed(Ledger(store.root).entries(name, ("promoted", "rolled_back"))):
        if one.sha256 == sha256:
            return one.run
    raise NotFoundError(f"{sha256[:12]} was never live as {name}", hint=f"pizzeria history {name}")
