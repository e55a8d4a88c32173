"""What became of a policy, by what the history itself says was true, whether or not that was told while it ran."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria import registry
from pizzeria.deployments import log_folder
from pizzeria.monitoring.history import History, folder_of
from pizzeria.predictions import Predictions
from pizzeria.runs import seals
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.simulation.replaying import Replay
from pizzeria.simulation.stream import Stream, as_datetime, is_labelled
from pizzeria.spec.spec import Spec
from pizzeria.tasks import task

if TYPE_CHECKING:
    import pandas as pd

_WINDOWS = 40
_LEAST = 200
"""Predictions of a window, unless there are too few for that."""


@dataclass(frozen=True)
class Window:
    """A stretch of the replay, the same for all policies.

    Attributes:
        value: The metric there, by the truth; NaN where it cannot be computed.
    """

    start: str
    end: str
    rows: int
    value: float


@dataclass(frozen=True)
class Tracked:
    """A chunk as monitoring judged it: what it estimated without labels, and what the labels said later."""

    start: str
    end: str
    subject: str
    estimated: float
    realised: float


@dataclass(frozen=True)
class Mark:
    """Something that happened.

    Attributes:
        what: `promoted`, `rolled back`, `refused`, `alert` ...
    """

    at: str
    what: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """One policy.

    Attributes:
        policy: As typed.
        title: In words.
        metric: The task's, by the truth.
        overall: Of all replayed predictions at once.
        mean, worst: Of the windows.
        trained: Models trained after the first.
        promoted, rolled_back: Of the champions.
        labels: That had come by the end.
        used: Labels that had come by the last training, and so could be learnt from.
        training_s: Seconds in training after the first model.
        alerts: Incidents by kind.
        tracking_error: Mean absolute difference of estimate and later truth; NaN without a chunk that has both.
        correlation: Of the same; NaN of fewer than three.
    """

    policy: str
    title: str
    metric: str
    overall: float
    mean: float
    worst: float
    trained: int
    promoted: int
    rolled_back: int
    labels: int
    used: int
    training_s: float
    alerts: dict[str, int]
    tracking_error: float
    correlation: float
    windows: tuple[Window, ...]
    tracked: tuple[Tracked, ...]
    marks: tuple[Mark, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def outcome(replay: Replay, metric: str) -> Outcome:
    """What became of a policy that has come to its end."""
    spec, stream, store = replay.spec, replay.stream, replay.store
    entries = Ledger(store.root).entries(spec.name)
    windows, overall = _realised(spec, stream, store, metric)
    values = np.array([one.value for one in windows])
    tracked = _tracked(spec, store)
    both = np.array([(one.estimated, one.realised) for one in tracked]).reshape(-1, 2)
    trained = _trained(entries, store)
    marks = _marks(entries)
    return Outcome(
        policy=replay.policy.name,
        title=str(replay.policy),
        metric=metric,
        overall=overall,
        mean=float(np.nanmean(values)) if np.isfinite(values).any() else float("nan"),
        worst=_worst(values, spec, metric),
        trained=len(trained),
        promoted=sum(one.what == "promoted" for one in marks),
        rolled_back=sum(one.what == "rolled back" for one in marks),
        labels=_labels(replay, None),
        used=_labels(replay, max(at for at, _ in trained)) if trained else 0,
        training_s=sum(seconds for _, seconds in trained),
        alerts=_alerts(entries),
        tracking_error=float(np.abs(both[:, 0] - both[:, 1]).mean()) if len(both) else float("nan"),
        correlation=_correlation(both),
        windows=windows,
        tracked=tracked,
        marks=marks,
    )


def _realised(spec: Spec, stream: Stream, store: Store, metric: str) -> tuple[tuple[Window, ...], float]:
    """The metric by window, and of all."""
    frame = _answers(spec, store)
    place = {key: i for i, key in enumerate(stream.keys)}
    at = np.array([place[key] for key in frame["input_id"]], np.int64)
    known = np.array([bool(stream.truths[i]) for i in at], bool)
    frame, at = frame[known].reset_index(drop=True), at[known]
    said, true = _predictions(spec, frame), _truth(spec, [stream.truths[i] for i in at])
    edges = _edges(len(at))
    out = []
    for first, last in pairwise(edges):
        keys = tuple(map(str, range(first, last)))
        value = _score(spec, metric, said.of(keys), true.of(keys))
        start, end = (stream.moment(int(at[i])).isoformat() for i in (first, last - 1))
        out.append(Window(start, end, last - first, value))
    return tuple(out), _score(spec, metric, said, true)


def _edges(count: int) -> list[int]:
    """Where windows of about the same size begin, and the end."""
    windows = max(1, min(_WINDOWS, count // _LEAST))
    return [int(edge) for edge in np.linspace(0, count, windows + 1).round()]


def _answers(spec: Spec, store: Store) -> pd.DataFrame:
    log = spec.serving.log
    assert log is not None
    plugin = registry.load("prediction_logs", log.use)
    found: pd.DataFrame = plugin.read(log.options, log_folder(store, spec.name))
    return found


def _predictions(spec: Spec, frame: pd.DataFrame) -> Predictions:
    keys, classes = tuple(map(str, range(len(frame)))), spec.problem.classes
    judged = task(spec.problem.task).JUDGED
    if judged == "value":
        return Predictions(keys, values=frame["pred"].to_numpy(np.float32))
    column = "pred" if judged == "presence" else "p"
    return Predictions(keys, probabilities=frame[[f"{column}:{name}" for name in classes]].to_numpy(np.float32))


def _truth(spec: Spec, truths: Sequence[str]) -> Predictions:
    keys, classes = tuple(map(str, range(len(truths)))), spec.problem.classes
    said = [json.loads(text) for text in truths]
    if task(spec.problem.task).JUDGED == "value":
        return Predictions(keys, values=np.array([one["value"] for one in said], np.float32))
    shown = [one["classes"] if "classes" in one else [one["class"]] for one in said]
    present = [[float(name in names) for name in classes] for names in shown]
    return Predictions(keys, probabilities=np.array(present, np.float32).reshape(-1, len(classes)))


def _score(spec: Spec, metric: str, said: Predictions, true: Predictions) -> float:
    problem = spec.problem
    if task(problem.task).JUDGED == "presence":  # of a detector, whether it says that the class is there
        problem = problem.model_copy(update={"task": "multilabel_classification"})
    calibration = {"method": "none", "thresholds": dict.fromkeys(problem.classes, 0.5)}
    evaluator = registry.load("evaluators", spec.evaluation.use)
    found = evaluator.evaluate(spec.evaluation.options, problem, said, true, calibration)["metrics"]
    return float(found[metric])


def _worst(values: NDArray[np.float64], spec: Spec, metric: str) -> float:
    if not np.isfinite(values).any():
        return float("nan")
    higher = task(spec.problem.task).METRICS[metric].better == "higher"
    return float(np.nanmin(values) if higher else np.nanmax(values))


def _tracked(spec: Spec, store: Store) -> tuple[Tracked, ...]:
    history = History(folder_of(store, spec.name))
    chunks = history.chunks()
    by_id = history.findings(chunks, kind="performance")
    out = []
    for chunk in chunks:
        whole = [one for one in by_id[chunk.id] if " of " not in one.subject]
        out += [
            Tracked(chunk.start, chunk.end, one.subject, one.value, one.realised)
            for one in whole
            if one.value is not None and one.realised is not None
        ]
    return tuple(out)


def _correlation(both: NDArray[np.float64]) -> float:
    if len(both) < 3 or not (both.std(axis=0) > 0).all():
        return float("nan")
    return float(np.corrcoef(both[:, 0], both[:, 1])[0, 1])


def _trained(entries: Sequence[Entry], store: Store) -> list[tuple[str, float]]:
    """When each model after the first was trained, and seconds that its training took."""
    first = next(entry for entry in entries if entry.event == "deploying")
    begun: dict[str, str] = {}
    for entry in entries:
        if entry.event == "run_started" and entry.id > first.id and entry.run != first.run:
            begun.setdefault(entry.run, entry.at)
    out = []
    for run, at in begun.items():
        result = store.root / run / "stages" / "train" / seals.RESULT
        if result.exists():
            seals.check_file(result.parent, result.name)
            out.append((at, float(json.loads(result.read_text())["seconds"])))
    return out


def _labels(replay: Replay, until: str | None) -> int:
    """Labels that had come by then."""
    stream, pace = replay.stream, replay.pace
    came = [
        as_datetime(time) + pace.delay
        for time, key, truth in zip(stream.times, stream.keys, stream.truths, strict=True)
        if truth and is_labelled(key, pace.labelled)
    ]
    return sum(until is None or one.isoformat() < until for one in came)


def _alerts(entries: Sequence[Entry]) -> dict[str, int]:
    """Incidents by kind: how often a trouble began."""
    counts = Counter(str(entry.detail["kind"]) for entry in entries if entry.event == "alerted")
    return dict(sorted(counts.items()))


_SAID = {"promoted": "promoted", "rolled_back": "rolled back"}


def _marks(entries: Sequence[Entry]) -> tuple[Mark, ...]:
    """What happened after the first model was deployed, for the plot; nothing that was merely looked at."""
    out: list[Mark] = []
    first = True
    for entry in entries:
        if entry.event in _SAID:
            if not first:
                out.append(Mark(entry.at, _SAID[entry.event], entry.sha256[:12]))
            first = False
        elif entry.event == "alerted":
            out.append(Mark(entry.at, "alert", f"{entry.detail['kind']}: {entry.detail['text']}"))
        elif entry.event == "decided" and entry.detail["action"] in ("refused", "failed"):
            out.append(Mark(entry.at, entry.detail["action"], str(entry.detail["why"])))
    return tuple(out)
