"""What is the log of lines' own: standard output, what platforms make of lines, and files that are full or cut off."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pizzeria.errors import DataError, PluginError
from pizzeria_plugins.prediction_logs import lines
from pizzeria_plugins.prediction_logs.line_format import LONGEST

from .conftest import record, small_disk

PHOTO = bytes(range(256)) * 3_000
ODD = {"input_id": "Küche \u2028 \U0001f355.jpg", "feature:a\nb": 1}


def written(capsys: pytest.CaptureFixture[str], *records: dict[str, Any]) -> list[str]:
    """The lines that a service would leave on its standard output."""
    lines.writer(lines.Options(), Path("unused"))(records)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out == "" or out.endswith("\n")
    return out.splitlines()


def test_one_record_is_one_line_of_json_on_standard_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = written(capsys, record(1, **ODD), record(2))
    assert len(out) == 2
    assert json.loads(out[0])["pizzeria"] == "record"
    assert json.loads(out[0])["input_id"] == ODD["input_id"]
    assert not list(tmp_path.iterdir())
    assert written(capsys) == []


def as_cloudwatch(line: str) -> str:
    return f"2026-05-01T12:00:01.000Z {line}"


def as_google(line: str) -> str:
    shuffled = dict(sorted(json.loads(line).items()))  # Google reads the JSON, and writes its own
    return json.dumps({"insertId": "x", "jsonPayload": shuffled, "severity": "DEFAULT"})


def as_azure(line: str) -> str:
    return json.dumps({"time": "2026-05-01", "properties": {"Message": line, "Level": "Information"}})


@pytest.mark.parametrize("platform", [str, as_cloudwatch, as_google, as_azure])
def test_what_platforms_make_of_the_lines_is_read(
    platform: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = {**record(3), "rows": 2, "columns": {"feature:price": np.array([1.5, np.nan]), "pred": ["a", "b"]}}
    first = written(capsys, record(2, **ODD), table)
    later = written(capsys, record(1, photo=PHOTO))
    noise = ["START RequestId: 1", json.dumps({"message": "a pizzeria"}), "", '{"pizza": 1}']
    folder = tmp_path / "exported"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "b.log").write_text("\n".join([*noise, *map(platform, first), *noise]))
    with gzip.open(folder / "a.log.gz", "wt") as zipped:
        zipped.write("\n".join([*map(platform, later), *map(platform, first)]))
    for address in (str(folder), f"{folder}/**/*.log*", f"file://{folder}/**", f"file://{folder}"):
        options = lines.Options(read_from=address)
        frame = lines.read(options, tmp_path)
        assert frame["input_id"].tolist() == ["photo-1.jpg", ODD["input_id"], "photo-3.jpg", "photo-3.jpg"], address
        assert frame["feature:a\nb"].tolist()[1] == 1
        assert frame["pred"].tolist()[2:] == ["a", "b"]
        name = frame["prediction_id"][0]
        assert lines.photo(options, tmp_path, name) == PHOTO


def test_no_line_is_longer_than_platforms_take(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wide = record(1, **{f"feature:{i}": '"' * 50 for i in range(20_000)}, photo=PHOTO)
    out = written(capsys, wide)
    assert len(out) > 10
    assert max(map(len, out)) <= LONGEST + 200
    (tmp_path / "log").write_text("\n".join(reversed(out)))
    options = lines.Options(read_from="log")
    assert lines.read(options, tmp_path)["feature:19999"].tolist() == ['"' * 50]
    assert lines.photo(options, tmp_path, wide["prediction_id"]) == PHOTO


def test_what_was_cut_off_is_passed_over_and_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, cut = written(capsys, record(1), record(2))
    (tmp_path / "log").write_text(f"{cut[:60]}\n{whole}\n")
    with caplog.at_level(logging.WARNING):
        assert len(lines.read(lines.Options(read_from="log"), tmp_path)) == 1
    assert "1 prediction records are cut off" in caplog.text


def test_it_says_where_lines_must_come_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing says where they are collected") as caught:
        lines.read(lines.Options(), tmp_path)
    assert "read_from" in caught.value.hint
    assert lines.read(lines.Options(read_from="nothing/*"), tmp_path).empty
    with pytest.raises((DataError, PluginError)):
        lines.read(lines.Options(read_from="nowhere://x"), tmp_path)
    with pytest.raises(ValidationError, match="holds a password"):
        lines.Options(read_from="sftp://cook:secret@host/logs")


def test_pruning_a_file_keeps_long_records_whole(tmp_path: Path) -> None:
    options = lines.Options(path="log")
    wide = {f"feature:{i}": "x" * 50 for i in range(20_000)}
    lines.writer(options, tmp_path)([record(1, **wide), record(5, **wide), record(6, photo=PHOTO)])
    from datetime import datetime

    assert lines.prune(options, tmp_path, datetime.fromisoformat("2026-05-01T12:00:03+00:00")) == 1
    frame = lines.read(options, tmp_path)
    assert frame["input_id"].tolist() == ["photo-5.jpg", "photo-6.jpg"]
    assert lines.photo(options, tmp_path, frame["prediction_id"][1]) == PHOTO
    assert lines.prune(lines.Options(), tmp_path, datetime.fromisoformat("2030-01-01T00:00:00+00:00")) == 0


def test_a_full_disk_takes_a_batch_whole_or_not_at_all(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as folder:
        options = lines.Options(path="log")
        write = lines.writer(options, folder)
        write([record(1)])
        with pytest.raises(OSError, match="No space left"):
            write([record(2, photo=PHOTO), record(3, photo=PHOTO)])
        assert lines.read(options, folder)["input_id"].tolist() == ["photo-1.jpg"]
        write([record(4)])
        assert len(lines.read(options, folder)) == 2


def test_a_line_that_a_kill_cut_off_takes_none_of_the_next_batch(tmp_path: Path) -> None:
    options = lines.Options(path="records.jsonl")
    write = lines.writer(options, tmp_path)
    write([record(1)])
    whole = (tmp_path / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(whole + whole[:40])
    write([record(2), record(3)])
    assert len(lines.read(options, tmp_path)) == 3
