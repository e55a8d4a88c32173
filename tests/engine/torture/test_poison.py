"""The trial of poisoned labels sees a worse model that takes over, and a decision that nobody wrote down."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pizzeria.labels.served import open_served
from pizzeria.maintenance import challenge, collecting
from pizzeria.maintenance.comparison import Outcome
from pizzeria.maintenance.decided import Decision
from pizzeria.maintenance.poison import Doubted
from pizzeria.torture import poison
from pizzeria.torture.poisoning.floods import VARIED, Flood
from pizzeria.torture.poisoning.shop import Shop, draw, open_shop
from pizzeria.torture.trial import Tally


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return open_shop(tmp_path_factory.mktemp("poison") / "shop", rows=400)


def tried(shop: Shop, flood: Flood, share: float) -> Tally:
    tally = Tally()
    poison._try(flood, share, shop, draw(500, random.Random(9)), random.Random(8), tally)
    return tally


def test_a_check_that_is_switched_off_is_seen(opened: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "judge", lambda *_: Doubted())
    monkeypatch.setattr(challenge, "decide", lambda *_, **__: Outcome(True, "why not"))
    tally = tried(opened.copy(tmp_path / "shop"), VARIED[3], 0.7)
    [broken] = tally.broken
    assert "70% of labels that turn one kind of rows over: a model that is worse by" in broken
    assert broken.endswith("took over: why not")


def test_a_decision_that_is_not_recorded_is_seen(opened: Shop) -> None:
    said = poison._problem(Decision("refused", "it is worse", {}), opened, opened.sha256(), 0.0)
    assert said == "the decision refused is not in the ledger with its reason"


def test_floods_are_what_they_say(opened: Shop, tmp_path: Path) -> None:
    shop, chance = opened.copy(tmp_path / "shop"), random.Random(1)
    truths = Flood("trickled", days=20, source="m{}", strangers=5, times=2).pour(shop, 0.5, 40, chance)
    assert len(truths) == 80
    served = open_served("shop", shop.store)
    plugin, options, folder = served.log
    labels = plugin.labels(options, folder)
    by_staff = [one for one in labels if one.source == "staff"]
    theirs = [one for one in labels if one.source.startswith("feedback: m")]
    strangers = [one for one in labels if one.source == "feedback"]
    assert [len(by_staff), len(theirs), len(strangers)] == [40, 40, 5]
    assert all(one.says()["class"] == truths[one.name] for one in by_staff)
    assert all(one.says()["class"] != truths[one.name] for one in theirs)
    assert not {one.name for one in strangers} & set(truths)
    assert min(one.at for one in theirs)[:10] < max(one.at for one in theirs)[:10]
