"""Poisoned traffic: floods of bad labels through the serving contract, while maintenance trains and promotes."""

from __future__ import annotations

import importlib.util
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pizzeria.clock import utcnow
from pizzeria.maintenance.decisions import Decision
from pizzeria.torture.bench import Bench
from pizzeria.torture.poisoning.floods import OPPOSITE, SINGLE, TURNED, UNSURE, VARIED, Flood, flipped
from pizzeria.torture.poisoning.service import served
from pizzeria.torture.poisoning.shop import INPUTS, STAFF, Row, Shop, draw, open_shop, quality
from pizzeria.torture.trial import Tally

PROMISE = "A flood of bad labels cannot replace the champion by a worse one, and honest labels still work after it"
_SHARES = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)
_FEW_SHARES = (0.3, 0.9)
_HONEST = 200
_LITTLE = 120
"""Rows that a model has learnt too little from."""
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
    if not bench.short:
        _hungry(bench, clean, tally)
        _at_length(bench, shop, clean, tally)


def _tries(short: bool) -> Iterator[tuple[Flood, float]]:
    if short:
        yield from ((OPPOSITE, 0.5), (UNSURE, 0.3))
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


def _hungry(bench: Bench, clean: list[Row], tally: Tally) -> None:
    """A champion that has learnt from so little that the labels of the staff alone make a better one: how much poison
    do they carry with them?"""
    shop = open_shop(bench.folder / "hungry", rows=_LITTLE)
    tries = [(OPPOSITE, 0.0), *((flood, share) for flood in (OPPOSITE, UNSURE) for share in _SHARES)]
    for number, (flood, share) in enumerate(tries):
        what = f"{share:.0%} of labels {flood.how}, of a model that has much to learn"
        bench.say(what)
        mine = shop.copy(bench.folder / f"hungry-{number}")
        before, had = mine.sha256(), quality(mine.predictor(), clean)
        flood.pour(mine, share, 2 * _HONEST, random.Random(number))
        decision = mine.maintain()
        gain = quality(mine.predictor(), clean) - had
        problem = _problem(decision, mine, before, -gain)
        if not share and decision.action != "promoted":
            problem = f"nothing but honest labels, and no new model: {decision.why}"
        tally.note(what, problem)
        figures = tally.figures.setdefault(f"labels {flood.how}, of a model that has much to learn", {})
        figures[f"{share:.0%}"] = _outcome(decision, gain)


def _at_length(bench: Bench, shop: Shop, clean: list[Row], tally: Tally) -> None:
    """What takes a monitor, or a service."""
    if importlib.util.find_spec("nannyml") is None:
        tally.leave_out("labels that say that the world has turned over", "pip install 'pizzeria[monitor]'")
    else:
        for doubting in (True, False):
            bench.say(f"the world turned over by labels, {'doubted' if doubting else 'doubted by nobody'}")
            _turn_over(shop.copy(bench.folder / f"turned-{doubting}"), clean, bench.random, tally, doubting=doubting)
    if importlib.util.find_spec("bentoml") is None:
        tally.leave_out("labels through a running service", "pip install 'pizzeria[serve]'")
        return
    bench.say("labels through a running service")
    _through_a_service(shop.copy(bench.folder / "served"), clean, bench.random, tally)


def _turn_over(shop: Shop, clean: list[Row], chance: random.Random, tally: Tally, *, doubting: bool) -> None:
    """Lies that a model can learn, so many that monitoring finds that inputs mean something else by now: then the
    frozen test set, which would speak against them, is no veto.

    Args:
        doubting: Whether the labels themselves may be doubted before.
    """
    what = f"90% of labels {TURNED.how}, an alert is open{'' if doubting else ', nobody doubts them'}"
    trust = {} if doubting else {"contradicting": 0.99, "conflicting": 0.99, "flood": 1.0}
    shop.settings(retrain_on=["concept"], retrain_every=None, trust=trust)
    before, had = shop.sha256(), quality(shop.predictor(), clean)
    TURNED.pour(shop, 0.9, 60, chance)
    opened = shop.watch()
    decision = shop.maintain()
    tally.figures[what] = f"{_outcome(decision, 0.0)} (open: {', '.join(opened)})"
    if "concept" not in opened:
        tally.leave_out(what, "monitoring opened no alert `concept`, so nothing was tried")
        return
    tally.note(what, _problem(decision, shop, before, had - quality(shop.predictor(), clean)))


def _through_a_service(shop: Shop, clean: list[Row], chance: random.Random, tally: Tally) -> None:
    before, had = shop.sha256(), quality(shop.predictor(), clean)
    with served(shop) as service:
        status, _ = service.post("/feedback", {"labels": [{"input_id": "a", "class": "yes"}]}, key=False)
        tally.note("/feedback without a key", "" if status == 401 else f"it answered {status}")
        rows = draw(600, chance)
        _, found = service.post("/predict", {"rows": [{key: row[key] for key in INPUTS} for row in rows]})
        told = dict(zip((one["prediction_id"] for one in found["predictions"]), rows, strict=True))
        names = list(told)
        shop.at = utcnow()
        shop.tell({name: told[name]["answer"] for name in names[:200]})
        lies = [
            {"prediction_id": name, "class": flipped(told[name], 0, chance), "source": STAFF} for name in names[200:]
        ]
        status, _ = service.post("/feedback", {"labels": lies})
        tally.note("400 lies in the name of the staff to /feedback", "" if status == 202 else f"it answered {status}")
        decision = shop.maintain()
        lost = had - quality(shop.predictor(), clean)
        tally.note("67% of labels that say the opposite, through a service", _problem(decision, shop, before, lost))
        tally.figures["the same through a running service"] = _outcome(decision, -lost)


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
