"""Two machines, each with a store of its own, and one address: what the first has run, the second does not."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner

from pizzeria.cli import main
from pizzeria.errors import DamagedError, DataError
from pizzeria.execution import Executed, execute
from pizzeria.fetching.place import Place
from pizzeria.graph import stages
from pizzeria.loading import load_spec
from pizzeria.runs.artifacts import Artifacts
from pizzeria.runs.store import Store

from ..fetching import conftest as stores
from ..test_execution import SPEC, write_rows

moto = stores.moto
bucket = stores.bucket

STAGES = ("collect", "validate", "split")


class Lines:
    """Progress that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def track(self, items, label):
        yield from items

    def update(self, label, done, total, **figures) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def run(working_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the spec as far as `split`, on a machine of this name; returns what came of it, and what was said."""
    (working_folder / "prices.yaml").write_text(SPEC)
    write_rows(working_folder / "prices.csv")

    def run(machine: str, address: str) -> tuple[Executed, list[str]]:
        monkeypatch.setenv("PIZZERIA_ARTIFACTS", address)
        store, lines = Store(working_folder / machine, Artifacts.of_environment()), Lines()
        return execute(load_spec(["prices.yaml"]), store, lines, until="split"), lines.said

    return run


@pytest.mark.parametrize("kind", ["path", "file", "s3"])
def test_the_second_machine_runs_nothing(kind: str, run, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "s3":
        request.getfixturevalue("bucket")
    address = {"path": f"{tmp_path}/shared", "file": f"file://{tmp_path}/shared", "s3": "s3://data/shared"}[kind]
    first, _ = run("one", address)
    assert set(first.ran) >= {"collect", "split"}
    second, said = run("two", address)
    assert second.ran == ()
    assert f"split: fetched from {address}" in said
    for name, result in first.results.items():
        theirs, mine = result.folder, second.results[name].folder
        files = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
        assert files == sorted(path.relative_to(mine) for path in mine.rglob("*") if path.is_file())
        assert all((theirs / file).read_bytes() == (mine / file).read_bytes() for file in files)
        assert second.results[name].facts == result.facts
    assert run("two", address)[1] == [], "what stands here is not fetched again"


def test_what_stood_before_the_address_was_named_goes_there_too(run, tmp_path: Path) -> None:
    run("one", "")
    assert run("one", f"{tmp_path}/shared")[0].ran == ()
    assert run("two", f"{tmp_path}/shared")[0].ran == ()


def test_a_damaged_stage_is_run_again_and_mended(run, tmp_path: Path) -> None:
    address = f"{tmp_path}/shared"
    first, _ = run("one", address)
    victim = next((first.results["split"].folder).glob("*.parquet"))
    for path in (tmp_path / "shared/files").rglob("*"):
        if path.is_file() and path.read_bytes() == victim.read_bytes():
            path.write_bytes(b"x" * path.stat().st_size)
    second, said = run("two", address)
    assert second.ran == ("split",)
    assert any(line.startswith("split: not fetched: ") and "is damaged" in line for line in said)
    assert run("three", address)[0].ran == (), "the second machine has put it there anew"


def test_two_runs_of_one_machine_fetch_a_stage_once(
    run, tmp_path: Path, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not get a stage runs it, and would put its own in the place of the one that the other works with."""
    address = f"{tmp_path}/shared"
    run("one", address)
    store, lines, began, go = Store(working_folder / "two", Artifacts.of_environment()), Lines(), Event(), Event()
    fetch, fetched = Artifacts.fetch, []

    def slowly(artifacts: Artifacts, fingerprint: str, folder: Path) -> int:
        fetched.append(fingerprint)
        began.set()
        assert go.wait(300)
        return fetch(artifacts, fingerprint, folder)

    monkeypatch.setattr(Artifacts, "fetch", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(execute, load_spec(["prices.yaml"]), store, Lines(), until="collect", wait=True)
        assert began.wait(300)
        second = pool.submit(execute, load_spec(["prices.yaml"]), store, lines, until="collect", wait=True)
        while "collect: another process is at it; waiting" not in lines.said and not second.done():
            time.sleep(0.01)
        go.set()
        assert first.result().ran == ()
        assert first.result().results["collect"] == second.result().results["collect"]
    assert len(fetched) == 1
    assert lines.said[-1] == "collect: another process has done it"


def test_a_stage_that_was_half_sent_is_not_there(run, tmp_path: Path) -> None:
    address = f"{tmp_path}/shared"
    run("one", address)
    [lists] = [tmp_path / "shared/stages"]
    for path in lists.iterdir():
        path.unlink()  # they are written last
    assert run("two", address)[0].ran != ()


def test_an_address_that_cannot_be_had_stops_no_run(run, tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("a file")
    done, said = run("one", f"{tmp_path}/shared/below")
    assert done.ran != ()
    assert any(line.startswith("split: not shared: ") for line in said)
    with pytest.raises(DataError, match="nothing can be written to http"):
        run("one", "http://127.0.0.1:1/x")
    with pytest.raises(DataError, match="nowhere://x cannot be fetched"):
        run("one", "nowhere://x")


def test_where_a_service_is_live_is_no_artifact() -> None:
    assert [stage.NAME for stage in stages() if not getattr(stage, "SHARED", True)] == ["deploy"]


def test_each_content_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    for name in ("a", "b"):
        (tmp_path / "stage" / name).write_bytes(b"the same")
    artifacts = Artifacts(Place.open(str(tmp_path / "shared")))
    assert artifacts.push("f1", tmp_path / "stage") == 8
    assert artifacts.push("f2", tmp_path / "stage") == 0
    (tmp_path / "back").mkdir()
    assert artifacts.fetch("f2", tmp_path / "back") == 16
    assert (tmp_path / "back/b").read_bytes() == b"the same"


def test_any_bit_of_a_list_counts(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "rows.csv").write_bytes(b"1,2")
    artifacts = Artifacts(Place.open(str(tmp_path / "shared")))
    artifacts.push("f1", tmp_path / "stage")
    path = tmp_path / "shared/stages/f1.json"
    whole = path.read_bytes()
    for i in range(8 * len(whole)):
        path.write_bytes(whole[: i // 8] + bytes([whole[i // 8] ^ 1 << i % 8]) + whole[i // 8 + 1 :])
        with pytest.raises(DamagedError, match="the list of f1 is damaged"):
            artifacts.fetch("f1", tmp_path / "back")
    earlier = json.loads(whole)
    del earlier["seal"]
    path.write_text(json.dumps(earlier, indent=1))
    assert artifacts.fetch("f1", tmp_path / "back") == 3, "one of a Pizzeria that sealed no list"


def test_plan_says_what_another_machine_has(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("one", f"{tmp_path}/shared")
    monkeypatch.setenv("PIZZERIA_STORE", str(tmp_path / "two"))
    lines = CliRunner().invoke(main, ["plan", "prices.yaml"]).output.splitlines()
    found = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert (found["split"], found["train"]) == ("have", "run")
    assert any(line.endswith(f"fetched from {tmp_path}/shared") for line in lines)
