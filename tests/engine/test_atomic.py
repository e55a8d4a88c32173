"""Writes are old or new, never half."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pizzeria.atomic import write_bytes, write_json


def test_replaces_in_one_step_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": float("nan"), "y": (1, np.float32(2.5)), "z": np.int64(3)})
    assert json.loads(path.read_text()) == {"x": None, "y": [1, 2.5], "z": 3}
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_bytes(path, b"cannot replace a folder")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
