"""Splits: reproducible, a group never on two sides, fractions met, classes balanced, order kept where asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pizzeria.errors import DataError
from pizzeria.spec.problem import Problem
from pizzeria.spec.split import Split
from pizzeria.splitting import assign as open_split
from pizzeria.splitting import cutting, row_store
from pizzeria.splitting.iterative import deviation, stratified
from pizzeria.tables import Tables

SIDES = ("train", "validation", "test")
property_test = settings(max_examples=8)


def assign(tables: Tables, split: Split, problem: Problem | None = None, distance: int = 8) -> pd.Series[str]:
    with open_split(tables, split, problem, distance=distance) as found:
        series = found.series()
        assert series.value_counts().to_dict() == found.counts
        return series


def _images(listings: list[str]) -> Tables:
    ids = [f"i{i}" for i in range(len(listings))]
    return Tables(images=pd.DataFrame({"image_id": ids, "listing_id": listings}))


def _shuffled(tables: Tables, seed: int) -> Tables:
    frame = tables.images if tables.images is not None else tables.rows
    assert frame is not None
    mixed = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    return Tables(images=mixed, boxes=tables.boxes) if tables.images is not None else Tables(rows=mixed)


groups = st.lists(st.integers(0, 30).map(str), min_size=20, max_size=120).filter(lambda x: len(set(x)) >= 6)


@property_test
@given(groups, st.integers(0, 9))
def test_a_group_is_on_one_side_and_shares_are_met_to_within_one(listings: list[str], seed: int) -> None:
    tables = _images(listings)
    split = Split(group_by="listing_id", seed=seed, validation=0.2, test=0.3)
    found = assign(tables, split)
    sides = pd.Series(found.to_numpy()).groupby(listings).agg(["nunique", "first", "size"])
    assert (sides["nunique"] == 1).all()
    assert set(found) == set(SIDES)
    largest = sides["size"].max()
    for side, share in (("validation", 0.2), ("test", 0.3)):
        # Each side but train has at least one group, which may be a large one.
        assert abs((found == side).sum() - share * len(listings)) <= largest
    assert assign(_shuffled(tables, 1), split).sort_index().equals(found.sort_index())


def test_the_split_of_a_seed_is_known() -> None:
    """It must be the same on any machine and in any later version."""
    rows = Tables(rows=pd.DataFrame({"row_id": [f"r{i}" for i in range(10)]}))
    found = assign(rows, Split(validation=0.2, test=0.2, seed=3))
    assert [key for key in found.index if found[key] == "test"] == ["r3", "r4"]
    assert [key for key in found.index if found[key] == "validation"] == ["r6", "r8"]


@property_test
@given(st.lists(st.integers(0, 40), min_size=30, max_size=120), st.integers(0, 12), st.booleans())
def test_train_comes_before_validation_before_test(times: list[int], gap: int, as_days: bool) -> None:
    assume(len(set(times)) >= 12)
    at = pd.to_datetime("2024-01-01") + pd.to_timedelta(times, unit="D") if as_days else times
    rows = pd.DataFrame({"row_id": [f"r{i}" for i in range(len(times))], "at": at})
    split = Split(order_by="at", gap=f"{gap}d" if as_days and gap else gap, validation=0.2, test=0.2)
    try:
        found = assign(Tables(rows=rows), split)
    except DataError as error:
        assume("nothing is left" not in error.message and "too few" not in error.message)
        raise
    day = pd.Series(times, index=rows["row_id"]).reindex(found.index)
    for earlier, later in (("train", "validation"), ("validation", "test")):
        last, first = day[found == earlier].max(), day[found == later].min()
        assert last < first  # equal times are on one side
        if as_days and gap:
            assert first - last >= gap
        elif gap:
            assert sum(last < t < first for t in times) >= gap
    if not gap:
        most = pd.Series(times).value_counts().max()
        assert abs((found == "test").sum() - 0.2 * len(times)) <= most
        assert len(found) == len(times)
    assert assign(_shuffled(Tables(rows=rows), 2), split).sort_index().equals(found.sort_index())


def test_a_group_stands_where_its_last_row_does() -> None:
    rows = pd.DataFrame({"row_id": list("abcdefgh"), "at": range(8), "who": list("12345167")})
    found = assign(Tables(rows=rows), Split(order_by="at", group_by="who", validation=0.25, test=0.25))
    assert found["a"] == found["f"] == "validation"
    assert found[["g", "h"]].tolist() == ["test", "test"]


def test_what_is_in_the_gap_is_counted() -> None:
    rows = pd.DataFrame({"row_id": [str(i) for i in range(20)], "at": range(20)})
    with open_split(Tables(rows=rows), Split(order_by="at", gap=2, validation=0.2, test=0.2)) as found:
        assert found.counts == {"train": 10, "validation": 2, "test": 4}
        assert found.left_out == {"in the gap": 4}
        assert len(found.series()) == 16


@settings(property_test, max_examples=4)
@given(groups, st.integers(2, 4), st.booleans())
def test_folds_part_the_groups(listings: list[str], folds: int, even: bool) -> None:
    tables = _images(listings)
    assert tables.images is not None
    tables.images["label"] = [str(int(name) % 3) for name in listings]
    tested: list[str] = []
    for fold in range(folds):
        split = Split(
            group_by="listing_id", folds=folds, fold=fold, validation=0.2, stratify_by="label" if even else None
        )
        found = assign(tables, split)
        assert (pd.Series(found.to_numpy()).groupby(listings).nunique() == 1).all()
        assert set(found) == set(SIDES)
        tested += list(found.index[found == "test"])
    assert sorted(tested) == sorted(tables.images["image_id"])


@property_test
@given(st.lists(st.sampled_from("aaaaaaaabbbbccd"), min_size=60, max_size=200), st.integers(0, 5))
def test_each_class_has_its_share(classes: list[str], seed: int) -> None:
    rows = pd.DataFrame({"row_id": [f"r{i}" for i in range(len(classes))], "kind": classes})
    split = Split(stratify_by="kind", validation=0.2, test=0.2, seed=seed)
    found = assign(Tables(rows=rows), split)
    for name, size in rows["kind"].value_counts().items():
        keys = rows.loc[rows["kind"] == name, "row_id"]
        for side in ("validation", "test"):
            assert abs((found[keys] == side).sum() - 0.2 * size) <= 1.5
    assert assign(_shuffled(Tables(rows=rows), 3), split).sort_index().equals(found.sort_index())


def _photos_of_groups(seed: int) -> Tables:
    """Listings with one to five photos, each with boxes of up to three of five classes, some of them rare."""
    random = np.random.default_rng(seed)
    listings = [str(i) for i in range(40) for _ in range(int(random.integers(1, 6)))]
    tables = _images(listings)
    boxes = [
        {"image_id": f"i{i}", "class_name": name}
        for i in range(len(listings))
        for name in random.choice(list("abcde"), int(random.integers(0, 4)), p=[0.4, 0.3, 0.2, 0.07, 0.03])
    ]
    return Tables(images=tables.images, boxes=pd.DataFrame(boxes, columns=["image_id", "class_name"]))


def _off(found: pd.Series[str], boxes: pd.DataFrame) -> float:
    """How far the classes' shares on validation and test are from what was asked for."""
    side = boxes["image_id"].map(found)
    return sum(
        abs((side[boxes["class_name"] == name] == wanted).mean() - 0.2)
        for name in boxes["class_name"].unique()
        for wanted in ("validation", "test")
    )


