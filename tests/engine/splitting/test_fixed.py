"""Sides that were settled before stay: whatever comes, what was the test is never learnt from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.errors import DataError
from pizzeria.spec.split import Split
from pizzeria.splitting import assign as open_split
from pizzeria.splitting.content import contents
from pizzeria.tables import Tables

listings = st.lists(st.integers(0, 15).map(lambda i: f"L{i}"), min_size=20, max_size=60).filter(
    lambda found: len(set(found)) >= 6
)


def assign(tables: Tables, split: Split) -> tuple[pd.Series[str], dict[str, int]]:
    with open_split(tables, split, distance=8) as found:
        return found.series(), found.left_out


def photos(listings: list[str | None], prefix: str = "i") -> pd.DataFrame:
    return pd.DataFrame({"image_id": [f"{prefix}{i}" for i in range(len(listings))], "listing_id": listings})


def settled(file: Path, sides: dict[str, str]) -> Path:
    pd.DataFrame({"key": list(sides), "split": list(sides.values())}).to_parquet(file)
    return file


@settings(max_examples=8)
@given(listings, st.lists(st.integers(0, 40).map(lambda i: f"L{i}"), max_size=40))
def test_nothing_of_the_test_is_ever_learnt_from(tmp_path: Path, first: list[str], later: list[str]) -> None:
    split = Split(group_by="listing_id", validation=0.2, test=0.2)
    before, _ = assign(Tables(images=photos(first)), split)
    file = settled(tmp_path / "sides.parquet", before.to_dict())
    together = pd.concat([photos(later, "new"), photos(first)], ignore_index=True)
    found, left_out = assign(
        Tables(images=together), Split(group_by="listing_id", fixed=file, rest="learn", validation=0.2, test=0.2)
    )
    assert found[before.index].to_dict() == before.to_dict()
    listing_of = together.set_index("image_id")["listing_id"]
    sides = found.groupby(listing_of[found.index]).nunique()
    assert (sides == 1).all(), "a listing stays on one side, also with its new photos"
    assert not found[[key for key in found.index if key.startswith("new")]].eq("test").any()
    assert len(found) + sum(left_out.values()) == len(together)


def test_rows_by_time_stay_and_the_rest_is_left_out_or_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"row_id": [f"r{i}" for i in range(40)], "at": range(40)})
    before, _ = assign(Tables(rows=rows), Split(order_by="at"))
    file = settled(tmp_path / "sides.parquet", before.to_dict() | {"r0": "none", "never there": "none"})
    more = pd.concat([rows, pd.DataFrame({"row_id": ["n0", "n1"], "at": [None, 3]})], ignore_index=True)
    found, left_out = assign(Tables(rows=more), Split(order_by="at", fixed=file, rest="leave_out"))
    assert found.to_dict() == before.drop("r0").to_dict()
    assert left_out == {"not listed": 2, "on no side by data.split.fixed": 1}
    with pytest.raises(DataError, match=r"says nothing of 2 rows: n0, n1"):
        assign(Tables(rows=more), Split(fixed=file))


def test_what_is_gone_or_odd_is_named(tmp_path: Path) -> None:
    tables = Tables(images=photos(["L1", "L1", "L2", None]))
    sides = {"i0": "train", "i1": "train", "i2": "validation", "i3": "test"}

    def refused(changes: dict[str, str], match: str) -> None:
        file = settled(tmp_path / "sides.parquet", sides | changes)
        with pytest.raises(DataError, match=match):
            assign(tables, Split(group_by="listing_id", fixed=file))

    refused({"i8": "train", "i9": "test"}, r"1 rows of test are gone from the data: i9")
    refused({"i1": "test"}, r"puts one listing_id on two sides: L1")
    refused({"i1": "dev"}, r"says 'dev', which is no side")
    with pytest.raises(DataError, match=r"there is no .*nowhere"):
        assign(tables, Split(fixed=tmp_path / "nowhere.parquet"))
    (tmp_path / "no.parquet").write_text("key,split")
    with pytest.raises(DataError, match="is no Parquet file"):
        assign(tables, Split(fixed=tmp_path / "no.parquet"))
    pd.DataFrame({"key": ["i0"], "side": ["train"]}).to_parquet(tmp_path / "no.parquet")
    with pytest.raises(DataError, match="has no column 'split'"):
        assign(tables, Split(fixed=tmp_path / "no.parquet"))
    file = settled(tmp_path / "sides.parquet", sides)
    twice = pd.concat([pd.read_parquet(file)] * 2)
    twice.to_parquet(file)
    with pytest.raises(DataError, match="names a row twice: i0, i1"):
        assign(tables, Split(fixed=file))


def test_rows_that_became_others_are_told(tmp_path: Path) -> None:
    """Numbers are no names: a row that is put in before the others would make each of them another one."""
    rows = pd.DataFrame({"row_id": [str(i) for i in range(40)], "n": range(40), "word": list("abcd") * 10})
    rows["at"] = pd.date_range("2026-01-01", periods=40)
    rows.to_parquet(tmp_path / "rows.parquet")
    sides = {str(i): "train" if i < 20 else "validation" if i < 30 else "test" for i in range(40)}
    file = settled(tmp_path / "sides.parquet", sides)
    held = contents(tmp_path / "rows.parquet", [str(i) for i in range(30, 40)])
    found = pd.read_parquet(file)
    found.assign(content=[held.get(key) for key in found["key"]]).to_parquet(file)
    joined = rows.assign(n=rows["n"].astype(float), source="table")
    assert assign(Tables(rows=joined), Split(fixed=file))[0].to_dict() == sides
    shifted = rows.assign(n=[99, *range(39)])
    with pytest.raises(DataError, match=r"10 of 10 test rows hold other values .*: 30, 31, 32, 33, 34 \.\.\."):
        assign(Tables(rows=shifted), Split(fixed=file))


def test_photos_that_are_left_out_join_no_groups(tmp_path: Path) -> None:
    """A photo that looks like one of train and one of the test would make them one group."""
    images = photos(["L1", "L2", "L3", "L1"]).assign(
        sha256=list("abcd"), phash=["0000000000000000", "00000000000000ff", "ffff000000000000", "000000000000000f"]
    )
    images["dhash"] = images["phash"]
    split = {"i0": "train", "i1": "test", "i2": "validation", "i3": "none"}
    file = settled(tmp_path / "sides.parquet", split)
    wanted = Split(group_by="listing_id", group_near_duplicates=True, fixed=file)
    with open_split(Tables(images=images), wanted, distance=4) as found:
        assert found.series().to_dict() == {"i0": "train", "i1": "test", "i2": "validation"}
    settled(file, split | {"i3": "train"})
    with (
        pytest.raises(DataError, match="one group of photos on two sides"),
        open_split(Tables(images=images), wanted, distance=4),
    ):
        pass
