"""What every prediction log must do alike: what goes in comes out, once, whoever writes beside."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import Log, record

FIXED = ["timestamp", "sha256", "prediction_id", "input_id", "listing_id", "latency_ms"]
PHOTO = bytes(range(256)) * 300


def test_records_come_back_flat_typed_and_oldest_first(log: Log) -> None:
    late, early = record(2), record(1, **{"feature:brightness": 0.5, "pred": "Küche", "feature:rooms": 3})
    log.write([late, early])
    frame = log.read()
    assert frame["input_id"].tolist() == ["photo-1.jpg", "photo-2.jpg"]
    assert frame["prediction_id"].tolist() == [early["prediction_id"], late["prediction_id"]]
    assert str(frame["timestamp"].dt.tz) == "UTC"
    assert frame["timestamp"][0] == pd.Timestamp("2026-05-01T12:00:01.5Z")
    assert frame["latency_ms"].tolist() == [3.5, 3.5]
    assert frame["p:bed"].tolist() == [0.25, 0.25]
    assert frame["pred:bed"].tolist() == [0, 0]
    assert pd.api.types.is_integer_dtype(frame["pred:bed"])
    assert frame["pred"][0] == "Küche"
    assert frame["feature:rooms"][0] == 3
    assert frame["feature:brightness"].isna().tolist() == [False, True]
    assert list(frame.columns[:6]) == FIXED


def test_batches_may_differ_in_their_columns(log: Log) -> None:
    log.write([record(1, **{"feature:age": 7, "feature:kind": "flat"})])
    log.write([record(2, **{"feature:age": None, "feature:size": 1.5})])
    log.write([record(3, **{"feature:age": "old", "feature:kind": 5})])
    frame = log.read()
    assert frame["feature:age"][0] == 7
    assert pd.isna(frame["feature:age"][1])
    assert frame["feature:age"][2] == "old"
    assert frame["feature:kind"].tolist()[::2] == ["flat", 5]
    assert frame["feature:size"].dropna().tolist() == [1.5]


def test_one_column_may_hold_several_types(log: Log) -> None:
    values = [1, "two", 3.5, True, None, 10**30, ["a", {"b": 1}]]
    log.write([record(second, **{"feature:any": value}) for second, value in enumerate(values)])
    found = log.read()["feature:any"].tolist()
    assert found[:4] == [1, "two", 3.5, True]
    assert found[4] is None or pd.isna(found[4])
    assert float(found[5]) == 1e30
    assert found[6] == ["a", {"b": 1}]


def test_the_rows_of_one_request_come_back_flat(log: Log) -> None:
    columns = {"input_id": ["r1", "a\x00b"], "feature:price": [90, None], "pred": ["up", "down"]}
    columns["feature:area"] = np.array([np.nan, 0.1])
    table = {**record(1), "rows": 2, "columns": columns}
    log.write([record(0), table])
    log.write([table, record(2)])
    frame = log.read()
    assert frame["input_id"].tolist() == ["photo-0.jpg", "r1", "a\ufffdb", "photo-2.jpg"]
    assert frame["prediction_id"].tolist()[1:3] == [f"{table['prediction_id']}/0", f"{table['prediction_id']}/1"]
    assert frame["feature:price"].isna().tolist() == [True, False, True, True]
    assert frame["feature:area"].isna().tolist() == [True, True, False, True]
    assert frame["feature:area"][2] == 0.1
    assert frame["pred"].tolist()[1:3] == ["up", "down"]
    assert frame["latency_ms"].tolist() == [3.5] * 4
    assert not {"rows", "columns"} & set(frame)


def test_one_bundle_can_be_read_alone(log: Log) -> None:
    log.write([record(1, "aa"), record(2, "bb", **{"feature:only": 1}), record(3, "aa")])
    log.write([record(4, "bb")])
    assert log.read("aa")["input_id"].tolist() == ["photo-1.jpg", "photo-3.jpg"]
    assert "feature:only" not in log.read("aa") or log.read("aa")["feature:only"].isna().all()
    assert log.read("cc").empty
    assert len(log.read()) == 4


def test_nothing_logged_yet_is_an_empty_frame_with_the_fixed_columns(log: Log) -> None:
    frame = log.read()
    assert list(frame.columns) == [*FIXED, "embedding"]
    assert frame.empty
    assert str(frame["timestamp"].dtype).endswith("UTC]")
    assert log.photo("unknown") is None
    assert log.prune("2030-01-01T00:00:00+00:00") == 0
    assert not list(log.folder.iterdir()), "looking makes no file"


def test_a_batch_of_nothing_is_fine(log: Log) -> None:
    log.write([])
    assert log.read().empty


def test_a_record_that_is_there_already_is_passed_over(log: Log) -> None:
    first, second, third = record(1), record(2), record(3)
    log.write([first, second])
    log.write([second | {"p:bed": 0.99}, third, third])
    log.write([first, second])
    frame = log.read()
    assert frame["input_id"].tolist() == ["photo-1.jpg", "photo-2.jpg", "photo-3.jpg"]
    assert frame["p:bed"].tolist() == [0.25, 0.25, 0.25]


@pytest.mark.parametrize("missing", ["timestamp", "sha256", "prediction_id"])
def test_a_batch_with_a_faulty_record_leaves_nothing(log: Log, missing: str) -> None:
    faulty = record(2, photo=PHOTO)
    name = faulty["prediction_id"]
    del faulty[missing]
    with pytest.raises(KeyError, match=missing):
        log.write([record(1), faulty])
    assert log.read().empty
    assert log.photo(name) is None


def test_photos_are_kept_apart_from_the_records(log: Log) -> None:
    one, other = record(1, photo=PHOTO), record(2)
    log.write([one, other])
    log.write([record(3 + n, photo=bytes([n])) for n in range(20)])
    assert log.photo(one["prediction_id"]) == PHOTO
    assert log.photo(other["prediction_id"]) is None
    assert log.photo("unknown") is None
    assert "photo" not in log.read()
    assert len(log.read()) == 22


def test_an_embedding_is_text_or_none(log: Log) -> None:
    log.write([record(1, embedding="AAAA"), record(2)])
    log.write([record(3)])
    assert log.read()["embedding"].tolist() == ["AAAA", None, None]


def test_prune_deletes_what_is_older_and_its_photos(log: Log) -> None:
    old, new = [record(second, photo=PHOTO) for second in (1, 2)], [record(second, photo=PHOTO) for second in (3, 4)]
    log.write(old)
    log.write(new)
    assert log.prune("2026-05-01T14:00:03.500+02:00") == 2, "14:00 in Paris; a record of that very moment stays"
    assert log.read()["input_id"].tolist() == ["photo-3.jpg", "photo-4.jpg"]
    assert [log.photo(one["prediction_id"]) for one in (*old, *new)] == [None, None, PHOTO, PHOTO]
    assert log.prune("2026-05-01T12:00:03.500+00:00") == 0
    log.write([record(5)])
    assert log.prune("2027-01-01T00:00:00+00:00") == 3
    assert log.read().empty


def test_prune_deletes_more_than_it_takes_at_a_time(log: Log) -> None:
    log.write([record(1) for _ in range(5_001)])
    log.write([record(9)])
    assert log.prune("2026-05-01T12:00:05+00:00") == 5_001
    assert len(log.read()) == 1


def test_prune_wants_a_time_zone(log: Log) -> None:
    log.write([record(1)])
    with pytest.raises(ValueError, match="has no time zone"):
        log.prune("2026-05-01T12:00:05")
    assert len(log.read()) == 1


HOSTILE = [
    "a\x00b",
    "\x00",
    "\ud800 half a character",
    "\udfff\ud800",
    "\\u0000 spelled out",
    """'; DROP TABLE predictions; --""",
    '"quoted" \\ back\\slash',
    "{not, an, array}",
    "%s %(name)s {table}",
    "\U0001f355 e\u0301 \u202e",
    "line\nbreak\ttab\x7f\x1b[31m",
    "NULL",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_kept_as_far_as_text_can_be(log: Log, text: str) -> None:
    log.write([record(1, input_id=text, listing_id=text, **{"feature:note": text, "feature:" + text: 1, "pred": "x"})])
    frame = log.read()
    kept = text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    assert frame["input_id"][0] == kept
    assert frame["listing_id"][0] == kept
    assert frame["feature:note"][0] == kept
    assert frame["feature:" + kept][0] == 1