BY_CHANCE = Split(group_by="listing_id", validation=0.2, test=0.2)
BY_CLASSES = BY_CHANCE.model_copy(update={"stratify_by": "classes"})
BOXES = Problem(
    need="n",
    owner="o",
    task="object_detection",
    classes=list("abcde"),
    success=[{"metric": "map_50", "at_least": 0}],
)


@property_test
@given(st.integers(0, 10**6).map(_photos_of_groups))
def test_boxes_are_stratified_by_whole_groups_whatever_their_order(tables: Tables) -> None:
    found = assign(tables, BY_CLASSES, BOXES)
    assert tables.images is not None
    assert (pd.Series(found.to_numpy()).groupby(tables.images["listing_id"].to_numpy()).nunique() == 1).all()
    assert assign(_shuffled(tables, 4), BY_CLASSES, BOXES).sort_index().equals(found.sort_index())


def test_boxes_are_stratified_better_than_by_chance() -> None:
    by_chance, evenly = [], []
    for seed in range(16):  # always the same: of any eight, one in twenty-five is too even by chance
        tables = _photos_of_groups(seed)
        assert tables.boxes is not None
        by_chance.append(_off(assign(tables, BY_CHANCE), tables.boxes))
        evenly.append(_off(assign(tables, BY_CLASSES, BOXES), tables.boxes))
    assert np.mean(evenly) < 0.6 * np.mean(by_chance)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.floats(0.1, 0.5))
