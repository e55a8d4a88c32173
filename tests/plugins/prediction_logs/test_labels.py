"""Labels in every log: kept once and for good, whenever they come, and joined when the log is read."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.inference.truth import Label, LabelCounts, check_truth, latest
from pizzeria_plugins.prediction_logs import lines, parquet, sqlite

from .conftest import Log, record

CLASSES = ["bed", "sofa"]
BOX = {"class": "bed", "x_min": 1, "y_min": 2, "x_max": 30, "y_max": 40}


def label(name: str, *classes: str, by: Any = "prediction_id", second: int | None = None, source: str = "") -> Label:
    at = "" if second is None else f"2026-05-02T00:00:{second:02d}.000000+00:00"
    truth = check_truth({"classes": list(classes)}, "multilabel_classification", CLASSES)
    return Label(by, name, truth, at, source)


def photo(name: str, second: int = 0, **values: Any) -> dict[str, Any]:
    both = {"p:bed": 0.25, "pred:bed": 0, "p:sofa": 0.75, "pred:sofa": 1}
    return record(second, prediction_id=name, input_id=f"{name}.jpg") | both | values


def add(log: Log, *labels: Label) -> LabelCounts:
    found: LabelCounts = log.plugin.add_labels(log.options, log.folder, labels)
    return found


def kept(log: Log) -> Sequence[Label]:
    found: Sequence[Label] = log.plugin.labels(log.options, log.folder)
    return found


def truth(log: Log) -> list[Any]:
    """true:bed and true:sofa of each prediction, oldest first; None where there is no label."""
    frame = log.read()
    names = ["true:bed", "true:sofa"]
    if names[0] not in frame:
        return [None] * len(frame)
    return [None if pd.isna(a) else (int(a), int(b)) for a, b in frame[names].itertuples(index=False)]


def test_a_label_is_kept_once_and_joined(log: Log) -> None:
    log.write([photo("1", 1), photo("2", 2)])
    assert truth(log) == [None, None]
    assert add(log, label("1", "bed")) == (1, 0, 0)
    assert add(log, label("1", "bed"), label("2")) == (1, 0, 1)
    assert truth(log) == [(1, 0), (0, 0)]
    assert len(kept(log)) == 2


def test_the_latest_holds_and_all_are_kept_with_their_source(log: Log) -> None:
    log.write([photo("1")])
    assert add(log, label("1", "bed", second=2, source="Anna")) == (1, 0, 0)
    assert add(log, label("1", "sofa", second=1, source="Ben")) == (0, 0, 1), "what was said before changes nothing"
    assert truth(log) == [(1, 0)]
    assert add(log, label("1", "sofa", second=3, source="Ben")) == (0, 1, 0)
    assert add(log, label("1", "sofa", second=3, source="Ben")) == (0, 0, 1)
    assert truth(log) == [(0, 1)]
    assert sorted((one.at[17:19], one.source) for one in kept(log)) == [("01", "Ben"), ("02", "Anna"), ("03", "Ben")]


def test_what_is_said_now_holds_also_where_a_clock_was_ahead(log: Log) -> None:
    log.write([photo("1")])
    ahead = Label("prediction_id", "1", label("1", "bed").truth, "2999-01-01T00:00:00.000000+00:00")
    assert add(log, ahead) == (1, 0, 0)
    assert add(log, label("1", "sofa")) == (0, 1, 0)
    assert truth(log) == [(0, 1)]


def test_a_label_may_come_before_its_prediction(log: Log) -> None:
    assert add(log, label("1", "bed"), label("2.jpg", "sofa", by="input_id")) == (2, 0, 0)
    assert log.read().empty
    log.write([photo("1"), photo("2", 1)])
    assert truth(log) == [(1, 0), (0, 1)]


def test_a_label_of_an_input_is_one_of_all_its_predictions(log: Log) -> None:
    log.write([photo("1", 1), photo("2", 2) | {"input_id": "1.jpg"}, photo("3", 3) | {"input_id": ""}])
    add(log, label("1.jpg", "bed", by="input_id", second=1), label("2", "sofa", second=2))
    add(log, label("", "bed", by="input_id", second=1))
    assert truth(log) == [(1, 0), (0, 1), None]


def test_labels_of_rows(log: Log) -> None:
    table = {
        **record(1),
        "prediction_id": "r",
        "rows": 3,
        "columns": {"input_id": ["a", "b", ""], "pred": ["x", "y", "x"]},
    }
    log.write([table])
    add(log, Label("prediction_id", "r/0", '{"class":"y"}'), Label("input_id", "b", '{"class":"x"}'))
    assert log.read()["true"].tolist()[:2] == ["y", "x"]
    assert pd.isna(log.read()["true"][2])


def test_values_and_boxes(log: Log) -> None:
    log.write([photo("1", 1)])
    log.write([record(2, prediction_id="2", pred=3.5)])
    boxes = check_truth({"boxes": [BOX]}, "object_detection", CLASSES)
    add(log, Label("prediction_id", "1", boxes), Label("prediction_id", "2", '{"value":4.25}'))
    frame = log.read()
    assert frame["true:bed"][0] == 1
    assert frame["true:sofa"][0] == 0
    assert frame["true"][1] == 4.25
    assert pd.isna(frame["true:bed"][1])
    [found] = [one for one in kept(log) if one.name == "1"]
    assert found.says()["boxes"] == [{key: BOX[key] for key in BOX}]


def test_one_bundle_read_alone_has_its_labels(log: Log) -> None:
    log.write([photo("1", sha256="aa"), photo("2", 1, sha256="bb")])
    add(log, label("1", "bed"), label("2", "sofa"))
    assert log.read("bb")["true:sofa"].tolist() == [1]


def test_nothing_is_nothing(log: Log) -> None:
    assert list(kept(log)) == []
    assert add(log) == (0, 0, 0)
    log.write([photo("1")])
    assert truth(log) == [None]


def test_hostile_names_and_sources_stay_as_they_are(log: Log) -> None:
    names = ["'; DROP TABLE labels; --", "%s {table}", '"a"\\', "\U0001f355 \u202e", "a\nb"]
    log.write([photo(str(i), i) | {"input_id": name} for i, name in enumerate(names)])
    add(log, *(label(name, "bed", by="input_id", source=name) for name in names))
    assert truth(log) == [(1, 0)] * len(names)
    assert sorted(one.source for one in kept(log)) == sorted(names)


def test_prune_takes_labels_by_the_time_at_which_they_came(log: Log) -> None:
    log.write([photo("1")])
    add(log, label("1", "bed", second=1))
    assert log.prune("2026-06-01T00:00:00+00:00") == 1, "the record is old, and the label came today"
    assert len(kept(log)) == 1
    assert log.prune(datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC).isoformat()) == 0
    assert list(kept(log)) == []


ADD = """
import sys
from pathlib import Path
from pizzeria.inference.truth import Label
from pizzeria.registry import load
plugin = load("prediction_logs", sys.argv[1])
options = plugin.Options.model_validate_json(sys.argv[2])
for i in range(15):
    said = '{"classes":["bed"]}', "2026-05-02T00:00:00.000000+00:00"
    names = [f"{sys.argv[4]}-{i}", f"shared-{i}"]
    plugin.add_labels(options, Path(sys.argv[3]), [Label("prediction_id", name, *said) for name in names])
