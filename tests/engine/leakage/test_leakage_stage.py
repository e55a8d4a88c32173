"""The check as a run does it: what leaks stops it and is named, what is allowed is told with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pizzeria.errors import DataError, LeakageError
from pizzeria.report import render
from pizzeria.spec.leakage import Leakage
from pizzeria.spec.problem import Problem
from pizzeria.spec.split import Split
from pizzeria.stages import leakage as stage
from pizzeria.stages.features import with_a_side
from pizzeria.stages.stage import Job, Outcome
from pizzeria.tables import Tables, write_tables

PHOTOS = Problem.model_validate(
    {"need": "n", "owner": "o", "task": "image_classification", "classes": ["a", "b"],
     "success": [{"metric": "accuracy", "at_least": 0}]}
)  # fmt: skip
ROWS = Problem.model_validate(
    {"need": "n", "owner": "o", "task": "tabular_classification", "classes": ["a", "b"], "target": "label",
     "success": [{"metric": "accuracy", "at_least": 0}]}
)  # fmt: skip


class Said:
    """What a user reads on the terminal."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def look(
    folder: Path,
    tables: Tables,
    sides: list[str],
    problem: Problem,
    *,
    drop: tuple[str, ...] = (),
    split: Any = None,
    **options: Any,
) -> tuple[Outcome, dict[str, Any], list[str]]:
    """Run the stage as the engine does, on tables and a split that stand."""
    for name in ("collect", "split", "leakage"):
        (folder / "stages" / name).mkdir(parents=True, exist_ok=True)
    stages = folder / "stages"
    write_tables(tables, stages / "collect")
    frame, key = (tables.images, "image_id") if tables.images is not None else (tables.rows, "row_id")
    assert frame is not None
    pd.DataFrame({"key": frame[key], "split": sides}).dropna().to_parquet(stages / "split" / "splits.parquet")
    spec: Any = SimpleNamespace(
        data=SimpleNamespace(leakage=Leakage.model_validate(options), split=split or Split()),
        features=SimpleNamespace(options=SimpleNamespace(drop=drop)),
        problem=problem,
    )
    inputs: Any = {name: SimpleNamespace(folder=stages / name) for name in ("collect", "split")}
    said: Any = Said()
    outcome = stage.run(Job(spec, stages / "leakage", inputs, said, None, None))  # type: ignore[arg-type]
    return outcome, json.loads((stages / "leakage" / "leakage.json").read_text()), said.lines


def photos(folder: Path) -> Tables:
    """Ten photos: 1 and 8 are one file, 2 and 9 differ by two bits, the listing of 3 has 7 as well."""
    collect = folder / "stages" / "collect"
    collect.mkdir(parents=True, exist_ok=True)
    for i in range(10):
        Image.new("RGB", (60, 40), (20 * i, 90, 200 - 20 * i)).save(collect / f"{i}.jpg")
    frame = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(10)],
            "path": [f"{i}.jpg" for i in range(10)],
            "listing_id": ["L3" if i == 7 else f"L{i}" for i in range(10)],
            "label": ["a", "b"] * 5,
            "sha256": ["1" if i == 8 else str(i) for i in range(10)],
            "phash": [f"{(i + 1) * 0x1234567890ABCDEF % 2**64:016x}" for i in range(10)],
            "dhash": [f"{(i + 1) * 0xFEDCBA0987654321 % 2**64:016x}" for i in range(10)],
        }
    )
    for name in ("phash", "dhash"):
        frame.loc[8, name] = frame.loc[1, name]
        frame.loc[9, name] = f"{int(frame.loc[2, name], 16) ^ 3:016x}"
    return Tables(images=frame)


SIDES = ["train"] * 6 + ["validation", "validation", "test", "test"]


def test_photos_and_listings_on_two_sides(tmp_path: Path) -> None:
    outcome, found, _ = look(tmp_path, photos(tmp_path), SIDES, PHOTOS)
    assert isinstance(outcome.refusal, LeakageError)
    assert outcome.refusal.exit_code == 4
    for line in (
        "1 pairs of photos are the same file on two sides",
        "i1 (train) and i8 (test)",
        "i2 (train) and i9 (test): 2 bits by phash, 2 bits by dhash",
        "1 values of listing_id are on two sides",
        "i3 (train) and i7 (validation): the same listing_id",
    ):
        assert line in outcome.refusal.message
    assert "group_near_duplicates: true" in outcome.refusal.hint
    assert [entry["what"] for entry in found["findings"]] == ["exact", "near_duplicates", "group"]


def test_what_is_allowed_is_told_with_its_reason(tmp_path: Path) -> None:
    allow = [
        {"what": "exact", "reason": "The agency uses one photo for all."},
        {"what": "near_duplicates", "reason": "The same."},
        {"what": "group", "column": "listing_id", "reason": "Two <b>flats</b>."},
        {"what": "group", "column": "room", "reason": "Never there."},
    ]
    outcome, _, said = look(tmp_path, photos(tmp_path), SIDES, PHOTOS, allow=allow)
    assert outcome.refusal is None
    assert outcome.facts == {"leaks": 0, "allowed": 3}
    assert any("The agency uses one photo for all." in line for line in said)
    assert "data.leakage.allow: nothing was found that group of room would allow; take it out" in said
    page = render(tmp_path).read_text()
    assert '<h2 id="leakage"' in page
    assert "Allowed by the spec: Two &lt;b&gt;flats&lt;/b&gt;." in page
    assert page.count('<figure class="card pair">') == 3
    assert "group of room, of which nothing was found" in page


