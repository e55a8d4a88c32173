"""Seals: each byte of what a stage left counts, and what was changed is told by its name."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pizzeria import hashing
from pizzeria.errors import DamagedError
from pizzeria.execution import execute
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs import seals
from pizzeria.runs.artifacts import Artifacts
from pizzeria.runs.store import Run, Store

from ..test_execution import SPEC, write_rows
from .sealed import seal
from .test_artifacts import Lines


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A sealed stage of some files, which is also that of a run."""
    folder = tmp_path / "run" / "stages" / "train"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(random.Random(0).randbytes(5000))
    (folder / "checkpoints" / "state.json").write_text('{"epoch": 3}')
    seal(folder, loss=0.25)
    return folder


def test_what_was_left_is_found_as_it_was(stage: Path) -> None:
    assert Run(stage.parents[1]).stage("train") == stage
    plain = seals.read(stage / "result.json")
    assert plain is not None
    assert list(plain["files"]) == ["checkpoints/state.json", "model.safetensors"]


def test_every_byte_of_a_result_counts(stage: Path) -> None:
    path = stage / "result.json"
    data = path.read_bytes()
    for i in range(0, len(data), 3):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :])
        with pytest.raises(DamagedError, match=r"result\.json was changed"):
            seals.read(path)
    for size in range(0, len(data), 31):
        path.write_bytes(data[:size])
        with pytest.raises(DamagedError, match=r"result\.json was changed"):
            seals.read(path)


def test_a_byte_that_changes_is_found_though_the_file_keeps_its_times(stage: Path) -> None:
    path, run = stage / "model.safetensors", Run(stage.parents[1])
    run.stage("train")
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[17] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedError, match=r"model\.safetensors was changed") as raised:
        run.stage("train")
    assert f"rm -r {stage}" in raised.value.hint


def test_what_is_missing_or_new_is_told(stage: Path) -> None:
    (stage / "checkpoints" / "state.json").rename(stage / "more.json")
    with pytest.raises(DamagedError) as raised:
        Run(stage.parents[1]).stage("train")
    assert "checkpoints/state.json is missing; more.json was not there when it was sealed" in raised.value.message


def test_a_result_in_the_place_of_another_is_told(stage: Path) -> None:
    other = stage.with_name("evaluate")
    shutil.copytree(stage, other)
    with pytest.raises(DamagedError, match=r"result\.json is that of another stage, train"):
        Run(stage.parents[1]).stage("evaluate")


def test_a_result_without_seal_is_not_taken(stage: Path) -> None:
    (stage / "result.json").write_text(json.dumps({"stage": "train", "facts": {}}))
    with pytest.raises(DamagedError, match="has no seal"):
        Run(stage.parents[1]).stage("train")


def test_a_file_is_read_once_as_long_as_it_stays_the_same(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stage / "model.safetensors"
    monkeypatch.setattr(hashing, "_RACY_NS", 0)
    found = hashing.sha256_of(path)
    monkeypatch.setattr(seals.hashlib, "file_digest", None)
    assert hashing.sha256_of(path) == found


def test_a_file_that_takes_the_place_of_one_that_is_read_is_not_taken_for_it(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, newer = stage / "model.safetensors", stage / "newer"
    old, new = path.read_bytes(), b"another one"
    newer.write_bytes(new)

    def beaten(*given: Any) -> Any:
        stream = open(*given)  # noqa: SIM115 - closed by whoever asked
        if newer.exists():
            newer.replace(path)
        return stream

    monkeypatch.setattr(hashing, "_RACY_NS", 0)
    monkeypatch.setattr(hashing, "open", beaten, raising=False)
    assert [hashing.sha256_of(path) for _ in range(2)] == [hashlib.sha256(data).hexdigest() for data in (old, new)]


@pytest.fixture
def run(working_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a spec as far as `features` in a store, whose stages may go to an address."""
    (working_folder / "prices.yaml").write_text(SPEC)
    write_rows(working_folder / "prices.csv")

    def run(machine: str = "one", address: str = ""):
        monkeypatch.setenv("PIZZERIA_ARTIFACTS", address)
        lines = Lines()
        store = Store(working_folder / machine, Artifacts.of_environment())
        return execute(load_spec(["prices.yaml"]), store, lines, until="split"), lines.said

    return run


def test_a_run_refuses_what_was_changed_and_is_mended_as_the_hint_says(run, working_folder: Path) -> None:
    done, _ = run()
    collect, split = (done.results[name].folder for name in ("collect", "split"))
    shutil.rmtree(split)
    rows, result = collect / "rows.parquet", split / "result.json"
    good = rows.read_bytes()
    rows.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(DamagedError, match=r"rows\.parquet was changed") as raised:
        run()
    assert not split.exists()
    assert f"rm -r {collect})" in raised.value.hint
    shutil.rmtree(collect)
    assert set(run()[0].ran) == {"collect", "split"}
    assert rows.read_bytes() == good

    text = result.read_text()
    result.write_text(text.replace('"seconds": ', '"seconds": 1'))
    with pytest.raises(DamagedError, match=r"result\.json was changed"):
        run()
    steps = plan(load_spec(["prices.yaml", "data.split.seed=7"]), Store(working_folder / "one"))
    assert next(step for step in steps if step.name == "split").why, "what another run has does not matter to this one"
    plain = json.loads(text)
    result.write_text(json.dumps({key: value for key, value in plain.items() if key not in ("files", "seal")}))
    assert run()[0].ran == ("split",), "what has no seal runs again"


@pytest.mark.parametrize(("sealed", "why"), [(True, "seal does not fit"), (False, "splits.parquet is missing")])
def test_a_list_at_an_address_that_names_other_files_is_told_and_run_again(
    run, working_folder: Path, sealed: bool, why: str
) -> None:
    address = str(working_folder / "shared")
    done, _ = run("one", address)
    listed = working_folder / "shared" / "stages" / f"{done.results['split'].fingerprint}.json"
    plain = json.loads(listed.read_text().replace("splits.parquet", "splitz.parquet"))
    if not sealed:  # as by an earlier Pizzeria
        del plain["seal"]
    listed.write_text(json.dumps(plain, indent=1))
    again, said = run("two", address)
    assert "split" in again.ran
    assert any("split: not fetched" in line and why in line for line in said), said
    assert "splits.parquet" in listed.read_text(), "the list is written anew"
