"""Whether new labels can be believed.

Labels that contradict the model are no proof against them: that is what honest drift looks like as well. So a source of
labels is never judged by its disagreement alone, but by how much *more* it contradicts confident answers than

- other sources' labels of predictions made in the same time, which see the same drift,
- and the test set, where the truth is known.

The same is asked of what one source said within an hour, against all other labels of that time. Where there is nothing
to compare with, the labels are doubted when more than half of the confident answers are contradicted: classes that were
mixed up and a world that turned over look the same then, and a person must say which it is
(`maintenance.trust.trusted`). Besides, labels are doubted that contradict each other on the same photo or row, that get
photos wrong whose truth is known, and that say the same of everything within an hour, against the model's answers.

A source that lies now and then, or only where the model is unsure, is not found by any of this; the comparison of the
challenger with the champion on the frozen test set is what stands behind it. Sources with few labels are judged
together, so that many names do not help.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pizzeria.errors import PoisonError
from pizzeria.similarity import near_pairs
from pizzeria.spec.maintenance import Trust

if TYPE_CHECKING:
    import pandas as pd

CONFIDENT = 0.9
"""From this calibrated probability on (or below the rest to 1) an answer is confident."""
_Z = 3.09
"""99.9 %, one-sided: many sources and classes are looked at."""
_LONE = 0.5
_SAME = 0.95
_AGREES = 0.5
_FEW = "(sources with few labels)"
_KNOWN_LEAST = 5
_SHOWN = 3
_HOUR = timedelta(hours=1)
_ANSWERS, _VALUES = "answers", "values"


@dataclass(frozen=True)
class Doubt:
    """Why some labels are not believed.

    Attributes:
        source: Who said them; None where it cannot be told who is wrong.
        text: What was seen, in a sentence.
        rows: Of the examples.
    """

    source: str | None
    text: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Doubted:
    """What is left out of a version: the rows, and what was seen."""

    rows: frozenset[int] = frozenset()
    texts: tuple[str, ...] = ()


class Known(NamedTuple):
    """What is known apart from the new labels.

    Attributes:
        task: Of the model.
        reference: Records of the test set with the truth.
        photos: By sha256, the classes that a photo of the data before shows.
    """

    task: str
    reference: pd.DataFrame
    photos: Mapping[str, frozenset[str]] = {}


class Claim(NamedTuple):
    """A confident answer: what was said, and whether the label contradicts it."""

    kind: str
    contradicted: bool


@dataclass
class _Group:
    source: str
    name: str
    rows: list[int] = field(default_factory=list)


def judge(examples: pd.DataFrame, known: Known, trust: Trust) -> Doubted:
    """Which of the new labels are not believed.

    Args:
        examples: Of `kept`, with `new`; only those are judged.

    Raises:
        PoisonError: some are not, and `trust.on_doubt` is refuse; names what was seen, and what to do.
    """
    mine = examples.reset_index(drop=True)
    doubts = list(_doubts(mine, known, trust))
    if not doubts:
        return Doubted()
    texts = tuple(doubt.text for doubt in doubts)
    if trust.on_doubt == "refuse" or any(doubt.source is None for doubt in doubts):
        named = sorted({doubt.source for doubt in doubts if doubt.source is not None and doubt.source != _FEW})
        believe = f"maintenance.trust.trusted: {json.dumps(named)}" if named else "higher limits in maintenance.trust"
        apart = "; leave them out with maintenance.trust.on_doubt: leave_out" if named else ""
        raise PoisonError(
            "the new labels are not believed:\n" + "\n".join(f"  {text}" for text in texts),
            hint="look at some, and add what is right with `pizzeria labels add`; if they are right, say so with "
            f"{believe}{apart}",
            evidence={"doubts": [{"source": one.source, "text": one.text, "labels": len(one.rows)} for one in doubts]},
        )
    rows = {row for doubt in doubts for row in doubt.rows}
    return Doubted(frozenset(examples.index[row] for row in rows), texts)


def _doubts(examples: pd.DataFrame, known: Known, trust: Trust) -> Iterator[Doubt]:
    new = [i for i, flag in enumerate(examples["new"]) if flag]
    sources = ["" if value is None or value != value else str(value) for value in examples["source"]]
    groups = _groups(new, sources, trust)
    doubted: set[int] = set()
    for doubt in (
        *_contradicting(examples, new, groups, known, trust),
        *_wrong_on_known(examples, groups, known, trust),
        *_floods(examples, new, groups, trust),
    ):
        if not doubted.issuperset(doubt.rows):  # one reason is enough
            doubted |= set(doubt.rows)
            yield doubt
    rest = [i for i in new if i not in doubted and sources[i] not in trust.trusted]
    yield from _conflicting(examples, rest, sources, known, trust)


def _groups(new: Sequence[int], sources: Sequence[str], trust: Trust) -> list[_Group]:
    """Labels by source; the sources with few labels together."""
    counts = Counter(sources[i] for i in new)
    found: dict[str, _Group] = {}
    for i in new:
        if sources[i] in trust.trusted:
            continue
        source = sources[i] if counts[sources[i]] >= trust.least else _FEW
        found.setdefault(source, _Group(source, f"labels of {source or 'an unnamed source'!r}")).rows.append(i)
    return list(found.values())


def claims(task: str, answer: Mapping[str, Any], truth: Mapping[str, Any], usual: float = math.inf) -> list[Claim]:
    """The confident answers to one input, and whether its label contradicts them.

    Args:
        answer: `p:<class>` and `pred`, as in `pizzeria.inference.records`.
        truth: See `pizzeria.inference.truth`.
        usual: Regression: errors up to this are usual.

    Example:
        >>> claims("tabular_classification", {"p:yes": 0.95, "p:no": 0.05, "pred": "yes"}, {"class": "no"})
        [Claim(kind='answers', contradicted=True), Claim(kind='answers yes', contradicted=True)]
        >>> claims("object_detection", {"p:bed": 0.02, "p:tv": 0.5}, {"classes": ["bed"]})
        [Claim(kind='answers no bed', contradicted=True)]
    """
    if "value" in truth:
        said = answer.get("pred")
        return [] if said is None else [Claim(_VALUES, abs(float(said) - float(truth["value"])) > usual)]
    p = {name.removeprefix("p:"): float(value) for name, value in answer.items() if name.startswith("p:")}
    if not p:
        return []
    if "class" in truth:
        best = max(p, key=lambda name: p[name])
        kinds = (_ANSWERS, f"{_ANSWERS} {best}") if p[best] >= CONFIDENT else ()
        return [Claim(kind, best != truth["class"]) for kind in kinds]
    shown = set(truth["classes"])
    sure = [Claim(f"answers {name}", name not in shown) for name, value in p.items() if value >= CONFIDENT]
    return sure + [Claim(f"answers no {name}", name in shown) for name, value in p.items() if value <= 1 - CONFIDENT]


def _contradicting(
    examples: pd.DataFrame, new: Sequence[int], groups: Sequence[_Group], known: Known, trust: Trust
) -> Iterator[Doubt]:
    usual = _usual_error(known.reference)
    answers, truths = examples["answer"].tolist(), examples["truth"].tolist()
    said = {i: claims(known.task, json.loads(answers[i]), json.loads(truths[i]), usual) for i in new}
    before = _tally(one for row in _reference_claims(known, usual) for one in row)
    at = examples["predicted_at"].tolist()
    for group in (*groups, *_bursts(examples, groups, trust)):
        mine = {
            kind: counts
            for kind, counts in sorted(_tally(one for i in group.rows for one in said[i]).items())
            if counts[1] >= trust.least and _share(counts) > _share(before.get(kind, (0, 0))) + trust.contradicting
        }
        if not mine:
            continue
        first, last = min(at[i] for i in group.rows), max(at[i] for i in group.rows)
        inside = set(group.rows)
        others = _tally(one for i in new if i not in inside and first <= at[i] <= last for one in said[i])
        for kind, (against, count) in mine.items():
            usual_share = _share(before.get(kind, (0, 0)))
            beside = others.get(kind, (0, 0))
            alone = beside[1] < trust.least
            base = max(usual_share, 0.0 if alone else _share(beside))
            surely = lower_bound(against, count)
            if alone:
                doubted = surely > base + max(_LONE, trust.contradicting)
            else:
                doubted = surely > base and against / count > base + trust.contradicting
            if not doubted:
                continue
            compared = (
                "there are no others of that time to compare with"
                if alone
                else f"{beside[0]} of {beside[1]} are by other labels of that time"
            )
            rows = [i for i in group.rows if any(one.kind == kind and one.contradicted for one in said[i])]
            yield Doubt(
                group.source,
                f"{group.name} contradict {against} of {count} {_answers(kind)}, where {usual_share:.0%} are wrong on"
                f" the test set, and {compared}: {_named(examples, rows)}",
                tuple(group.rows),
            )
            break


def _answers(kind: str) -> str:
    if kind == _VALUES:
        return "answers by more than a usual error"
    said = kind.removeprefix(_ANSWERS).strip()
    return f"confident answers {said!r}" if said else "confident answers"


def _bursts(examples: pd.DataFrame, groups: Sequence[_Group], trust: Trust) -> Iterator[_Group]:
    """What one source said within one hour by the clock, where it said as much at other times too."""
    labelled = examples["labelled_at"].tolist()
    for group in groups:
        hours: dict[str, list[int]] = {}
        for i in group.rows:
            hours.setdefault(labelled[i][:13], []).append(i)
        for hour, rows in sorted(hours.items()):
            if len(hours) > 1 and len(rows) >= trust.least:
                yield _Group(group.source, f"{group.name} of {hour.replace('T', ' ')} h", rows)


def _reference_claims(known: Known, usual: float) -> Iterator[list[Claim]]:
    for record in known.reference.to_dict("records"):
        answer = {str(k): v for k, v in record.items() if str(k).startswith("p:") or k == "pred"}
        shown = [str(k).removeprefix("true:") for k, v in record.items() if str(k).startswith("true:") and v == 1]
        if any(str(k).startswith("true:") for k in record):
            truth: dict[str, Any] = {"classes": shown}
        elif "true" in record:
            truth = {"value": record["true"]} if known.task == "tabular_regression" else {"class": str(record["true"])}
        else:
            continue
        yield claims(known.task, answer, truth, usual)


def _usual_error(reference: pd.DataFrame) -> float:
    """Regression: what 99 of 100 errors on the test set do not exceed."""
    if "true" not in reference or reference["true"].dtype == object or not len(reference):
        return math.inf
    try:
        errors = (reference["pred"].astype("float64") - reference["true"].astype("float64")).abs()
    except (TypeError, ValueError):
        return math.inf
    return float(errors.quantile(0.99))


def _tally(found: Any) -> dict[str, tuple[int, int]]:
    """By kind, how many are contradicted, and how many there are."""
    counts: dict[str, list[int]] = {}
    for kind, contradicted in found:
        one = counts.setdefault(kind, [0, 0])
        one[0] += contradicted
        one[1] += 1
    return {kind: (one[0], one[1]) for kind, one in counts.items()}


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else 0.0


def lower_bound(hits: int, count: int) -> float:
    """Lower end of the one-sided 99.9 % interval of a share (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).

    Example:
        >>> lower_bound(0, 20), round(lower_bound(20, 20), 3)
        (0.0, 0.677)
    """
    if not count:
        return 0.0
    p, z2 = hits / count, _Z * _Z
    middle = p + z2 / (2 * count)
    spread = _Z * math.sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    return max(0.0, (middle - spread) / (1 + z2 / count))


def _wrong_on_known(examples: pd.DataFrame, groups: Sequence[_Group], known: Known, trust: Trust) -> Iterator[Doubt]:
    """Labels of photos that are in the data before."""
    if not known.photos or "photo_sha256" not in examples:
        return
    shas, truths = examples["photo_sha256"].tolist(), examples["truth"].tolist()
    for group in groups:
        there = [i for i in group.rows if shas[i] in known.photos]
        wrong = [i for i in there if _classes(truths[i]) != known.photos[shas[i]]]
        if len(there) >= _KNOWN_LEAST and len(wrong) > _LONE * len(there):
            yield Doubt(
                group.source,
                f"{group.name} name other classes than the data before on {len(wrong)} of {len(there)} photos that are"
                f" in both: {_named(examples, wrong)}",
                tuple(group.rows),
            )


def _classes(truth: str) -> frozenset[str]:
    said = json.loads(truth)
    return frozenset(said["classes"] if "classes" in said else [said["class"]])


def _floods(examples: pd.DataFrame, new: Sequence[int], groups: Sequence[_Group], trust: Trust) -> Iterator[Doubt]:
    labelled, truths, answers = (examples[name].tolist() for name in ("labelled_at", "truth", "answer"))
    for group in groups:
        rows = sorted(group.rows, key=lambda i: labelled[i])
        times = [datetime.fromisoformat(labelled[i]) for i in rows]
        start = best = 0
        span = (0, 0)
        for end in range(len(rows)):
            while times[end] - times[start] > _HOUR:
                start += 1
            if end - start + 1 > best:
                best, span = end - start + 1, (start, end + 1)
        if best < max(trust.least, trust.flood * len(new)):
            continue
        burst = rows[slice(*span)]
        truth, count = Counter(_what(truths[i]) for i in burst).most_common(1)[0]
        agrees = sum(_answered(json.loads(answers[i]), truths[i]) == truth for i in burst)
        if count >= _SAME * len(burst) and agrees < _AGREES * len(burst):
            yield Doubt(
                group.source,
                f"{group.name} came within an hour, {len(burst)} of {len(new)} new ones, and {count} of them say"
                f" {truth}; the model answered that for {agrees}: {_named(examples, burst)}",
                tuple(group.rows),
            )


def _what(truth: str) -> str:
    """What a label says, without where."""
    said = json.loads(truth)
    if "classes" in said:
        return ", ".join(said["classes"]) or "nothing is shown"
    return str(said["class"] if "class" in said else said["value"])


def _answered(answer: Mapping[str, Any], truth: str) -> str:
    said = json.loads(truth)
    if "classes" in said:
        order = [name.removeprefix("p:") for name in answer if name.startswith("p:")]
        shown = [name for name in order if float(answer[f"p:{name}"]) >= 0.5]
        return ", ".join(shown) or "nothing is shown"
    return str(answer.get("pred"))


def _conflicting(
    examples: pd.DataFrame, rows: Sequence[int], sources: Sequence[str], known: Known, trust: Trust
) -> Iterator[Doubt]:
    """Labels that say other things of the same photo, or of equal rows."""
    if len(rows) < trust.least or known.task == "tabular_regression":
        return
    if "photo_sha256" in examples:
        pairs, usual = _photo_conflicts(examples, rows), 0.0
        what = "photos that are the same, or look it"
    else:
        pairs, usual = _row_conflicts(examples, rows, known.reference)
        what = "rows that are equal"
    involved = sorted({i for pair in pairs for i in pair})
    if len(involved) < _KNOWN_LEAST or lower_bound(len(involved), len(rows)) <= usual + trust.conflicting:
        return
    guilty = _in_all(pairs, sources)
    mine = [i for i in rows if sources[i] == guilty] if guilty is not None else involved
    before = f", where {usual:.0%} do in the data before" if usual else ""
    yield Doubt(
        guilty,
        f"{len(involved)} of {len(rows)} new labels conflict with another of {what}{before}"
        + (f"; {guilty!r} said one of each pair" if guilty else "")
        + f": {_named(examples, involved)}",
        tuple(mine),
    )


def _photo_conflicts(examples: pd.DataFrame, rows: Sequence[int]) -> list[tuple[int, int]]:
    chosen = examples.iloc[list(rows)]
    hashes = [
        (int(one or "0", 16), int(other or "0", 16))
        for one, other in zip(chosen["phash"], chosen["dhash"], strict=True)
    ]
    truths = [_classes(truth) for truth in chosen["truth"]]
    near = near_pairs(np.array(hashes, np.uint64).reshape(-1, 2), _NEAR_BITS).tolist()
    return [(rows[i], rows[j]) for i, j in near if truths[i] != truths[j]]


_NEAR_BITS = 4
"""Photos nearer than those that leakage is about: the very same picture, sent twice."""


def _row_conflicts(
    examples: pd.DataFrame, rows: Sequence[int], reference: pd.DataFrame
) -> tuple[list[tuple[int, int]], float]:
    """Pairs of equal rows with different classes; and the share of such rows in as many rows of the test set."""
    columns = [str(name) for name in examples if str(name).startswith("feature:") and name in reference]
    if not columns:
        return [], 0.0
    chosen = examples.iloc[list(rows)]
    truths = [_what(truth) for truth in chosen["truth"]]
    first: dict[tuple[Any, ...], list[int]] = {}
    for i, values in zip(rows, chosen[columns].astype(str).itertuples(index=False, name=None), strict=True):
        first.setdefault(values, []).append(i)
    said = dict(zip(rows, truths, strict=True))
    pairs = [(same[0], i) for same in first.values() for i in same[1:] if said[i] != said[same[0]]]
    sample = reference.sample(min(len(rows), len(reference)), random_state=0)
    groups = sample.assign(true=sample["true"].astype(str)).groupby([sample[name].astype(str) for name in columns])
    odd = groups["true"].transform("nunique") > 1
    return pairs, float(odd.mean()) if len(sample) else 0.0


def _in_all(pairs: Sequence[tuple[int, int]], sources: Sequence[str]) -> str | None:
    """The one source that is on one side, and on one alone, of nearly all pairs."""
    counts = Counter(
        source for one, other in pairs if sources[one] != sources[other] for source in (sources[one], sources[other])
    )
    if not counts:
        return None
    (source, count), *others = counts.most_common(2)
    clear = not others or count >= 2 * others[0][1]
    return source if clear and count >= _SAME * len(pairs) else None


def _named(examples: pd.DataFrame, rows: Sequence[int]) -> str:
    ids = [str(examples["prediction_id"].iloc[i]) for i in rows[:_SHOWN]]
    return ", ".join(ids) + (" ..." if len(rows) > _SHOWN else "")


def shown_before(folder: Path) -> dict[str, frozenset[str]]:
    """By sha256, the classes that each photo of the data before shows.

    Args:
        folder: Of the champion's `collect` stage.
    """
    import pandas as pd

    if not (folder / "images.parquet").exists():
        return {}
    images = pd.read_parquet(folder / "images.parquet")
    if (folder / "boxes.parquet").exists():
        boxes = pd.read_parquet(folder / "boxes.parquet", columns=["image_id", "class_name"])
        by_image = boxes.groupby("image_id")["class_name"].agg(frozenset)
        shown = [by_image.get(key, frozenset()) for key in images["image_id"]]
    elif "labels" in images:
        shown = [frozenset(() if labels is None else labels) for labels in images["labels"]]
    elif "label" in images:
        shown = [frozenset([label]) for label in images["label"]]
    else:
        return {}
    return {sha: found for sha, found in zip(images["sha256"], shown, strict=True) if sha}
