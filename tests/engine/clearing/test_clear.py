"""What `pizzeria gc` removes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as CommandResult

from pizzeria import atomic
from pizzeria.cache_folder import cache_folder, using_caches
from pizzeria.clearing import clear, temporaries, versions
from pizzeria.cli import main
from pizzeria.holding import held
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Result, Run, Store
from pizzeria.runs.working import at_work, settle

A, B = "a" * 64, "b" * 64
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIZZERIA_STORE", str(tmp_path / "runs"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return Store(tmp_path / "runs")


def complete(store: Store, fingerprint: str, stage: str = "train") -> Result:
    with store.partial(fingerprint, keep=False) as folder:
        (folder / "weights").write_bytes(b"w" * 1000)
        return store.commit(folder, Result(stage, fingerprint, folder, {}, 1.0, "2026-05-01", {}, None))


def gone(store: Store, **wanted: object) -> list[str]:
    return sorted(one.path.name for one in clear(store, **wanted).gone)  # type: ignore[arg-type]


def aged(path: Path, days: float) -> None:
    """As if nobody had touched it for so long."""
    then = time.time() - days * DAY
    for one in (*path.rglob("*"), path):
        os.utime(one, (then, then), follow_symlinks=False)


def killed(code: str) -> None:
    """Run code in a process of its own, which kills itself."""
    line = f"import os, signal\nfrom pathlib import Path\n{code}"
    process = subprocess.run([sys.executable, "-c", line], check=False, capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(store: Store) -> None:
    run = store.open_run("prices-1", "name: prices\n")
    killed(
        "from pizzeria import atomic\n"
        f"with atomic.replacing(Path({str(run.folder / 'left.json')!r})) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    [left] = run.folder.glob(".left.json.*.tmp")
    aged(store.root, 1)
    with atomic.replacing(run.folder / "now.json") as stream:
        stream.write(b"{}")
        with atomic.filling(run.folder / "bundle") as folder:
            (folder / "model.onnx").write_bytes(b"m")
            aged(run.folder, 1)
            found = clear(store)
    assert [one.path for one in found.gone] == [left]
    assert found.size == 4
    assert sorted(path.name for path in run.folder.iterdir()) == ["bundle", "now.json", "spec.yaml"]


def test_a_stage_goes_when_no_run_points_at_it(store: Store) -> None:
    run = store.open_run("prices-1", "name: prices\n")
    run.link(complete(store, A))
    complete(store, B)
    assert gone(store, dry_run=True) == [B]
    assert store.load(B) is not None
    assert gone(store) == [B]
    assert [path.name for path in store.cache.iterdir()] == [A]
    shutil.rmtree(run.folder)
    assert gone(store) == [A]


def test_a_removal_that_is_cut_off_leaves_nothing_that_looks_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(store, A)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_: (_ for _ in ()).throw(OSError("no")))
        assert clear(store).refused
    assert store.load(A) is None
    assert len(gone(store)) == 1
    assert list(store.cache.iterdir()) == []


def test_a_bundle_that_serves_stays_though_its_run_was_removed(store: Store) -> None:
    package = complete(store, A, "package")
    Ledger(store.root).add("promoted", "prices", run="prices-1", detail={"bundle": str(package.folder / "bundle")})
    assert gone(store) == []
    Ledger(store.root).add("stopped", "prices")
    assert gone(store) == [A]


def test_stages_of_a_run_at_work_stay(store: Store) -> None:
    run = store.open_run("prices-1", "name: prices\n")
    complete(store, A, "collect")
    with at_work(run, "prices", {"collect": A, "train": B}):
        with store.partial(B, keep=True) as folder:
            (folder / "weights").write_text("w")
            assert gone(store, older_than_s=0.0) == []
        aged(store.root, 1)
        assert gone(store, older_than_s=0.0) == []
    assert gone(store, older_than_s=0.0) == [A, f"{B}.partial"]


def test_stages_stay_while_a_run_begins(store: Store) -> None:
    complete(store, A)
    with held(store.cache, shared=True):
        found = clear(store)
    assert (found.gone, found.kept) == ([], ["stages: a run begins just now, or another gc is at work"])


def test_a_run_may_end_just_when_it_is_looked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = store.open_run("prices-1", "name: prices\n").folder / ".at_work"
    notes.mkdir()

    def beaten(look: Callable[..., Any]) -> Callable[..., Any]:
        def late(path: Any = ".") -> Any:
            if path in (notes, str(notes)) and notes.exists():
                notes.rmdir()
            return look(path)

        return late

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, beaten(getattr(os, name)))
    assert gone(store) == []
    assert not notes.exists()


def test_a_training_that_was_cut_off_stays_until_it_is_so_old(store: Store) -> None:
    run = store.open_run("prices-1", "name: prices\n")
    killed(
        "from pizzeria.runs.store import Run, Store\nfrom pizzeria.runs.working import at_work\n"
        f"store = Store(Path({str(store.root)!r}))\n"
        f"with at_work(Run(Path({str(run.folder)!r})), 'prices', {{'features': {A!r}, 'train': {B!r}}}):\n"
        f"    for one in ({A!r}, {B!r}):\n"
        "        folder = store.cache / f'{one}.partial'; folder.mkdir(); (folder / 'half').write_text('h')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    aged(store.root, 1)
    found = clear(store)
    assert [one.path.name for one in found.gone] == [f"{A}.partial"]  # features begin anew in any case
    assert len(found.kept) == 1
    assert "a train that is cut off: run prices-1 was killed at train" in found.kept[0]
    assert gone(store, older_than_s=2 * DAY) == []
    training, note = sorted(gone(store, older_than_s=DAY / 2), key=lambda name: name.endswith(".json"))
    assert training == f"{B}.partial"
    assert note.endswith(".json"), "what the dead run said of itself"
    assert list(store.cache.iterdir()) == []


def test_a_training_that_was_interrupted_stays_as_one_that_was_killed_does(store: Store) -> None:
    run = store.open_run("prices-1", "name: prices\n")

    def cut_off(stages: dict[str, str], begun: str) -> None:
        with at_work(run, "prices", stages), store.partial(begun, keep=True) as folder:
            (folder / "half").write_text("h")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off({"features": A, "train": B}, B)
    aged(store.root, 1)
    found = clear(store)
    assert found.gone == []
    assert "run prices-1 ended at train 20" in found.kept[0]
    assert settle(store) == [], "the run itself has told the ledger"
    with at_work(run, "prices", {"features": A, "train": B}), store.partial(B, keep=True) as folder:
        assert (folder / "half").read_text() == "h"
        (folder / "half").unlink()
    assert not (run.folder / ".at_work").exists()
    with pytest.raises(KeyboardInterrupt):
        cut_off({"features": A, "train": B}, A)
    aged(store.root, 1)
    assert f"{A}.partial" in gone(store)
    assert not list((run.folder / ".at_work").iterdir()), "nothing is left to go on with"


def test_a_cut_off_stage_stays_while_processes_of_it_live(store: Store) -> None:
    folder = store.cache / f"{A}.partial"
    folder.mkdir()
    (folder / "together.lock").write_text("")
    aged(store.root, 1)
    with held(folder / "together.lock", shared=True):
        assert gone(store) == []
    assert gone(store) == [f"{A}.partial"]


def test_versions_of_data_go_when_no_run_names_them(store: Store) -> None:
    root = store.root / ".collected" / "prices"
    for number in (1, 2, 3):
        (root / str(number)).mkdir(parents=True)
        (root / str(number) / "spec.yaml").write_text(f"root: {root / str(number)}/rows.parquet\n")
    store.open_run("prices-1", f"data:\n  path: {root / '1'}/rows.parquet\n")
    with held(root):
        assert gone(store) == []
    assert gone(store) == ["2"]
    begun = store.root / ".maintenance" / "prices" / "begun.json"
    begun.parent.mkdir(parents=True)
    shutil.rmtree(store.root / "prices-1")
    begun.write_text(json.dumps({"parts": f"{root / '1'}/parts.parquet"}))
    assert gone(store) == []


def test_a_version_that_a_run_takes_up_just_now_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root, look = store.root / ".collected" / "prices", versions.held_if_free
    for number in (1, 2):
        (root / str(number)).mkdir(parents=True)

    def late(path: Path) -> AbstractContextManager[bool]:
        store.open_run("prices-1", f"data:\n  path: {root / '1'}/rows.parquet\n")
        return look(path)

    monkeypatch.setattr(versions, "held_if_free", late)
    assert gone(store) == []


def test_what_is_taken_up_while_others_are_looked_at_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`maintain` holds the folder in which it makes a version of the data."""
    folders = [store.root / ".collected" / name for name in ("prices", "rooms")]
    for folder in folders:
        (folder / ".1.partial").mkdir(parents=True)
    aged(store.root, 1)
    look = temporaries.abandoned
    with ExitStack() as begun:

        def looks(path: Path) -> bool:
            found = look(path)
            if path.parent in folders:
                folders.remove(path.parent)
                for other in folders:
                    begun.enter_context(held(other))
            return found

        monkeypatch.setattr(temporaries, "abandoned", looks)
        assert gone(store) == [".1.partial"]
    assert len(list(store.root.glob(".collected/*/.1.partial"))) == 1


