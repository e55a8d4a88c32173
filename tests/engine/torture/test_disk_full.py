"""The trial `disk_full` sees a command that crashes, says nothing of the disk, or loses what was complete."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pizzeria.torture import disk_full, full_disks
from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally

_WELL_TOLD = (
    "error: the disk at /mnt has no room for what was to be written: 0.0 of 4.0 MB are free\n    free some space"
)


def test_a_traceback_is_no_way_to_tell_of_a_full_disk() -> None:
    assert full_disks.badly_told(9, _WELL_TOLD) == ""
    assert "traceback" in full_disks.badly_told(9, f"Traceback (most recent call last):\n{_WELL_TOLD}")


def test_neither_is_another_exit_code_or_another_message() -> None:
    assert full_disks.badly_told(1, _WELL_TOLD).startswith("it ended with 1")
    assert full_disks.badly_told(9, "error: it failed").endswith("it failed")


def test_what_was_complete_and_is_not_any_more_is_lost() -> None:
    before = {"train: model.safetensors": "ab", "collect: rows.parquet": "cd"}
    assert full_disks.lost(before, {**before, "evaluate: metrics.json": "ef"}) == ""
    assert full_disks.lost(before, {"train: model.safetensors": "xy"}) == (
        "lost: train: model.safetensors, collect: rows.parquet"
    )


def test_where_nothing_can_be_mounted_it_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tally = Tally()
    disk_full.run(Bench(tmp_path, True, random.Random(0)), tally)
    assert (tally.tried, len(tally.left_out)) == (0, 1)
    assert "install util-linux" in tally.left_out[0]


def test_what_ends_before_it_has_told_of_its_tries_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_full, "impossible", lambda within, folder: "")
    monkeypatch.setattr(disk_full, "mounting", lambda: ("false",))
    tally = Tally()
    disk_full.run(Bench(tmp_path, True, random.Random(0)), tally)
    assert tally.broken == ["full disks: what fills them ended with 1"]
