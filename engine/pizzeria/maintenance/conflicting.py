"""Labels that cannot all be right: of photos whose truth is known, of the same thing twice, or all alike at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.maintenance.contradicting import lower_bound
from pizzeria.maintenance.doubts import Doubt, Group, Known, classes_of, named, what_of
from pizzeria.similarity import near_pairs
from pizzeria.spec.maintenance import Trust

if TYPE_CHECKING:
    import pandas as pd

_HOUR = timedelta(hours=1)
_SAME = 0.95
"""Nearly all."""
_AGREES = 0.5
_LEAST = 5
"""Photos or labels, below which nothing is said of them."""
_WRONG = 0.5
_NEAR_BITS = 4
"""Photos nearer than those that leakage is about: the very same picture, sent twice."""


def wrong_on_known(examples: pd.DataFrame, groups: Sequence[Group], known: Known, trust: Trust) -> Iterator[Doubt]:
    """Labels of photos that are in the data before."""
    if not known.photos or "photo_sha256" not in examples:
        return
    shas, truths = examples["photo_sha256"].tolist(), examples["truth"].tolist()
    for group in groups:
        there = [i for i in group.rows if shas[i] in known.photos]
        wrong = [i for i in there if classes_of(truths[i]) != known.photos[shas[i]]]
        if len(there) >= _LEAST and len(wrong) > _WRONG * len(there):
            yield Doubt(
                group.source,
                f"{group.name} name other classes than the data before on {len(wrong)} of {len(there)} photos that are"
                f" in both: {named(examples, wrong)}",
                tuple(group.rows),
            )


def floods(examples: pd.DataFrame, new: Sequence[int], groups: Sequence[Group], trust: Trust) -> Iterator[Doubt]:
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
        truth, count = Counter(what_of(truths[i]) for i in burst).most_common(1)[0]
        agrees = sum(_answered(json.loads(answers[i]), truths[i]) == truth for i in burst)
        if count >= _SAME * len(burst) and agrees < _AGREES * len(burst):
            yield Doubt(
                group.source,
                f"{group.name} came within an hour, {len(burst)} of {len(new)} new ones, and {count} of them say"
                f" {truth}; the model answered that for {agrees}: {named(examples, burst)}",
                tuple(group.rows),
            )


def _answered(answer: Mapping[str, Any], truth: str) -> str:
    said = json.loads(truth)
    if "classes" in said:
        order = [name.removeprefix("p:") for name in answer if name.startswith("p:")]
        shown = [name for name in order if float(answer[f"p:{name}"]) >= 0.5]
        return ", ".join(shown) or "nothing is shown"
    return str(answer.get("pred"))


def conflicting(
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
    if len(involved) < _LEAST or lower_bound(len(involved), len(rows)) <= usual + trust.conflicting:
        return
    guilty = _in_all(pairs, sources)
    mine = [i for i in rows if sources[i] == guilty] if guilty is not None else involved
    before = f", where {usual:.0%} do in the data before" if usual else ""
    yield Doubt(
        guilty,
        f"{len(involved)} of {len(rows)} new labels conflict with another of {what}{before}"
        + (f"; {guilty!r} said one of each pair" if guilty else "")
        + f": {named(examples, involved)}",
        tuple(mine),
    )


def _photo_conflicts(examples: pd.DataFrame, rows: Sequence[int]) -> list[tuple[int, int]]:
    chosen = examples.iloc[list(rows)]
    hashes = [
        (int(one or "0", 16), int(other or "0", 16))
        for one, other in zip(chosen["phash"], chosen["dhash"], strict=True)
    ]
    truths = [classes_of(truth) for truth in chosen["truth"]]
    near = near_pairs(np.array(hashes, np.uint64).reshape(-1, 2), _NEAR_BITS).tolist()
    return [(rows[i], rows[j]) for i, j in near if truths[i] != truths[j]]


def _row_conflicts(
    examples: pd.DataFrame, rows: Sequence[int], reference: pd.DataFrame
) -> tuple[list[tuple[int, int]], float]:
    """Pairs of equal rows with different classes; and the share of such rows in as many rows of the test set."""
    columns = [str(name) for name in examples if str(name).startswith("feature:") and name in reference]
    if not columns:
        return [], 0.0
    chosen = examples.iloc[list(rows)]
    truths = [what_of(truth) for truth in chosen["truth"]]
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
