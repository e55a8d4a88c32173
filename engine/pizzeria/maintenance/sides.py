"""Who of new and old examples is learnt from, and who is held out, so that a test row is never learnt from.

- A row of the champion's data stays where it was: test rows are the *frozen* test of every challenger.
- Of the examples that the champion has not seen, the newest are the *window*: test rows, too.
- All other examples are for train or validation. Those of an earlier window are learnt from once they are no longer the
  newest: the models that they judged are judged no more.
- What belongs together (a listing, photos that look alike) is on one side as a whole. What would join two sides is left
  out, and so is what belongs to the frozen test without being of the window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FROZEN, WINDOW = "frozen", "window"
BRIDGE = "belongs to what is on two sides"
OF_FROZEN = "belongs to what is in the frozen test"
FORGOTTEN = "older than maintenance.memory"
_BITS = 60


@dataclass(frozen=True)
class Rule:
    """What decides the sides.

    Attributes:
        window: Share of the fresh examples that is held out.
        window_most: But no more examples than this: what is held out, no model learns from. A first unit that is
            larger is held out as a whole.
        validation: Share of what is learnt from that is for validation.
        by_time: Validation is the newest of it; otherwise it is by hash.
        memory: Rows of train and validation together; None for all.
        seed: Of the hash.
    """

    window: float
    validation: float
    by_time: bool = False
    memory: int | None = None
    seed: int = 0
    window_most: int | None = None


def settle(examples: pd.DataFrame, base: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The side of each row.

    Args:
        examples: [N] by time, the oldest first: `key`; `unit`, the same for what belongs together; `fresh`, whether the
            champion has not seen it; `before`, the side on which the champion had it, or an empty text; `linked`, the
            sides (a set) of rows of `base` to which it belongs.
        base: [M] `key`; `was`, the side on which the first champion had it; `rank`, the higher the newer.
        rule: See `Rule`.

    Returns:
        [M + N] `key`, `split` (train, validation, test, none), `part` (frozen, window or None, of test rows), `was`
        (empty for examples) and `why` (of examples on no side).
    """
    import pandas as pd

    split, why = _sides(examples, rule)
    old = base["was"].to_numpy(object).copy()
    new = np.array(split, object)
    if rule.memory is not None:
        rank = base["rank"].to_numpy(np.float64)
        for side, share in (("train", 1 - rule.validation), ("validation", rule.validation)):
            _forget(new, old, rank, side, max(1, round(rule.memory * share)))
    why = [FORGOTTEN if side == "none" and not text else text for side, text in zip(new, why, strict=True)]
    return pd.DataFrame(
        {
            "key": [*base["key"], *examples["key"]],
            "split": [*old, *new],
            "part": [
                *(FROZEN if side == "test" else None for side in old),
                *(WINDOW if side == "test" else None for side in new),
            ],
            "was": [*base["was"], *([""] * len(examples))],
            "why": [*([""] * len(base)), *why],
        }
    )


def _sides(examples: pd.DataFrame, rule: Rule) -> tuple[list[str], list[str]]:
    """Side of each example, and why it has none."""
    units: dict[str, list[int]] = {}
    for i, unit in enumerate(examples["unit"].tolist()):
        units.setdefault(unit, []).append(i)
    fresh, before, linked = (examples[name].tolist() for name in ("fresh", "before", "linked"))
    split, why = ["none"] * len(examples), [""] * len(examples)
    free: list[str] = []
    candidates: list[str] = []
    for unit, rows in units.items():
        sides = set().union(*(linked[i] for i in rows)) | {before[i] for i in rows if before[i] in _LEARNT}
        if len(sides) > 1:
            _put(rows, split, why, "none", BRIDGE)
        elif sides & _LEARNT:
            _put(rows, split, why, next(iter(sides)))
        elif sides or all(fresh[i] for i in rows):
            candidates.append(unit)  # of the frozen test, or all new
            if not sides:
                free.append(unit)
        else:
            free.append(unit)
    wanted = max(1, round(rule.window * sum(fresh)))
    most = len(examples) if rule.window_most is None else rule.window_most
    wanted = min(wanted, most)
    held = 0
    for unit in sorted(candidates, key=lambda unit: units[unit][-1], reverse=True):
        rows = units[unit]
        frozen = any(linked[i] for i in rows)
        if held < wanted and any(fresh[i] for i in rows):
            if not held or held + len(rows) <= most:
                _put(rows, split, why, "test")
                held += len(rows)
                continue
            wanted = 0  # it is full: nothing older instead, since the window is the newest
        if frozen:
            _put(rows, split, why, "none", OF_FROZEN)
    left = [unit for unit in free if split[units[unit][0]] == "none"]
    for unit, validates in zip(left, _validation(left, units, rule), strict=True):
        _put(units[unit], split, why, "validation" if validates else "train")
    return split, why


_LEARNT = frozenset({"train", "validation"})


def _put(rows: Sequence[int], split: list[str], why: list[str], side: str, reason: str = "") -> None:
    for i in rows:
        split[i], why[i] = side, reason


def _validation(units: Sequence[str], rows: dict[str, list[int]], rule: Rule) -> list[bool]:
    """Whether each unit is for validation: the newest, or by its hash, where it stays whatever comes later."""
    if not rule.by_time:
        return [_hash(unit, rule.seed) < rule.validation for unit in units]
    wanted = round(rule.validation * sum(len(rows[unit]) for unit in units))
    taken, out = 0, set()
    for unit in sorted(units, key=lambda unit: rows[unit][-1], reverse=True):
        if taken >= wanted:
            break
        out.add(unit)
        taken += len(rows[unit])
    return [unit in out for unit in units]


def _hash(unit: str, seed: int) -> float:
    """From 0 to 1, the same on any machine."""
    return int(hashlib.sha256(f"{seed}:{unit}".encode()).hexdigest()[: _BITS // 4], 16) / (1 << _BITS)


def _forget(
    new: NDArray[np.object_], old: NDArray[np.object_], rank: NDArray[np.float64], side: str, keep: int
) -> None:
    """Leave but so many rows on a side, the newest: examples, the last first, then rows of the base by their rank."""
    mine = np.flatnonzero(new == side)
    new[mine[: max(0, len(mine) - keep)]] = "none"
    room = max(0, keep - len(mine))
    theirs = np.flatnonzero(old == side)
    theirs = theirs[np.argsort(rank[theirs], kind="stable")]
    old[theirs[: max(0, len(theirs) - room)]] = "none"