print("done", flush=True)
sys.stdin.read()
"""


def test_two_processes_add_at_once_and_lose_and_double_nothing(log: Log) -> None:
    if not log.shared:
        pytest.skip("no other process sees this store")
    name = log.plugin.__name__.rpartition(".")[2]
    arguments = [name, log.options.model_dump_json(by_alias=True), str(log.folder)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, *arguments, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=log.folder
        )
        for who in ("one", "other")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        process.send_signal(signal.SIGKILL)  # what was added is there, whatever becomes of who added it
        process.communicate()
    found = latest(kept(log))
    assert len(found) == 15 * 3
    if name != "parquet":  # parts of two at once may both have a label, which counts once
        assert len(kept(log)) == 15 * 3


def test_threads_add_and_write_at_once(log: Log) -> None:
    def work(who: int) -> None:
        for i in range(8):
            if who == 0:
                log.write([photo(f"0-{i}", i)])
            add(log, label(f"0-{i}", "bed", second=who))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert truth(log) == [(1, 0)] * 8
    assert len({(one.name, one.at) for one in kept(log)}) == 24


LABELS = st.lists(
    st.builds(
        label,
        st.sampled_from(["1", "2", "3"]),
        st.sampled_from(CLASSES),
        second=st.integers(0, 3),
        source=st.sampled_from(["", "Anna"]),
    )
    | st.builds(
        label,
        st.sampled_from(["1.jpg", "2.jpg"]),
        st.sampled_from(CLASSES),
        by=st.just("input_id"),
        second=st.integers(0, 3),
    ),
    max_size=6,
)
KINDS = {
    "sqlite": (sqlite, sqlite.Options()),
    "lines": (lines, lines.Options(path="records.jsonl")),
    "parquet": (parquet, parquet.Options(url="parts")),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12)
@given(labels=LABELS, data=st.data())
def test_any_order_and_repetition_of_batches_gives_the_same_frame(
    tmp_path: Path, kind: str, labels: list[Label], data: st.DataObject
) -> None:
    plugin, options = KINDS[kind]
    batches: list[Any] = [[photo("1", 1)], [photo("2", 2), photo("3", 3)]]
    cut = data.draw(st.integers(0, len(labels)))
    batches += [tuple(labels[:cut]), tuple(labels[cut:])]
    orders = [range(len(batches)), data.draw(st.permutations([*range(len(batches)), *range(len(batches))]))]
    frames, histories = [], []
    for order in orders:
        log = Log(plugin, options, tmp_path / uuid4().hex)
        for i in order:
            batch = batches[i]
            if isinstance(batch, tuple):
                add(log, *batch)
            else:
                log.write(batch)
        frames.append(log.read())
        histories.append(sorted(one.rank for one in kept(log)))
    pd.testing.assert_frame_equal(*frames)
    assert histories[0] == histories[1]


def test_on_postgresql_any_order_of_batches_gives_the_same_frame(database: Any, tmp_path: Path) -> None:
    from pizzeria_plugins.prediction_logs import postgresql

    said = (label("1", "bed", second=1), label("1", "sofa", second=2), label("2.jpg", "bed", by="input_id", second=1))
    batches: list[Any] = [[photo("1", 1)], [photo("2", 2)], said[:2], said[1:]]
    frames = []
    for number, order in enumerate(itertools.permutations(range(4), 4)):
        if number % 4:
            continue
        options = database.model_copy(update={"table": f"p{number}"})
        log = Log(postgresql, options, tmp_path)
        for i in (*order, order[0]):
            add(log, *batches[i]) if isinstance(batches[i], tuple) else log.write(batches[i])
        frames.append(log.read())
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frames[0], frame)


def test_lines_on_standard_output_are_joined_from_what_the_platform_exported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Log(lines, lines.Options(), tmp_path)
    log.write([photo("1", 1), photo("2", 2)])
    assert add(log, label("1", "bed", second=1)) == (1, 0, 0)
    assert add(log, label("1", "bed", second=1), label("2.jpg", "sofa", by="input_id")) == (2, 0, 0)
    text = capfd.readouterr().out
    (tmp_path / "exported").write_text(text.replace('{"pizzeria"', 'START 2026 {"pizzeria"'))
    log = Log(lines, lines.Options(read_from="exported"), tmp_path)
    assert truth(log) == [(1, 0), (0, 1)]
    assert len({one.rank for one in kept(log)}) == 2


def test_an_earlier_file_of_sqlite_takes_labels_and_serves_who_knows_none(tmp_path: Path) -> None:
    import sqlite3

    log = Log(sqlite, sqlite.Options(), tmp_path)
    log.write([photo("1")])
    add(log, label("1", "bed"))
    with sqlite3.connect(tmp_path / "predictions.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,), "an earlier Pizzeria goes on with it"
    connection.close()


def test_labels_on_a_full_disk_are_refused_whole(tmp_path: Path) -> None:
    from .conftest import small_disk

    with small_disk(tmp_path / "disk", megabytes=1) as folder:
        log = Log(lines, lines.Options(path="records.jsonl"), folder)
        add(log, label("1", "bed", second=1))
        handle = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(handle, bytes(4096)):
                pass
        os.close(handle)
        many = [label(f"{i}" * 50, "bed", second=1) for i in range(5000)]
        with pytest.raises(OSError, match="No space"):
            add(log, *many)
        assert len(kept(log)) == 1