def test_caches_go_when_asked_for_and_not_used_for_long(store: Store) -> None:
    photos, partial = cache_folder("photos") / "0123", cache_folder("fetched") / "partial" / "k"
    photos.mkdir()
    (photos / "one.pack").write_bytes(b"p" * 10)
    partial.parent.mkdir()
    partial.write_bytes(b"half")
    aged(photos, 40)
    aged(partial, 3)
    assert gone(store) == []
    assert gone(store, older_than_s=2 * DAY) == ["k"]
    with using_caches():
        found = clear(store, with_caches=True)
    assert (found.gone, found.kept) == ([], ["caches: a run is at work"])
    assert gone(store, with_caches=True, older_than_s=50 * DAY) == []
    assert gone(store, with_caches=True) == ["0123"]


def test_our_folders_in_the_temporary_folder_go_after_a_day(store: Store, tmp_path: Path) -> None:
    folders = {name: tmp_path / "tmp" / name for name in ("pizzeria-old", "pizzeria-new", "pizzeria-keeper", "theirs")}
    for folder in folders.values():
        folder.mkdir()
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.bind(str(folders["pizzeria-keeper"] / "k.sock"))
        keeper.listen()
        for name in ("pizzeria-old", "pizzeria-keeper", "theirs"):
            aged(folders[name], 2)
        assert gone(store) == ["pizzeria-old"]
    assert gone(store) == ["pizzeria-keeper"]