def test_what_is_no_number_is_missing(log: Log) -> None:
    log.write([record(1, **{"feature:a": float("nan"), "feature:b": float("inf"), "feature:c": 1e-300})])
    frame = log.read()
    assert frame["feature:a"].isna().all()
    assert frame["feature:b"].isna().all()
    assert frame["feature:c"][0] == 1e-300


def test_a_huge_record_is_kept(log: Log) -> None:
    text = "ü" * 5_000_000
    wide = {f"feature:{i}": i / 7 for i in range(2_000)}
    log.write([record(1, **wide, **{"feature:text": text})])
    frame = log.read()
    assert frame["feature:text"][0] == text
    assert frame["feature:1999"][0] == 1999 / 7


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=8).map(lambda name: f"feature:{name}"),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=30),
            max_size=4,
        ),
        max_size=4,
    )
)
@settings(max_examples=25)
def test_no_values_stop_the_log(log: Log, values: list[dict[str, Any]]) -> None:
    name = f"{threading.get_ident()}-{datetime.now(UTC).timestamp()}"
    log.write([record(n, sha256=name) | one for n, one in enumerate(values)])
    assert len(log.read(name)) == len(values)


def test_more_records_than_one_chunk_come_back_whole(log: Log) -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    for batch in range(3):
        log.write(
            [
                record(input_id=str(n), timestamp=(start + timedelta(seconds=n)).isoformat(), **{"feature:n": n})
                for n in range(batch * 4_000, (batch + 1) * 4_000)
            ]
        )
    frame = log.read()
    assert frame["feature:n"].tolist() == list(range(12_000))
    assert frame["input_id"].tolist() == list(map(str, range(12_000)))


