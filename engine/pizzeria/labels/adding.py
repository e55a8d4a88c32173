"""From a file of labels to the prediction log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria.errors import DataError, RequestError
from pizzeria.inference.truth import Key, Label, LabelCounts, check_truth
from pizzeria.labels.reading import Read, Said, read_file
from pizzeria.labels.served import Served

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/\d+)?")
_LONGEST = 200


@dataclass(frozen=True)
class Added:
    """What became of a file of labels.

    Attributes:
        counts: New, changed and same.
        unknown: Labels among them whose prediction is not in the log (yet); they are kept.
        empty: Things in the file that say nothing, and were passed over.
        notes: What was done about something odd.
    """

    counts: LabelCounts
    unknown: int
    empty: int
    notes: tuple[str, ...]


def add(served: Served, path: Path, *, source: str = "", empty: bool = False) -> Added:
    """Add the labels of a file, all or none; a file that was added before changes nothing.

    Args:
        served: Whose predictions they are of.
        path: See `pizzeria.labels.reading`.
        source: Who says it, where the file does not tell.
        empty: Photos without any box or class in the file show nothing; without it they are passed over, as nobody may
            have looked at them.

    Raises:
        DataError: the file cannot be read, or a label in it is none for this model; names each place.
    """
    bundle = served.bundle
    found = read_file(path, bundle.task, bundle.classes)
    said = [*found.said, *(_showing_nothing(found, bundle.task) if empty else [])]
    log = served.spec.serving.log
    by_input = log is None or "input_id" not in log.redact
    known = _known(served.predictions(of_all=True))
    labels, faults = [], []
    for one in said:
        try:
            labels.append(_label(one, bundle.task, bundle.classes, known, source or path.name, by_input))
        except DataError as error:
            faults.append(f"{error.message}{f' ({error.hint})' if error.hint else ''}")
    faults += _contradictions(said, labels) if not faults else []
    if faults:
        more = f"\n... and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        count = f"{len(faults)} label{'s' if len(faults) != 1 else ''} in {path} cannot be taken; none was added"
        raise DataError("\n".join([count, *faults[:_SHOWN]]) + more, hint="mend the file, and add it again")
    unknown = len({label.key for label in labels} - known)
    passed_over = 0 if empty else len(found.empty)
    return Added(served.add(labels), unknown, passed_over, tuple(found.notes))


def _showing_nothing(found: Read, task: str) -> list[Said]:
    nothing: dict[str, dict[str, list[str]]] = {
        "object_detection": {"boxes": []},
        "multilabel_classification": {"classes": []},
    }
    truth = nothing.get(task)
    if truth is None and found.empty:
        raise DataError(f"{found.empty[0].where}: it says nothing", hint="every photo or row has a class; no --empty")
    return [Said(one.where, one.keys, truth or {}, one.at, one.source) for one in found.empty]


def _known(predictions: pd.DataFrame) -> set[Key]:
    ids = {("prediction_id", str(name)) for name in predictions["prediction_id"] if name}
    return ids | {("input_id", str(name)) for name in predictions["input_id"].dropna().unique() if name}


def _label(said: Said, task: str, classes: Sequence[str], known: set[Key], source: str, by_input: bool) -> Label:
    try:
        truth = check_truth(said.truth, task, classes)
    except RequestError as error:
        raise DataError(f"{said.where}: {error.message}", hint=error.hint) from None
    by, name = _named(said, known, by_input)
    return Label(
        "input_id" if by == "input_id" else "prediction_id", name, truth, said.at, (said.source or source)[:200]
    )


def _named(said: Said, known: set[Key], by_input: bool) -> Key:
    """The key that is in the log; else the likeliest one: a prediction id by its look, or the input."""
    keys = [_cut(key) for key in said.keys if by_input or key[0] != "input_id"]
    if not keys:
        hint = "give the prediction_id; serving.log.redact leaves input ids out of the log"
        raise DataError(f"{said.where}: it names an input, and the log keeps no input ids", hint=hint)
    for key in keys:
        if key in known:
            return key
    likely = [key for key in keys if key[0] == "prediction_id" and (_UUID.fullmatch(key[1]) or len(keys) == 1)]
    return (likely or [key for key in keys if key[0] == "input_id"] or keys)[0]


def _cut(key: Key) -> Key:
    """As a service would log it."""
    by, name = key
    return by, name[:_LONGEST].replace("\x00", "\ufffd") if by == "input_id" else name


def _contradictions(said: Iterable[Said], labels: Sequence[Label]) -> list[str]:
    """Labels of one file and one time that say different things of the same."""
    first: dict[tuple[Key, str], tuple[Said, Label]] = {}
    out = []
    for one, label in zip(said, labels, strict=True):
        before, other = first.setdefault((label.key, label.at), (one, label))
        if other.truth != label.truth:
            out.append(f"{one.where}: {label.name} has another label than in {before.where}")
    return out


def told(added: Added) -> Mapping[str, int]:
    """The figures by name, in the order in which they are said."""
    return {**added.counts._asdict(), "unknown": added.unknown, "empty": added.empty}
