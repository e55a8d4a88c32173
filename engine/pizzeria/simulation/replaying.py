"""One policy: the history as traffic, step by step, with late labels, a monitoring pass and a decision at each step's
end.

What is live answers as a service would, through the same records and the same log. `monitor` and `maintain` are those
of the commands, and know nothing of it: only `pizzeria.clock` says another time. All lies in a store of the policy's
own, which `pizzeria --store FOLDER report ...` and `ui` open like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pizzeria import atomic, clock, registry
from pizzeria.contracts import Progress
from pizzeria.deployments import champion, log_folder, put_live, restore, turn
from pizzeria.errors import PizzeriaError
from pizzeria.execution import execute
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.column_inputs import column_names
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.records import unpack
from pizzeria.inference.rows import to_columns
from pizzeria.inference.truth import Label, moment
from pizzeria.maintenance.decisions import maintain
from pizzeria.monitoring.passes import monitor
from pizzeria.runs.store import Store
from pizzeria.simulation.policies import Policy
from pizzeria.simulation.stream import Stream, as_time, is_labelled, prediction_id
from pizzeria.spec.spec import Spec

SOURCE = "simulate"
"""Who said the labels."""
_STATE = "state.json"
_AT_ONCE = 5000
"""Records, or labels, in one call of the log."""


@dataclass(frozen=True)
class Pace:
    """How the history is replayed.

    Attributes:
        every: From one monitoring pass to the next.
        delay: From a prediction to its label.
        labelled: Share of the predictions that get one.
    """

    every: timedelta
    delay: timedelta
    labelled: float

    def steps(self, stream: Stream) -> int:
        """So many that the last label has come."""
        span = stream.moment(len(stream) - 1) - stream.moment(0)
        return (span + self.delay) // self.every + 1


@dataclass(frozen=True)
class _State:
    """How far a replay is.

    Attributes:
        step: At work.
        phase: What of it comes next.
        tries: How often the present phase was begun before, by a process that was killed in it.
    """

    step: int = 0
    phase: str = "traffic"
    tries: int = 0


@dataclass(frozen=True)
class Replay:
    """One policy at work.

    Attributes:
        spec: With the policy's settings, the data of the first part and the target `replay`.
        store: Of this policy alone.
    """

    spec: Spec
    policy: Policy
    pace: Pace
    stream: Stream
    store: Store

    def run(self, progress: Progress) -> None:
        """Go on from where it was, to the end.

        Raises:
            GateError: the first model misses what the spec asks of it.
            PizzeriaError: a step failed; the next call tries it again.
        """
        steps = self.pace.steps(self.stream)
        state = self._state()
        if state is None:
            self._begin(progress)
            state = _State()
        label = f"{self.spec.name}: {self.policy}"
        while state.step < steps:
            state = self._step(state, progress)
            progress.update(label, state.step, steps)

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        state = self._state()
        return state is not None and state.step >= self.pace.steps(self.stream)

    def _begin(self, progress: Progress) -> None:
        """The first model, as `pizzeria run` makes it."""
        with clock.at(self.stream.moment(0)):
            done = execute(self.spec, self.store, progress, until="package")
            package = done.results["package"]
            sha256 = str(package.facts["sha256"])
            put_live(self.spec, done.run, package.folder / "bundle", sha256, self.store, progress)
        self._save(_State())

    def _step(self, state: _State, progress: Progress) -> _State:
        """The present phase of the present step; returns what comes next."""
        since = self.stream.moment(0) + state.step * self.pace.every
        until = since + self.pace.every
        # A pass that was cut off is made again a millisecond later: its folder bears the time.
        with clock.at(until + timedelta(milliseconds=state.tries)):
            if state.phase == "traffic":
                self._answer(since, until)
                self._label(since, until)
                following = _State(state.step, "monitor")
            elif state.phase == "monitor":
                self._save(replace(state, tries=state.tries + 1))
                _, run, spec = champion(self.spec.name, self.store)
                with turn(spec.name, f"simulate {spec.name}", self.store, progress, of="pass"):
                    monitor(spec, run, self.store, _Quiet())
                following = _State(state.step, "maintain") if self.policy.maintains else _State(state.step + 1)
            else:
                self._save(replace(state, tries=state.tries + 1))
                self._maintain(progress)
                following = _State(state.step + 1)
        self._save(following)
        return following

    def _maintain(self, progress: Progress) -> None:
        """As `pizzeria maintain`; a failure is a decision in the ledger, and the cycle goes on."""
        name = self.spec.name
        with (
            turn(name, f"simulate {name}", self.store, progress, of="maintain"),
            suppress(PizzeriaError),
        ):
            maintain(name, self.store, _Quiet(progress))

    def _answer(self, since: datetime, until: datetime) -> None:
        """Let what is live answer the inputs of [since, until), and log it as a service does."""
        first, last = self._places(since, until)
        if first == last:
            return
        restore(self.spec.name, f"simulate {self.spec.name}", self.store, _Quiet())
        entry, run, _ = champion(self.spec.name, self.store)
        predictor = _opened(str(run.stage("package") / "bundle"), entry.sha256)
        for at in range(first, last, _AT_ONCE):
            self._write(self._records(predictor, at, min(at + _AT_ONCE, last)))

    def _records(self, predictor: Predictor, first: int, last: int) -> list[dict[str, Any]]:
        """See `pizzeria.inference.records`."""
        stream = self.stream
        if stream.rows is not None:
            how = predictor.bundle.preprocessing
            rows = stream.row(first, last, column_names(how))
            answered = list(unpack(predictor.columns(to_columns(rows, how)).record()))
        else:
            answered = [self._photo(predictor, path) for path in stream.photos[first:last]]
        out = []
        for i, record in enumerate(answered, start=first):
            when = stream.moment(i)
            head = {
                "timestamp": when.isoformat(timespec="milliseconds"),
                "prediction_id": self._name(i),
                "input_id": stream.keys[i],
                "listing_id": stream.listings[i],
                "latency_ms": 0.0,
            }
            out.append({**record, **head})
        return out

    def _photo(self, predictor: Predictor, path: Path) -> dict[str, Any]:
        data = path.read_bytes()
        megapixels = self.spec.serving.max_megapixels
        photo = decode(data, max_megapixels=megapixels, preprocessing=predictor.bundle.preprocessing)
        kept = {"photo": data} if self.spec.serving.log is not None and self.spec.serving.log.photos else {}
        return predictor.photo(photo).record() | kept

    def _label(self, since: datetime, until: datetime) -> None:
        """Add the labels that come in [since, until)."""
        first, last = self._places(since - self.pace.delay, until - self.pace.delay)
        stream, labels = self.stream, []
        for i in range(first, last):
            if stream.truths[i] and is_labelled(stream.keys[i], self.pace.labelled):
                said_at = moment(stream.moment(i) + self.pace.delay)
                labels.append(Label("prediction_id", self._name(i), stream.truths[i], said_at, SOURCE))
        log, options, folder = self._log
        for at in range(0, len(labels), _AT_ONCE):
            log.add_labels(options, folder, labels[at : at + _AT_ONCE])

    def _places(self, since: datetime, until: datetime) -> tuple[int, int]:
        first, last = np.searchsorted(self.stream.times, [as_time(since), as_time(until)], side="left")
        return int(first), int(last)

    def _name(self, i: int) -> str:
        name = prediction_id(self.stream.moment(i), self.stream.keys[i])
        return name if self.stream.rows is None else f"{name}/0"

    @cached_property
    def _log(self) -> tuple[Any, Any, Path]:
        section = self.spec.serving.log
        assert section is not None
        return registry.load("prediction_logs", section.use), section.options, log_folder(self.store, self.spec.name)

    def _write(self, records: Sequence[dict[str, Any]]) -> None:
        log, options, folder = self._log
        folder.mkdir(parents=True, exist_ok=True)
        log.writer(options, folder)(records)

    def _state(self) -> _State | None:
        try:
            return _State(**json.loads((self.store.root / _STATE).read_text()))
        except FileNotFoundError:
            return None

    def _save(self, state: _State) -> None:
        atomic.write_json(self.store.root / _STATE, asdict(state))


class _Quiet:
    """A pass in a simulation says nothing, since there are hundreds of them; but for training, which takes long.

    Args:
        progress: Shows the training.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        if self._progress is not None and label.startswith("train"):
            self._progress.update(label, done, total, **figures)

    def say(self, text: str) -> None:
        pass


_last: dict[tuple[str, str], Predictor] = {}


def _opened(bundle: str, sha256: str) -> Predictor:
    """The bundle, opened once as long as it stays the champion."""
    key = (bundle, sha256)
    if key not in _last:
        _last.clear()
        _last[key] = Predictor(open_bundle(Path(bundle)), threads=1)
    return _last[key]
