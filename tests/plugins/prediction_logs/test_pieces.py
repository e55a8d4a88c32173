"""Every log in pieces: they are the whole read, cut; and what came since, as `LoggedTraffic` tells it."""

from __future__ import annotations

import pickle
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria import clock
from pizzeria.inference.truth import Label
from pizzeria.monitoring.traffic import LoggedTraffic
from pizzeria_plugins.prediction_logs import line_files, line_index, lines, parquet, rows, sqlite

from .conftest import Log, record

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second + 0.5)


def traffic(log: Log, sha256: str | None = "aa") -> LoggedTraffic:
    """As a worker process has it."""
    made = LoggedTraffic(log.plugin, log.options, log.folder, sha256)
    copied: LoggedTraffic = pickle.loads(pickle.dumps(made))
    assert copied == made
    return copied


def whole(pieces: Iterator[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([*pieces, pd.DataFrame()], ignore_index=True)


def table(second: int, count: int, **values: Any) -> dict[str, Any]:
    columns = {"input_id": [f"r{second}-{i}" for i in range(count)], "feature:n": np.arange(count) / 8}
    return {**record(second), "rows": count, "columns": columns, **values}


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of two rows or so, in every log."""
    from pizzeria_plugins.prediction_logs import part_reading, postgresql

    monkeypatch.setattr(part_reading, "PIECE", 2)
    monkeypatch.setattr(rows.frames, "__defaults__", (None, 2))
    for module in (sqlite, postgresql):
        monkeypatch.setattr(module, "_AT_ONCE", 2)


@pytest.mark.usefixtures("few_at_once")
def test_pieces_are_the_whole_read(log: Log) -> None:
    log.write([record(3), table(1, 3), record(2, "bb"), record(0, embedding="AAAA")])
    log.write([record(1, **{"feature:late": "x"}), record(5, **{"p:bed": None})])
    log.plugin.add_labels(log.options, log.folder, [Label("input_id", "r1-2", '{"class":"bed"}')])
    for sha256 in ("aa", None):
        pieces = list(traffic(log, sha256).batches())
        assert len(pieces) > 1
        read = log.read(sha256)
        found = whole(iter(pieces))
        assert found["prediction_id"].tolist() == read["prediction_id"].tolist()
        pd.testing.assert_frame_equal(found[sorted(found)], read[sorted(read)], check_dtype=False)
        for before, after in pairwise(pieces):
            assert set(before) <= set(after), "a column that was there once stays"
        assert all(str(piece["timestamp"].dtype).endswith("UTC]") for piece in pieces)
    assert traffic(log, "cc").counts([at(0), at(9)]) == [0]


@pytest.mark.usefixtures("few_at_once")
def test_a_time_and_some_columns(log: Log) -> None:
    log.write([record(1), table(2, 3), record(2), record(3, embedding="AAAA"), record(3, "bb")])
    log.plugin.add_labels(log.options, log.folder, [Label("input_id", "photo-2.jpg", '{"classes":["bed"]}')])
    one = traffic(log)
    found = whole(one.batches(since=at(2), until=at(3), columns=["feature:n", "timestamp", "nowhere"]))
    assert list(found) == ["feature:n", "timestamp"]
    assert sorted(found["feature:n"].fillna(9)) == [0, 0.125, 0.25, 9]
    assert found["timestamp"].tolist() == [pd.Timestamp(at(2))] * 4
    for columns in (["timestamp"], ["input_id"], ["prediction_id", "latency_ms"]):
        found = whole(one.batches(columns=columns))
        assert list(found) == columns
        assert found[columns[0]].tolist() == log.read("aa")[columns[0]].tolist()
    truth = whole(one.batches(columns=["true:bed", "input_id"]))
    assert set(truth) == {"true:bed", "input_id"}
    assert truth.loc[truth["true:bed"].notna(), "input_id"].tolist() == ["photo-2.jpg"]
    assert list(one.batches(since=at(4))) == []
    assert [len(piece) for piece in one.batches(since=at(3))] == [1]


def test_counts_are_those_of_the_pieces(log: Log) -> None:
    assert traffic(log).counts([at(0), at(1), at(2)]) == [0, 0]
    log.write([record(1), table(2, 3), record(2), record(4, "bb")])
    log.write([record(1), record(3)])
    edges = [at(second) for second in (0, 1, 2, 2.5, 3, 3, 9)]
    assert traffic(log).counts(edges) == [0, 2, 4, 0, 0, 1]
    assert traffic(log, None).counts(edges) == [0, 2, 4, 0, 0, 2]
    assert traffic(log).counts([]) == []
    assert traffic(log).counts([at(1)]) == []
    log.write([record(1)])
    assert traffic(log).counts(edges)[1] == 3, "a late record shows"
    log.write([record(8)])
    assert log.prune(at(4).isoformat()) > 0
    assert traffic(log).counts([at(0), at(4), at(9)]) == [len(log.read("aa")) - 1, 1]


def test_a_batch_that_was_cut_anew_counts_once(log: Log) -> None:
    first, second, third = record(1), record(2), record(3)
    log.write([first, second])
    log.write([second, third])
    log.write([second, third, record(4)])
    assert traffic(log).counts([at(0), at(2.25), at(9)]) == [2, 2]
    assert len(whole(traffic(log).batches(columns=["timestamp"]))) == 4


MOMENTS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=5)
KINDS = {
    "sqlite": (sqlite, sqlite.Options()),
    "lines": (lines, lines.Options(path="records.jsonl")),
    "parquet": (parquet, parquet.Options()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("few_at_once")
@settings(max_examples=10)
@given(batches=MOMENTS, low=st.integers(0, 4), high=st.integers(0, 4))
def test_records_of_one_moment_keep_their_order(
    tmp_path: Path, kind: str, batches: Sequence[Sequence[int]], low: int, high: int
) -> None:
    log = Log(*KINDS[kind], tmp_path / uuid4().hex)
    for seconds in batches:
        log.write([table(second, 2) if second == 2 else record(second) for second in seconds])
    order = log.read()["prediction_id"].tolist()
    assert len(order) == sum(2 if second == 2 else 1 for seconds in batches for second in seconds)
    found = whole(traffic(log).batches(since=at(low), until=at(high)))
    ids = found["prediction_id"].tolist() if len(found) else []
    times = log.read()["timestamp"]
    assert ids == [name for name, time in zip(order, times, strict=True) if at(low) <= time < at(high)]
    edges = sorted([at(low), at(high)])
    assert traffic(log).counts(edges) == [int(((times >= edges[0]) & (times < edges[1])).sum())]


def add(log: Log, moment: datetime, *keys: tuple[str, str], said: str = "bed") -> None:
    """Labels that come at a moment."""
    with clock.at(moment):
        labels = [Label(by, name, f'{{"class":"{said}"}}') for by, name in keys]  # type: ignore[arg-type]
        log.plugin.add_labels(log.options, log.folder, labels)


def test_labels_tell_the_times_of_their_predictions(log: Log) -> None:
    one, other = record(1), table(2, 2)
    log.write([one, other, record(3), record(4, "bb")])
    times, mark = traffic(log).relabelled("")
    assert (list(times), mark) == ([], "")
    came = datetime(2026, 6, 1, tzinfo=UTC)
    add(log, came, ("prediction_id", one["prediction_id"]), ("input_id", "r2-1"), ("input_id", "photo-4.jpg"))
    times, mark = traffic(log).relabelled(mark)
    assert list(times) == [at(1), at(2)]
    assert list(traffic(log).relabelled("")[0]) == [at(1), at(2)]
    times, mark = traffic(log).relabelled(mark)
    assert list(times) == []
    add(log, came + timedelta(hours=1), ("prediction_id", f"{other['prediction_id']}/0"), ("input_id", "photo-3.jpg"))
    times, mark = traffic(log).relabelled(mark)
    assert list(times) == [at(2), at(3)]
    assert list(traffic(log).relabelled(mark)[0]) == []


def test_a_label_of_the_very_moment_of_the_mark_or_a_little_before_is_not_lost(log: Log) -> None:
    log.write([record(second, prediction_id=str(second)) for second in range(1, 5)])
    came = datetime(2026, 6, 1, tzinfo=UTC)
    add(log, came - timedelta(hours=1), ("prediction_id", "4"))
    add(log, came, ("prediction_id", "1"))
    _, mark = traffic(log).relabelled("")
    for number, moment in ((2, came), (3, came - timedelta(minutes=9))):
        add(log, moment, ("prediction_id", str(number)))
        times, mark = traffic(log).relabelled(mark)
        assert at(number) in times
        assert at(4) not in times, "what came long before is not told again"
        assert list(traffic(log).relabelled(mark)[0]) == []


def test_a_label_that_comes_before_its_prediction_is_there_with_it(log: Log) -> None:
    came = datetime(2026, 6, 1, tzinfo=UTC)
    log.write([record(1)])
    add(log, came, ("prediction_id", "2"))
    times, mark = traffic(log).relabelled("")
    assert list(times) == []
    log.write([record(2, prediction_id="2")])
    assert list(traffic(log).relabelled(mark)[0]) == []
    assert whole(traffic(log).batches(since=at(2)))["true"].tolist() == ["bed"]


def test_of_very_many_labels_all_labelled_records_count(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    from pizzeria.monitoring import traffic as module

    monkeypatch.setattr(module, "MOST_KEYS", 1)
    log.write([record(second, prediction_id=str(second)) for second in range(4)])
    add(log, datetime(2026, 6, 1, tzinfo=UTC), ("prediction_id", "1"), ("input_id", "photo-3.jpg"))
    times, mark = traffic(log).relabelled("")
    assert list(times) == [at(1), at(3)]
    assert list(traffic(log).relabelled(mark)[0]) == []


@pytest.mark.parametrize("kind", ["lines", "parquet"])
def test_the_index_goes_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    log = Log(*KINDS[kind], tmp_path / "log")
    log.write([record(1), record(2)])
    name = f".{kind}-index.sqlite"
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", str(log.folder), str(log.folder)], check=False)
    if mounted.returncode:
        pytest.skip("no folder can be mounted read-only here (root may): such a log is NOT TESTED")
    try:
        assert traffic(log).counts([at(0), at(9)]) == [2]
        assert len(list((tmp_path / "cache").rglob(name))) == 1
        monkeypatch.setenv("PIZZERIA_CACHE", str(log.folder / "nowhere"))
        assert len(whole(traffic(log).batches())) == 2
    finally:
        subprocess.run(["umount", "--lazy", str(log.folder)], check=True)
    log.write([record(3)])
    assert traffic(log).counts([at(0), at(9)]) == [3]
    assert (log.folder / name).exists()
    (log.folder / name).write_bytes(b"spoilt")
    assert traffic(log).counts([at(0), at(9)]) == [3], "a spoilt index is made anew"


def test_lines_are_followed_where_files_grow_and_read_anew_where_they_change(tmp_path: Path) -> None:
    log = Log(lines, lines.Options(path="one.jsonl"), tmp_path)
    read = Log(lines, lines.Options(read_from="*.jsonl"), tmp_path)
    for count in (1, 2):
        log.write([record(count)])
        assert traffic(read).counts([at(0), at(9)]) == [count]
    other = Log(lines, lines.Options(path="two.jsonl"), tmp_path)
    other.write([record(3)])
    assert traffic(read).counts([at(0), at(9)]) == [3]
    (tmp_path / "one.jsonl").unlink()
    assert traffic(read).counts([at(0), at(9)]) == [1], "what the platform deleted is gone"
    text = (tmp_path / "two.jsonl").read_text()
    other.write([record(4)])
    added = (tmp_path / "two.jsonl").read_text()[len(text) :]
    (tmp_path / "two.jsonl").write_text(text + added[:50])
    assert traffic(read).counts([at(0), at(9)]) == [1]
    (tmp_path / "two.jsonl").write_text(text + added)
    assert traffic(read).counts([at(0), at(9)]) == [2], "a line that was there by half"


def test_a_look_at_lines_keeps_what_it_has_while_they_are_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_index, "_PATIENCE_S", 0.1)
    log = Log(lines, lines.Options(path="one.jsonl"), tmp_path)
    log.write([record(1), record(5), record(6)])
    with lines._index(log.options, tmp_path) as place:
        assert log.prune(at(3).isoformat()) == 1
        assert traffic(log).counts([at(0), at(9)]) == [2], "who looks now sees what there is now"
        assert list(sqlite.counts(line_index.OPTIONS, place, [at(0), at(9)])) == [3]
    assert traffic(log).counts([at(0), at(9)]) == [2]


def test_who_prunes_lines_waits_for_a_look_and_deletes_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_index, "_PATIENCE_S", 120)
    log = Log(lines, lines.Options(path="one.jsonl"), tmp_path)
    log.write([record(1), record(5)])
    before = (tmp_path / "one.jsonl").stat().st_ino
    patience = time.monotonic() + 120
    with lines._index(log.options, tmp_path):
        pruning = threading.Thread(target=log.prune, args=(at(3).isoformat(),), daemon=True)
        pruning.start()
        while (tmp_path / "one.jsonl").stat().st_ino == before:
            assert time.monotonic() < patience
            time.sleep(0.01)
        assert (tmp_path / line_index.FILE).exists()
    pruning.join(120)
    assert not (tmp_path / line_index.FILE).exists(), "what was pruned is nowhere any more"


def test_who_prunes_lines_and_who_follows_them_do_not_wait_for_each_other(tmp_path: Path) -> None:
    log = Log(lines, lines.Options(path="one.jsonl"), tmp_path)
    log.write([record(1), record(5)])
    assert traffic(log).counts([at(0), at(9)]) == [2]
    file = tmp_path / "one.jsonl"
    before, patience = file.stat().st_ino, time.monotonic() + 120
    with line_index._alone(tmp_path):  # as who follows them has it, and reads them then
        pruning = threading.Thread(target=log.prune, args=(at(3).isoformat(),), daemon=True)
        pruning.start()
        while file.stat().st_ino == before:
            assert time.monotonic() < patience
            time.sleep(0.01)
        found = line_files.lines_of("one.jsonl", tmp_path, {str(file): 0})
        reading = threading.Thread(target=lambda: list(found), daemon=True)
        reading.start()
        reading.join(120)
        assert not reading.is_alive()
    pruning.join()
    assert traffic(log).counts([at(0), at(9)]) == [1]
