"""Predictions in bulk: each input once, the same as one at a time, in parts that survive a kill, at any address."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from pizzeria import registry
from pizzeria.answering import BundleAnswers
from pizzeria.bulk import Done, predict_in_bulk
from pizzeria.bulk.columns import flat
from pizzeria.bulk.parts import cut, find_tables, read_part
from pizzeria.bulk.work import Work
from pizzeria.cli import main
from pizzeria.errors import DataError
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress
from pizzeria.runs.store import Result, Store

from .conftest import pictures


def local(work: Work, items: Sequence[str]) -> Iterator[str]:
    runner = registry.load("runners", "local")
    return runner.each(runner.Options(), work, items)


def predict(bundle: Path, inputs: Path | str, out: Path | str, **more: object) -> Done:
    settings = {"part_rows": 3, **more}
    return predict_in_bulk(bundle, 40, [str(inputs)], str(out), local, PlainProgress(), **settings)


def rows_of(out: Path) -> list[dict]:
    return parquet.read_table(out).sort_by([("input", "ascending"), ("row", "ascending")]).to_pylist()


@pytest.mark.parametrize("task", ["object_detection", "multilabel_classification", "image_classification"])
def test_each_photo_once_and_as_one_at_a_time(task, make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle(task)
    done = predict(tmp_path / "bundle", photos, tmp_path / "out", keep=("photo_id",))
    assert done == Done(rows=11, failed=4, parts=5, stood=0)
    found = rows_of(tmp_path / "out")
    assert [row["photo_id"] for row in found] == [f"0-{i}" for i in range(7)] + [f"1-{i}" for i in range(4)]
    answers = BundleAnswers(tmp_path / "bundle", 40)
    for row, picture in zip(found, [*pictures(7), *pictures(4)], strict=True):
        number = int(row["photo_id"][2:])
        if number in (1, 2):
            assert row["error"] == (
                "there is no photo in this row"
                if number == 2
                else "the bytes begin with b'no photo', which is no photo"
            )
            assert row["width"] is None
            continue
        assert row["error"] is None
        wanted = flat(answers.photo(picture, "x"))
        assert {name: row[name] for name in wanted} == wanted


def test_paths_begin_at_the_folder_of_their_table(make_bundle, tmp_path: Path) -> None:
    make_bundle("image_classification")
    (tmp_path / "shots").mkdir()
    for i, data in enumerate(pictures(2)):
        (tmp_path / "shots" / f"{i}.jpg").write_bytes(data)
    paths = ["shots/0.jpg", str(tmp_path / "shots/1.jpg"), f"file://{tmp_path}/shots/1.jpg", "shots/none.jpg"]
    parquet.write_table(pa.table({"path": paths}), tmp_path / "in.parquet")
    assert predict(tmp_path / "bundle", tmp_path / "in.parquet", tmp_path / "out").failed == 1
    found = rows_of(tmp_path / "out")
    assert found[1]["probability"] == found[2]["probability"] != found[0]["probability"]
    assert found[3]["error"].startswith("it cannot be read")


def test_bytes_within_a_struct_as_other_tools_write_them(make_bundle, tmp_path: Path) -> None:
    make_bundle("image_classification")
    told = [{"bytes": data, "path": None} for data in pictures(2)]
    parquet.write_table(pa.table({"image": told}), tmp_path / "in.parquet")
    assert predict(tmp_path / "bundle", tmp_path / "in.parquet", tmp_path / "out").failed == 0


@pytest.mark.parametrize("task", ["tabular_classification", "tabular_regression"])
def test_rows_and_a_row_that_is_refused_takes_no_other_with_it(task, make_bundle, tmp_path: Path) -> None:
    make_bundle(task)
    table = {
        "price": [1.0, 2.0, 3.0, None],
        "demand": [0.5] * 4,
        "day": ["mon", "tue", "sun", None],
        "id": [4, 3, 2, 1],
    }
    table["price"][1] = 1e300
    parquet.write_table(pa.table(table), tmp_path / "in.parquet")
    done = predict(tmp_path / "bundle", tmp_path / "in.parquet", tmp_path / "out", keep=("id",))
    assert done == Done(rows=4, failed=1, parts=2, stood=0)
    found = rows_of(tmp_path / "out")
    assert [row["id"] for row in found] == [4, 3, 2, 1]
    assert [row["error"] is None for row in found] == [True, False, True, True]
    answers = BundleAnswers(tmp_path / "bundle", 40)
    wanted = flat(answers.rows([{"price": 3.0, "demand": 0.5, "day": "sun"}])[0])
    assert {name: found[2][name] for name in wanted} == wanted


def test_whole_parts_stay_and_lacking_ones_are_made(make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle("image_classification")
    out = tmp_path / "out"
    predict(tmp_path / "bundle", photos, out)
    before = {path.name: path.read_bytes() for path in out.glob("*.parquet")}
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    (out / "part-0000003.parquet").unlink()
    assert predict(tmp_path / "bundle", photos, out) == Done(rows=11, failed=4, parts=5, stood=4)
    assert {path.name: path.read_bytes() for path in out.glob("*.parquet")} == before
    changed = [path.name for path in out.glob("*.parquet") if path.stat().st_mtime_ns != times[path.name]]
    assert changed == ["part-0000003.parquet"]


def test_a_killed_prediction_goes_on(make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle("object_detection")
    predict(tmp_path / "bundle", photos, tmp_path / "whole", part_rows=1)
    code = (
        "import sys, time; sys.path.insert(0, ''); from pathlib import Path\n"
        "from pizzeria.bulk import predict_in_bulk; from pizzeria.progress import PlainProgress\n"
        "from pizzeria.bulk.work import Work\n"
        "def slowly(work, items):\n"
        "    answer = work.open()\n"
        "    for number, item in enumerate(items):\n"
        "        time.sleep(600 * (number == 6)); yield answer(item)\n"
        f"predict_in_bulk(Path({str(tmp_path / 'bundle')!r}), 40, [{str(photos)!r}], {str(tmp_path / 'out')!r}, slowly,"
        " PlainProgress(), part_rows=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while len(list((tmp_path / "out").glob("part-*"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = len(list((tmp_path / "out").glob("part-*.parquet")))
    assert 3 <= there < 11
    assert predict(tmp_path / "bundle", photos, tmp_path / "out", part_rows=1).stood == there
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "whole")


def test_predictions_of_something_else_are_not_mixed(make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle("image_classification")
    predict(tmp_path / "bundle", photos, tmp_path / "out")
    with pytest.raises(DataError, match="made otherwise: part_rows differ"):
        predict(tmp_path / "bundle", photos, tmp_path / "out", part_rows=4)
    shutil.copy(photos / "1.parquet", photos / "2.parquet")
    with pytest.raises(DataError, match="made otherwise: inputs differ"):
        predict(tmp_path / "bundle", photos, tmp_path / "out")


def test_from_a_bucket_to_a_bucket(make_bundle, photos: Path, tmp_path: Path, bucket) -> None:
    make_bundle("image_classification")
    predict(tmp_path / "bundle", photos, tmp_path / "out")
    bucket.put(**{f"in/{path.name}": path.read_bytes() for path in photos.iterdir()})
    assert predict(tmp_path / "bundle", "s3://data/in", "s3://data/out").parts == 5
    assert predict(tmp_path / "bundle", "s3://data/in", "s3://data/out") == Done(rows=11, failed=4, parts=5, stood=5)
    names = [one["Key"] for one in bucket.client.list_objects_v2(Bucket="data", Prefix="out/")["Contents"]]
    assert names == ["out/_plan.json", *(f"out/part-{i:07d}.parquet" for i in range(5))]
    body = bucket.client.get_object(Bucket="data", Key="out/part-0000004.parquet")["Body"].read()
    there = parquet.read_table(pa.BufferReader(body)).drop_columns("input")
    assert there.equals(parquet.read_table(tmp_path / "out/part-0000004.parquet").drop_columns("input"))


def test_into_memory(make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle("image_classification")
    out = f"memory://{tmp_path.name}/out"
    assert predict(tmp_path / "bundle", photos, out).stood == 0
    assert predict(tmp_path / "bundle", photos, out).stood == 5


def test_a_worker_that_cannot_see_the_bundle_says_so(tmp_path: Path) -> None:
    answer = Work(tmp_path / "none", 40, str(tmp_path), None, ()).open()
    assert f"does not see {tmp_path}/none" in json.loads(answer("{}"))["fault"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"column": "pohto"}, "there is no column pohto"),
        ({"keep": ("photo_ids",)}, "--keep photo_ids: there is no such column"),
        ({"keep": ("class",)}, "--keep class: there is no such column"),
    ],
)
def test_faults_are_told_before_any_work(more, message, make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle("image_classification")
    with pytest.raises(DataError, match=message):
        predict(tmp_path / "bundle", photos, tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


def test_inputs_that_cannot_be_read(make_bundle, photos: Path, tmp_path: Path) -> None:
    make_bundle("tabular_regression")
    with pytest.raises(DataError, match="lacks the columns day, demand, price"):
        predict(tmp_path / "bundle", photos, tmp_path / "out")
    with pytest.raises(DataError, match="there is nothing at"):
        predict(tmp_path / "bundle", tmp_path / "none", tmp_path / "out")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"bad.parquet cannot be read as Parquet"):
        predict(tmp_path / "bundle", tmp_path / "bad.parquet", tmp_path / "out")
    parquet.write_table(pa.table({"other": [1]}), photos / "2.parquet")
    with pytest.raises(DataError, match=r"2.parquet has other columns than .*0.parquet"):
        predict(tmp_path / "bundle", photos, tmp_path / "out")


def test_a_part_reads_its_rows_alone(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"n": range(20)}), tmp_path / "n.parquet", row_group_size=6)
    tables, _ = find_tables([str(tmp_path / "n.parquet")])
    parts = cut(tables, 7)
    assert [read_part(part, None)["n"].to_pylist() for part in parts] == [
        list(range(7)),
        list(range(7, 14)),
        list(range(14, 20)),
    ]


def test_the_command(make_bundle, photos: Path, tmp_path: Path, working_folder: Path) -> None:
    bundle = make_bundle("object_detection")
    store = Store(working_folder / "runs")
    text = json.dumps(load_spec(["experiment=amenities", "name=rooms"]).resolved())
    run = store.open_run("rooms-one", text)
    with store.partial("one-package", keep=False) as partial:
        shutil.copytree(tmp_path / "bundle", partial / "bundle")
        run.link(store.commit(partial, Result("package", "one-package", partial, {}, 0.0, "", {}, None)))
    command = ["predict", "rooms-one", "in", "--out", "out/", "--part-rows", "4"]
    done = CliRunner().invoke(main, [*command, "--runner", "local"])
    assert done.exit_code == DataError.exit_code, done.output
    assert "predictions of 11 inputs in out/: 3 parts\n" in done.stdout
    assert "not predicted: 4 inputs; their column `error` says why" in done.stderr
    assert {row["model"] for row in rows_of(working_folder / "out")} == {bundle.sha256, None}
    again = CliRunner().invoke(main, [*command, "--runner", "{use: local}"])
    assert "3 parts, 3 of them from before" in again.stdout
    for wrong, message in {
        "lokal": "did you mean local?",
        "{use: local, workers: 2}": "workers: Extra inputs are not permitted",
        "{": "is no runner; write ray, or {use: ray, workers: 8}",
    }.items():
        refused = CliRunner().invoke(main, [*command, "--runner", wrong])
        assert refused.exit_code == 2, refused.output
        assert message in refused.output
    assert "name it with --out" in CliRunner().invoke(main, ["predict", "a", "b", "--runner", "local"]).output