def test_iterative_stratification_keeps_near_the_shares(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    rows = np.ones(200, np.int64)
    held = [(i, int(c), 1) for i in range(200) for c in set(random.integers(0, 6, random.integers(1, 4)).tolist())]
    chosen = stratified(rows, held, 6, share)
    assert deviation(chosen, rows, held, 6, share) < 0.03


def test_lists_of_files(tmp_path: Path) -> None:
    images = pd.DataFrame(
        {"image_id": list("abcdef"), "path": [f"/data/{n // 3}/photo{n}.jpg" for n in range(6)], "width": 1}
    )
    (tmp_path / "train.txt").write_text("photo0\n0/photo1.jpg\n# a remark\n\nc\n")
    files = {"train": tmp_path / "train.txt", "validation": ["photo3.jpg"], "test": ["/data/1/photo4.jpg", "f"]}
    found = assign(Tables(images=images), Split(files=files))
    assert found.to_dict() == dict(zip("abcdef", ["train"] * 3 + ["validation"] + ["test"] * 2, strict=True))

    def fails(match: str, **lists: object) -> None:
        with pytest.raises(DataError, match=match):
            assign(Tables(images=images), Split(files={**files, **lists}))

    fails(r"what the data do not have: photo9.jpg \(test\)", test=["photo9.jpg", "f"])
    fails(r"named in two lists: photo3.jpg \(train and validation\)", train=["a", "b", "c", "d"])
    fails(r"say nothing of 1 rows: f", test=["e"])
    fails(r"there is no .*none\.txt", test=tmp_path / "none.txt")
    images["path"] = [f"/data/{n}/photo.jpg" for n in range(6)]
    fails(r"means several: photo.jpg \(test\)", train=["a"], validation=["b"], test=["photo.jpg"])
    with open_split(
        Tables(images=images), Split(files={"train": list("abc"), "test": ["e"]}, rest="leave_out")
    ) as left:
        assert left.left_out == {"not listed": 2}
        assert left.counts == {"train": 2, "validation": 1, "test": 1}  # made from train


def test_a_column_of_the_data() -> None:
    rows = pd.DataFrame({"row_id": [str(i) for i in range(8)], "part": ["Train"] * 5 + ["dev", "test", None]})
    tables = Tables(rows=rows)
    found = assign(tables, Split(column="part", rest="leave_out"))
    assert found.value_counts().to_dict() == {"train": 5, "validation": 1, "test": 1}
    with pytest.raises(DataError, match="column 'part' says nothing of 1 rows: 7"):
        assign(tables, Split(column="part"))
    rows.loc[7, "part"] = "holdout"
    with pytest.raises(DataError, match="says holdout, which is no side"):
        assign(tables, Split(column="part"))


def test_look_alikes_stay_together() -> None:
    images = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(24)],
            "listing_id": [str(i // 2) for i in range(24)],
            "sha256": [f"{i}" for i in range(24)],
            "phash": [f"{(i * 0x9E3779B97F4A7C15) % 2**64:016x}" for i in range(24)],
            "dhash": [f"{(i * 0xBF58476D1CE4E5B9) % 2**64:016x}" for i in range(24)],
        }
    )
    images.loc[23, ["phash", "dhash"]] = images.loc[0, ["phash", "dhash"]].to_numpy()  # 0 and 11 share a photo
    images.loc[5, "sha256"] = images.loc[20, "sha256"]  # 2 and 10 share a file
    images.loc[7, ["phash", "dhash"]] = None  # not readable
    for seed in range(4):
        found = assign(Tables(images=images), Split(group_by="listing_id", group_near_duplicates=True, seed=seed))
        assert found[["i0", "i1", "i22", "i23"]].nunique() == 1
        assert found[["i4", "i5", "i20", "i21"]].nunique() == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"group_by": "who"},
        {"stratify_by": "kind"},
        {"group_by": "who", "stratify_by": "kind"},
        {"order_by": "at", "gap": "1h"},
        {"order_by": "at", "group_by": "who"},
        {"folds": 4, "fold": 2},
        {"column": "part", "rest": "leave_out"},
    ],
    ids=str,
)
def test_a_file_is_split_as_the_frame_is(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(3000)],
            "at": pd.to_datetime("2024-01-01") + pd.to_timedelta(random.permutation(3000), unit="min"),
            "who": random.integers(0, 200, 3000),
            "kind": random.choice(["a", "b", "c"], 3000, p=[0.7, 0.2, 0.1]),
            "part": random.choice(["train", "val", "test", ""], 3000),
        }
    )
    rows["part"] = rows["part"].replace("", None)
    rows.to_parquet(tmp_path / "rows.parquet", row_group_size=500)
    split = Split.model_validate(options)
    in_memory = assign(Tables(rows=rows), split)
    # As large files are: kept on disk, cut by buckets of hashes.
    monkeypatch.setattr(row_store, "FEW", 100)
    monkeypatch.setattr(cutting, "FEW", 100)
    with open_split(Tables(rows=tmp_path / "rows.parquet"), split, folder=tmp_path) as found:
        found.write(tmp_path / "splits.parquet")
    written = pd.read_parquet(tmp_path / "splits.parquet").set_index("key")["split"]
    assert written.to_dict() == in_memory.to_dict()
    assert written.index.tolist() == [key for key in rows["row_id"] if key in written.index]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "splits.parquet"]


