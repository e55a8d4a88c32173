"""Sides of examples, whatever comes: the frozen test is never learnt from, and what belongs together stays together."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.maintenance.sides import BRIDGE, FORGOTTEN, OF_FROZEN, Rule, settle

SIDES = ("train", "validation", "test")


def base(count: int, *, listings: int) -> pd.DataFrame:
    """Rows of listings, each on one side."""
    of = [i % listings for i in range(count)]
    was = [SIDES[listing % 3] for listing in of]
    return pd.DataFrame({"key": [f"b{i}" for i in range(count)], "was": was, "rank": [float(i) for i in range(count)]})


def examples(drawn: list[tuple[int, bool, str]]) -> pd.DataFrame:
    """Examples of listings, of which those below 6 are in the base as well: (listing, fresh, side before)."""
    rows: list[dict[str, Any]] = []
    for i, (listing, fresh, before) in enumerate(drawn):
        linked = frozenset({SIDES[listing % 3]}) if listing < 6 else frozenset()
        rows.append(
            {"key": f"n{i}", "unit": f"L{listing}", "fresh": fresh, "linked": linked}
            | {"before": "" if fresh else before}
        )
    return pd.DataFrame(rows)


drawn = st.lists(
    st.tuples(st.integers(0, 25), st.booleans(), st.sampled_from(["train", "validation", "test", "none"])),
    min_size=1,
    max_size=80,
)


@settings(max_examples=60)
@given(
    drawn,
    st.floats(0.05, 0.9),
    st.booleans(),
    st.one_of(st.none(), st.integers(2, 60)),
    st.one_of(st.none(), st.integers(1, 20)),
)
def test_nothing_frozen_is_learnt_from_and_units_stay_whole(
    new: list[tuple[int, bool, str]], window: float, by_time: bool, memory: int | None, most: int | None
) -> None:
    old, fresh = base(30, listings=6), examples(new)
    found = settle(fresh, old, Rule(window, 0.25, by_time, memory, window_most=most))
    assert found["key"].tolist() == [*old["key"], *fresh["key"]]
    side = dict(zip(found["key"], found["split"], strict=True))
    frozen = set(old["key"][old["was"] == "test"])
    assert {key for key in frozen if side[key] != "test"} == set()
    assert set(found["key"][found["part"] == "frozen"]) == frozen
    for key, was in zip(old["key"], old["was"], strict=True):
        assert side[key] in (was, "none" if memory is not None and was != "test" else was)
    units = fresh.assign(side=[side[key] for key in fresh["key"]])
    learnt = units[units["side"] != "none"]
    assert (learnt.groupby("unit")["side"].nunique() == 1).all()
    for listing, rows in learnt.groupby("unit"):
        number = int(str(listing)[1:])
        if number < 6:
            assert set(rows["side"]) == {SIDES[number % 3]}, "new photos of a known listing are where it is"
    held = units[units["side"] == "test"]
    assert held.groupby("unit")["fresh"].any().all(), "only what the champion has not seen is held out"
    assert most is None or len(held) <= most or held["unit"].nunique() == 1
    if memory is not None:
        share = max(1, round(memory * 0.75)) + max(1, round(memory * 0.25))
        assert sum(one in ("train", "validation") for one in side.values()) <= share


def test_the_window_is_the_newest_and_the_next_but_newest_validates() -> None:
    new = examples([(10 + i, True, "") for i in range(20)])
    found = settle(new, base(30, listings=6), Rule(0.25, 0.2, by_time=True)).set_index("key")["split"]
    assert [key for key in found.index if key.startswith("n") and found[key] == "test"] == [
        f"n{i}" for i in range(15, 20)
    ]
    assert [key for key in found.index if key.startswith("n") and found[key] == "validation"] == ["n12", "n13", "n14"]


def test_a_window_that_is_full_takes_nothing_older() -> None:
    """A listing stays together, and what is newer than the window is never learnt from before it."""
    listings = [10, 11, 12, 12, 12, 13, 14, 14]
    new = examples([(listing, True, "") for listing in listings])

    def held(most: int | None) -> list[str]:
        found = settle(new, base(30, listings=6), Rule(0.9, 0.2, window_most=most)).set_index("key")["part"]
        return [str(key) for key in found.index if key.startswith("n") and found[key] == "window"]

    assert held(None) == [f"n{i}" for i in range(1, 8)]
    assert held(3) == ["n5", "n6", "n7"]
    assert held(5) == ["n5", "n6", "n7"], "the listing of three does not fit, and the older ones do not take its place"
    assert held(1) == ["n6", "n7"], "the newest listing is held out whole"


def test_why_some_are_on_no_side() -> None:
    new = examples([(2, True, ""), (10, True, ""), (11, True, ""), *((12 + i, True, "") for i in range(12))])
    new.loc[1, "linked"] = frozenset({"train", "test"})  # type: ignore[call-overload]
    found = settle(new, base(30, listings=6), Rule(0.25, 0.2, memory=1)).set_index("key")
    assert found.loc["n0", ["split", "why"]].tolist() == ["none", OF_FROZEN]
    assert found.loc["n1", ["split", "why"]].tolist() == ["none", BRIDGE]
    assert found.loc["n14", "split"] == "test"
    assert FORGOTTEN in set(found["why"])