WRITER = """
import json, sys
from pathlib import Path
from pizzeria.inference.records import new_prediction_id
from pizzeria.registry import load
plugin = load("prediction_logs", sys.argv[1])
options = plugin.Options(**json.loads(sys.argv[2]))
record = json.loads(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
write = plugin.writer(options, Path(sys.argv[3]))
for batch in range(20):
    records = [
        record | {"input_id": f"{sys.argv[5]}-{batch}-{i}", "prediction_id": new_prediction_id()} for i in range(5)
    ]
    write(records)
    write(records[2:])
"""


def test_several_processes_begin_and_write_at_once_and_lose_and_double_nothing(log: Log) -> None:
    if not log.shared:
        pytest.skip("memory:// is of one process alone")
    name = log.plugin.__name__.rpartition(".")[-1]
    options = log.options.model_dump_json(by_alias=True)
    arguments = [sys.executable, "-c", WRITER, name, options, str(log.folder), json.dumps(record(1))]
    writers = [
        subprocess.Popen([*arguments, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for one in writers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    while any(one.poll() is None for one in writers):
        log.read()
    for one in writers:
        one.communicate()
    assert [one.returncode for one in writers] == [0, 0, 0, 0]
    frame = log.read()
    assert sorted(frame["input_id"]) == sorted(
        f"{n}-{batch}-{i}" for n in range(4) for batch in range(20) for i in range(5)
    )
    assert frame["prediction_id"].is_unique
