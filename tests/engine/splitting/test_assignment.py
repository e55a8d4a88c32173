"""Splits: reproducible, a group never on two sides, order kept where asked for."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.errors import DataError
from pizzeria.spec.split import Split
from pizzeria.splitting import assign as open_split
from pizzeria.tables import Tables


def assign(tables: Tables, split: Split) -> pd.Series[str]:
    with open_split(tables, split) as found:
        return found.series()


def _images(listings: list[str]) -> Tables:
    ids = [f"i{i}" for i in range(len(listings))]
    return Tables(images=pd.DataFrame({"image_id": ids, "listing_id": listings}))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 30).map(str), min_size=20, max_size=120).filter(lambda x: len(set(x)) >= 6),
    st.integers(0, 9),
)
def test_a_group_is_never_on_two_sides(listings: list[str], seed: int) -> None:
    tables = _images(listings)
    split = Split(group_by="listing_id", seed=seed)
    found = assign(tables, split)
    assert tables.images is not None
    sides = pd.Series(found.to_numpy()).groupby(tables.images["listing_id"].to_numpy()).nunique()
    assert (sides == 1).all()
    assert set(found) == {"train", "validation", "test"}
    shuffled = Tables(images=tables.images.sample(frac=1, random_state=1))
    assert assign(shuffled, split).sort_index().equals(found.sort_index())


def test_order_by_keeps_time() -> None:
    rows = pd.DataFrame({"row_id": [str(i) for i in range(10)], "at": [5, 3, 9, 1, 0, 7, 8, 2, 6, 4]})
    found = assign(Tables(rows=rows), Split(order_by="at", validation=0.2, test=0.2))
    at = rows.set_index("row_id")["at"]
    assert at[found == "train"].max() < at[found == "validation"].min()
    assert at[found == "validation"].max() < at[found == "test"].min()
    assert found.value_counts().to_dict() == {"train": 6, "validation": 2, "test": 2}


def test_what_cannot_be_split_is_said() -> None:
    with pytest.raises(DataError, match="2 values of listing_id cannot be split three ways"):
        assign(_images(["a", "b", "a"]), Split(group_by="listing_id"))
    with pytest.raises(DataError, match="no column 'listing'") as caught:
        assign(_images(["a", "b", "c"]), Split(group_by="listing"))
    assert caught.value.hint == "did you mean listing_id?"
    with pytest.raises(DataError, match="1 rows have no listing_id"):
        assign(_images(["a", "b", "c", None]), Split(group_by="listing_id"))  # type: ignore[list-item]