def test_a_run_that_is_taken_up_again_forgets_who_died(store: Store) -> None:
    run = Run(store.open_run("prices-1", "name: prices\n").folder)
    (run.folder / ".at_work").mkdir()
    (run.folder / ".at_work" / "dead.json").write_text(
        json.dumps(
            {"name": "prices", "pid": os.getpid(), "since": "2026-05-01T00:00:00.000+00:00", "stages": {"train": A}}
        )
    )
    with at_work(run, "prices", {"train": A}):
        assert not (run.folder / ".at_work" / "dead.json").exists()
    assert not (run.folder / ".at_work").exists()


def test_what_a_killed_try_left_half_written_is_no_part_of_the_stage(store: Store) -> None:
    half = store.cache / f"{A}.partial" / "checkpoints" / ".epoch-00001.0badcafe.tmp"
    half.mkdir(parents=True)
    (half.parents[1] / ".curves.csv.0badcafe.tmp").write_text("half")
    with store.partial(A, keep=True) as folder:
        done = store.commit(folder, Result("train", A, folder, {}, 1.0, "2026-05-01", {}, None))
    assert sorted(path.name for path in done.folder.rglob("*")) == ["checkpoints", "result.json"]
    done.check()


def test_the_command_says_what_goes_and_what_stays(store: Store) -> None:
    complete(store, A)
    told = json.loads(command(store, "--dry-run", "--json").stdout)
    assert [(one["what"], Path(one["path"]).name) for one in told["gone"]] == [("stage that no run points at", A)]
    assert told["bytes"] > 1000
    assert "1 thing would go, 0.0 MB" in command(store, "--dry-run").stdout
    assert "1 thing gone, 0.0 MB" in command(store).stdout
    assert command(store).stdout == "there is nothing to remove\n"
    wrong = command(store, "--older-than", "soon")
    assert wrong.exit_code == 2
    assert "'soon' is no time" in wrong.output


def command(store: Store, *arguments: str) -> CommandResult:
    return CliRunner().invoke(main, ["--store", str(store.root), "gc", *arguments])
