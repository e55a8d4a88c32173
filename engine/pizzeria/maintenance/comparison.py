"""Whether a challenger may replace the champion, by the answers of both to the same rows.

`pizzeria.measuring.paired` computes the difference of the main metric, with its interval.

A challenger takes over when

1. it is not surely worse than allowed, neither on the frozen test set nor on the newest labelled window: not the whole
   interval of its gain lies below `-no_worse_by`; nor, on the frozen test set, is it surely worse at all and likely by
   more than that: the window is what labellers say, who may lie where the model is unsure;
2. it is surely better on at least one of the two: the whole interval lies above 0; being so on the frozen set alone
   counts only where it is not surely worse at all on the window;
3. no class is surely worse than `class_no_worse_by` on either.

Surely better somewhere, because each change of a live model is a risk, and one that brings nothing is not worth it. Not
surely worse, rather than surely not worse, on the other: the frozen set shows the world as it was, of which a model
that follows a changed world may forget a little, and the window is small by its nature. What cannot be computed is
undecided, and does not count as passed.

While the monitor says that inputs mean something else than they did (an incident `concept` of the champion is open),
the frozen set is evidence and no veto: there a model that has learnt what is true now must do worse. Then the window
decides alone, and the challenger must be surely better on it.

The margin of a score from 0 to 1 is absolute; that of an error (mae, log_loss) is a share of the champion's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pizzeria.measuring.paired import Compared, Difference
from pizzeria.spec.maintenance import Comparison
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task


@dataclass(frozen=True)
class Outcome:
    """Whether the challenger may take over: True, False, or None where it cannot be told."""

    passed: bool | None
    why: str


def decide(
    rule: Comparison, problem: Problem, sets: Mapping[str, Compared], *, meaning_changed: bool = False
) -> Outcome:
    """The rule of this module.

    Args:
        sets: What was compared, by name: `frozen`, `window`, or one of them.
        meaning_changed: Whether an incident `concept` of the champion is open: then the window decides alone.
    """
    if not sets:
        return Outcome(None, "there is nothing to compare on")
    if meaning_changed:
        if "window" not in sets:
            return Outcome(
                None, "inputs mean something else than they did, and there are no newest labels to decide on"
            )
        found = decide(rule, problem, {"window": sets["window"]})
        frozen = sets.get("frozen")
        if frozen is None or found.passed is None:
            return found
        beside = frozen.undecided or _text("frozen", frozen)
        return Outcome(found.passed, f"{found.why}; no veto, since inputs mean something else by now: {beside}")
    for name, one in sets.items():
        if one.undecided:
            return Outcome(None, f"on the {_NAMED.get(name, name)}: {one.undecided}")
    texts = [_text(name, one) for name, one in sets.items()]
    for name, one in sets.items():
        if surely_worse(one.main, rule.no_worse_by, problem):
            return Outcome(False, f"it is surely worse on the {_NAMED.get(name, name)}: {_text(name, one)}")
        for part in one.classes:
            if surely_worse(part, rule.class_no_worse_by, problem):
                where = f"on the {_NAMED.get(name, name)}"
                return Outcome(False, f"a class is surely worse {where}: {_figures(part)}; {'; '.join(texts)}")
    if not any(one.main.low > 0 for one in sets.values()):
        return Outcome(False, f"it is not surely better: {'; '.join(texts)}")
    past = sets["frozen"].main if "frozen" in sets else None
    if past is not None and surely_worse(past, 0.0, problem) and past.gain < -_scaled(past, rule.no_worse_by, problem):
        where = "on the frozen test set it is surely worse, and likely by more than allowed"
        return Outcome(False, f"{where}: {'; '.join(texts)}")
    if "window" in sets and surely_worse(sets["window"].main, 0.0, problem):
        return Outcome(False, f"it is better on what was, and not on what is: {'; '.join(texts)}")
    return Outcome(True, "; ".join(texts))


_NAMED = {"frozen": "frozen test set", "window": "newest labels"}


def speaks_against(one: Compared, rule: Comparison, problem: Problem) -> bool:
    """Whether a set says that the challenger is worse than it may be, as a whole or for a class; or says nothing."""
    if one.undecided or surely_worse(one.main, rule.no_worse_by, problem):
        return True
    return any(surely_worse(part, rule.class_no_worse_by, problem) for part in one.classes)


def surely_worse(one: Difference, margin: float, problem: Problem) -> bool:
    """Whether the whole interval lies deeper than the margin; a share of the champion's figure where it is an error."""
    return one.high < -_scaled(one, margin, problem)


def _scaled(one: Difference, margin: float, problem: Problem) -> float:
    lower = task(problem.task).METRICS.get(one.subject.split(" of ")[0])
    return margin * abs(one.champion) if lower is not None and lower.better == "lower" else margin


def _text(name: str, one: Compared) -> str:
    draws = f", by {one.resamples} of {one.asked} draws: time was up" if one.resamples < one.asked else ""
    return f"{_figures(one.main)} on {one.rows} rows of the {_NAMED.get(name, name)}{draws}"


def _figures(one: Difference) -> str:
    figures = f"{one.champion:.4g} of the champion, {one.challenger:.4g} of the challenger"
    return f"{one.subject} {figures} (gain {one.gain:+.3g}, {one.low:+.3g} to {one.high:+.3g})"
