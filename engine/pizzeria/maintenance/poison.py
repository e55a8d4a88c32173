"""Whether new labels can be believed.

Labels that contradict the model are no proof against them: that is what honest drift looks like as well. So a source of
labels is never judged by its disagreement alone, but by how much *more* it contradicts confident answers than

- other sources' labels of predictions made in the same time, which see the same drift,
- and the test set, where the truth is known.

The same is asked of what one source said within an hour, against all other labels of that time. Where there is nothing
to compare a source with, its labels are doubted when more than half of the confident answers are contradicted on inputs
like those of the test set: classes that were mixed up and a world that turned over look the same then, and a person
must say which it is (`maintenance.trust.trusted`). Besides, labels are doubted that contradict each other on the same
photo or row, that get photos wrong whose truth is known, and that say the same of everything within an hour, against
the model's answers.

A source that lies now and then, or only where the model is unsure, is not found by any of this; the comparison of the
challenger with the champion on the frozen test set is what stands behind it. Sources with few labels are judged
together, so that many names do not help.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pizzeria.errors import PoisonError
from pizzeria.maintenance.conflicting import conflicting, floods, wrong_on_known
from pizzeria.maintenance.contradicting import contradicting
from pizzeria.maintenance.doubts import Doubt, Group, Known
from pizzeria.spec.maintenance import Trust

if TYPE_CHECKING:
    import pandas as pd

_FEW = "(sources with few labels)"


@dataclass(frozen=True)
class Doubted:
    """What is left out of a version: the rows, and what was seen."""

    rows: frozenset[int] = frozenset()
    texts: tuple[str, ...] = ()


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
        sources = sorted({doubt.source for doubt in doubts if doubt.source is not None and doubt.source != _FEW})
        believe = (
            f"maintenance.trust.trusted: {json.dumps(sources)}" if sources else "higher limits in maintenance.trust"
        )
        apart = "; leave them out with maintenance.trust.on_doubt: leave_out" if sources else ""
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
        *contradicting(examples, new, groups, known, trust),
        *wrong_on_known(examples, groups, known, trust),
        *floods(examples, new, groups, trust),
    ):
        if not doubted.issuperset(doubt.rows):  # one reason is enough
            doubted |= set(doubt.rows)
            yield doubt
    rest = [i for i in new if i not in doubted and sources[i] not in trust.trusted]
    yield from conflicting(examples, rest, sources, known, trust)


def _groups(new: Sequence[int], sources: Sequence[str], trust: Trust) -> list[Group]:
    """Labels by source; the sources with few labels together."""
    counts = Counter(sources[i] for i in new)
    found: dict[str, Group] = {}
    for i in new:
        if sources[i] in trust.trusted:
            continue
        source = sources[i] if counts[sources[i]] >= trust.least else _FEW
        found.setdefault(source, Group(source, f"labels of {source or 'an unnamed source'!r}")).rows.append(i)
    return list(found.values())