def test_what_cannot_be_split_is_said() -> None:
    def fails(tables: Tables, match: str, hint: str | None = None, **options: object) -> None:
        with pytest.raises(DataError, match=match) as caught:
            assign(tables, Split.model_validate(options))
        assert hint is None or caught.value.hint == hint

    fails(_images(["a", "b", "a"]), "2 values of listing_id cannot be split three ways", group_by="listing_id")
    fails(_images(["a", "b"]), "2 rows cannot be split three ways")
    fails(_images(list("abc")), "3 rows cannot be split into 5 folds", folds=5)
    fails(_images(list("abc")), "no column 'listing'", "did you mean listing_id?", group_by="listing")
    fails(_images(["a", "b", "c", None]), "1 rows have no listing_id", group_by="listing_id")  # type: ignore[list-item]
    fails(_images([str(i) for i in range(1100)]), "more than 1000 different values", stratify_by="listing_id")
    fails(_images(list("abc")), "needs the|no column 'label'", stratify_by="classes")
    rows = pd.DataFrame({"row_id": list("abcd"), "at": ["1/2/24", "2/2/24", "3/2/24", "4/2/24"], "n": [1, 1, 1, 2]})
    fails(Tables(rows=rows), "holds '1/2/24', which is neither a number nor a time", order_by="at")
    fails(Tables(rows=rows), "too few different values", order_by="n")
    fails(Tables(rows=rows.assign(n=range(4))), "1d is a time span, but 'n' holds numbers", order_by="n", gap="1d")
    fails(Tables(rows=rows.assign(n=range(4))), "nothing is left for .* after the gap", order_by="n", gap=9)


def test_lists_of_rows() -> None:
    tables = Tables(rows=pd.DataFrame({"row_id": [str(i) for i in range(6)], "side": "x"}))
    found = assign(tables, Split(files={"train": ["0", "1", "2"], "validation": ["3", "4"], "test": ["5"]}))
    assert found.tolist() == ["train"] * 3 + ["validation"] * 2 + ["test"]
    with pytest.raises(DataError, match=r"do not have: 6 \(test\)") as caught:
        assign(tables, Split(files={"train": ["0", "1", "2"], "test": ["6"]}))
    assert caught.value.hint == "write values of row_id"
