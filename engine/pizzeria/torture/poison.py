"""Poisoned traffic: floods of bad labels through the serving contract, while maintenance trains and promotes."""
from __future__ import annotations

import importlib.util
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pizzeria.maintenance.decisions import Decision
from pizzeria.torture.bench import Bench
from pizzeria.torture.poisoning.floods import SINGLE, VARIED, Flood
from pizzeria.torture.poisoning.shop import Row, Shop, draw, open_shop, quality
from pizzeria.torture.trial import Tally

PROMISE = "A flood of bad labels cannot replace the champion by a worse one, and honest labels still work after it"
_SHARES = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)
_FEW_SHARES = (0.3, 0.9)
_HONEST = 200
_MAY_LOSE = 0.02
"""AUROC, on rows whose truth nobody has touched: what the spec allows by `maintenance.compare.no_worse_by`."""


def run(bench: Bench, tally: Tally) -> None:
    if importlib.util.find_spec("lightgbm") is None:
        tally.leave_out("poisoned labels", "pip install 'pizzeria[lightgbm]'")
        return
    shop = open_shop(bench.folder / "shop")
    clean = draw(1000 if bench.short else 4000, bench.random)
    for number, (flood, share) in enumerate(_tries(bench.short)):
        bench.say(f"{share:.0%} of labels {flood.how}")
        mine = shop.copy(bench.folder / f"try-{number}")
        _try(flood, share, mine, clean, random.Random(f"{bench.random.random()}"), tally)
        with suppress(OSError):
            shutil.rmtree(mine.folder)


def _tries(short: bool) -> Iterator[tuple[Flood, float]]:
    if short:
        yield from ((VARIED[0], 0.5), (VARIED[4], 0.3))
        return
    yield from ((flood, share) for flood in VARIED for share in _SHARES)
    yield from ((flood, share) for flood in SINGLE for share in _FEW_SHARES)


def _try(flood: Flood, share: float, shop: Shop, clean: list[Row], chance: random.Random, tally: Tally) -> None:
    what = f"{share:.0%} of labels {flood.how}"
    before, had = shop.sha256(), quality(shop.predictor(), clean)
    truths = flood.pour(shop, share, _HONEST, chance)
    decision = shop.maintain()
    has = quality(shop.predictor(), clean)
    tally.note(what, _problem(decision, shop, before, had - has))
    tally.figures.setdefault(f"labels {flood.how}", {})[f"{share:.0%}"] = _outcome(decision, has - had)
    if decision.action == "promoted":
        return
    # The staff says what is right, and sees more.
    shop.tell(truths)
    rows = draw(_HONEST, chance)
    shop.tell(dict(zip(shop.ask(rows), (row["answer"] for row in rows), strict=True)))
    shop.at += timedelta(hours=1)
    after = shop.maintain()
    lost = had - quality(shop.predictor(), clean)
    compared = after.action in ("promoted", "refused") and "doubts" not in after.evidence
    problem = "" if compared else f"{after.action}: {after.why}"
    if lost > _MAY_LOSE:
        problem = f"the champion is worse by {lost:.3f}"
    tally.note(f"honest labels after {what}", problem)


def _problem(decision: Decision, shop: Shop, before: str, lost: float) -> str:
    entered: dict[str, Any] = shop.decided()[-1] if shop.decided() else {}
    if entered.get("action") != decision.action or not entered.get("why"):
        return f"the decision {decision.action} is not in the ledger with its reason"
    if shop.sha256() != before and lost > _MAY_LOSE:
        return f"a model that is worse by {lost:.3f} took over: {decision.why}"
    return ""


def _outcome(decision: Decision, gain: float) -> str:
    """What came of it, in a word and a figure."""
    if decision.action == "promoted":
        return f"learnt from, {gain:+.3f}"
    if "doubts" in decision.evidence:
        return "not believed"
    return "compared, refused" if decision.action == "refused" else decision.action