def test_on_one_side_they_do_no_harm_and_a_nearer_distance_finds_less(tmp_path: Path) -> None:
    sides = ["validation", "train", "train", "train", "test", "train", "train", "train", "train", "train"]
    outcome, found, _ = look(tmp_path, photos(tmp_path), sides, PHOTOS)
    assert outcome.refusal is None
    assert found["harmless"] == {"exact": 1, "near_duplicates": 1}
    _, found, _ = look(tmp_path, photos(tmp_path), SIDES, PHOTOS, distance=1, groups=[])
    assert [entry["what"] for entry in found["findings"]] == ["exact"]
    with pytest.raises(DataError, match="no column 'listing'"):
        look(tmp_path, photos(tmp_path), SIDES, PHOTOS, groups=["listing"])


def table(count: int = 1000) -> tuple[Tables, list[str]]:
    random = np.random.default_rng(1)
    label = random.choice(["a", "b"], count)
    rows = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(count)],
            "size": random.normal(0, 1, count),
            "status": np.where(label == "a", "paid", "open"),
            "paid_at": pd.to_datetime("2024-01-01") + pd.to_timedelta(random.integers(0, 9, count), unit="D"),
            "label": label,
        }
    )
    return Tables(rows=rows), ["train"] * (count * 6 // 10) + ["validation"] * (count // 5) + ["test"] * (count // 5)


def test_a_column_that_gives_the_target_away(tmp_path: Path) -> None:
    tables, sides = table()
    outcome, found, _ = look(tmp_path, tables, sides, ROWS)
    assert outcome.refusal is not None
    assert "status alone tells label on validation with AUC 1.000 (data.leakage.auc is 0.98)" in outcome.refusal.message
    assert "features.drop: [status]" in outcome.refusal.hint
    assert [entry["column"] for entry in found["columns"]] == ["status", "size"]  # times stay out of the features
    assert "gives the target away" in render(tmp_path).read_text()
    outcome, _, _ = look(tmp_path, tables, sides, ROWS, drop=("status",))
    assert outcome.refusal is None
    reason = {"what": "target", "column": "status", "reason": "It is known."}
    outcome, _, _ = look(tmp_path, tables, sides, ROWS, allow=[reason])
    assert outcome.refusal is None


def test_what_is_known_only_afterwards(tmp_path: Path) -> None:
    tables, sides = table()
    outcome, _, _ = look(tmp_path, tables, sides, ROWS, drop=("status",), known_after=["size", "paid_at"])
    assert outcome.refusal is not None
    assert "size is known only after the moment of prediction" in outcome.refusal.message
    assert "paid_at" not in outcome.refusal.message  # the model does not see it
    with pytest.raises(DataError, match="no column 'siez'"):
        look(tmp_path, tables, sides, ROWS, known_after=["siez"])


def test_rows_that_are_in_train_as_well(tmp_path: Path) -> None:
    tables, sides = table()
    assert tables.rows is not None
    columns = ["size", "status", "paid_at", "label"]
    tables.rows.loc[795:799, columns] = tables.rows.loc[0:4, columns].to_numpy()
    outcome, _, _ = look(tmp_path, tables, sides, ROWS, drop=("status",))
    assert outcome.refusal is not None
    assert "5 of 200 rows (2.5%) of validation are in train as well" in outcome.refusal.message
    assert "r795 (validation) and r0 (train): equal in every column" in outcome.refusal.message
    outcome, _, _ = look(tmp_path, tables, sides, ROWS, drop=("status",), rows=0.03)
    assert outcome.refusal is None


def test_a_sample_of_a_large_table_tells_the_same(tmp_path: Path) -> None:
    tables, sides = table(6000)
    _, found, _ = look(tmp_path, tables, sides, ROWS, sample=1000)
    assert found["findings"][0]["column"] == "status"


def test_features_see_only_what_has_a_side(tmp_path: Path) -> None:
    tables, _ = table(10)
    assert tables.rows is not None
    tables.rows.to_parquet(tmp_path / "rows.parquet", row_group_size=3)
    path = tmp_path / "splits.parquet"
    used = pd.DataFrame({"key": [f"r{i}" for i in range(10) if i % 3], "split": "train"})
    used.to_parquet(path)
    splits = used.set_index("key")["split"]
    for given in (tables, Tables(rows=tmp_path / "rows.parquet")):
        kept = with_a_side(given, splits, path, tmp_path)
        assert kept.rows is not None
        assert kept.rows["row_id"].tolist() == used["key"].tolist()
        assert list(kept.rows.columns) == list(tables.rows.columns)
    images = pd.DataFrame({"image_id": ["r1", "r3"]})
    boxes = pd.DataFrame({"box_id": ["x", "y"], "image_id": ["r1", "r3"]})
    kept = with_a_side(Tables(images=images, boxes=boxes), splits, path, tmp_path)
    assert kept.boxes is not None
    assert kept.boxes["box_id"].tolist() == ["x"]
