"""The index of runs follows the store: what is new, changed and gone; it may be lost, damaged or not writable."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pizzeria.runs.store import Store
from pizzeria.ui import run_index
from pizzeria.ui.run_index import RunIndex

SPEC = "name: prices\nproblem:\n  need: {need}\n  owner: me\n  task: tabular_regression\nmodel:\n  use: net\n"


def make(store: Store, id: str, *, need: str = "Why.", r2: float | None = None, refused: str = "") -> Path:
    run = store.open_run(id, SPEC.format(need=json.dumps(need)))
    for stage, facts in (("collect", {"rows": 3}), ("evaluate", {"metrics": {"mae": r2, "odd": None}})):
        if stage == "collect" or r2 is not None:
            (run.folder / "stages" / stage).mkdir(parents=True, exist_ok=True)
            refusal = {"message": "no", "hint": ""} if stage == refused else None
            plain = {"seconds": 2, "started": "2026-05-01", "facts": facts, "refusal": refusal, "fingerprint": "f" * 64}
            (run.folder / "stages" / stage / "result.json").write_text(json.dumps(plain))
    return run.folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_it_follows_the_store(store: Store) -> None:
    index = RunIndex(store)
    make(store, "prices-01", r2=0.5)
    make(store, "prices-02")
    make(store, "my-prices-03", r2=0.7, refused="evaluate")
    index.read_all()
    assert index.names() == {"my-prices": 1, "prices": 2}
    first, second, third = (index.of(id) for id in ("prices-01", "prices-02", "my-prices-03"))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.metric, first.value, first.metrics, first.seconds, first.need) == (
        "mae",
        0.5,
        {"mae": 0.5},
        4.0,
        "Why.",
    )
    assert (second.value, second.outcome, second.backbone) == (None, "unfinished", "net")
    assert (third.outcome, third.refused, third.message) == ("refused", "evaluate", "no")
    assert [run.id for run in index.page(sort="metric", down=False)[0]] == ["prices-01", "my-prices-03", "prices-02"]

    make(store, "prices-02", r2=0.1)
    shutil.rmtree(store.root / "prices-01")
    index.read_all()
    assert [(run.id, run.value) for run in index.page("prices")[0]] == [("prices-02", 0.1)]
    assert index.of("prices-01") is None


@pytest.mark.parametrize("content", ["", "{", "a: [", "problem: 3\n", "problem:\n  need: \x00\n", "\xff"])
def test_a_spec_that_cannot_be_read_is_a_run_without_facts(store: Store, content: str) -> None:
    folder = make(store, "prices-01")
    (folder / "spec.yaml").write_text(content, encoding="latin-1")
    index = RunIndex(store)
    index.read_all()
    [found], total = index.page()
    assert (total, found.task, found.outcome) == (1, "", "unfinished")


@pytest.mark.parametrize("content", ["", "{", "{}{", "[3]"])
def test_a_result_that_was_changed_is_where_the_run_ends(store: Store, content: str) -> None:
    folder = make(store, "prices-01")
    (folder / "stages" / "collect" / "result.json").write_text(content)
    index = RunIndex(store)
    index.read_all()
    [found], _ = index.page()
    assert (found.outcome, found.refused) == ("refused", "collect")
    assert "result.json was changed" in found.message


def test_a_damaged_index_is_made_anew(store: Store) -> None:
    make(store, "prices-01")
    RunIndex(store).read_all()
    for path in (store.root / ".ui").iterdir():
        path.write_bytes(b"no database" * 100)
    index = RunIndex(store)
    index.read_all()
    assert index.names() == {"prices": 1}


def test_an_index_that_others_hold_is_left_to_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    make(store, "prices-01")
    before = RunIndex(store)
    before.read_all()
    before._connection.close()
    (path,) = (store.root / ".ui").glob("*.sqlite")
    monkeypatch.setattr(run_index, "_WAIT_S", 0.05)
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma journal_mode = delete")
        other.execute("begin exclusive")
        index = RunIndex(store)
        index.read_all()
        assert index.names() == {"prices": 1}  # from memory
        other.rollback()
        assert other.execute("select count(*) from runs").fetchone() == (1,)


def test_it_goes_on_after_a_write_that_failed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another application over the store may be writing for longer than this one waits."""
    make(store, "prices-01")
    monkeypatch.setattr(run_index, "_WAIT_S", 0.05)
    index = RunIndex(store)
    (path,) = (store.root / ".ui").glob("*.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            index.read_all()
    index.read_all()
    assert index.names() == {"prices": 1}


def test_without_a_place_to_write_it_is_kept_in_memory(store: Store) -> None:
    make(store, "prices-01")
    (store.root / ".ui").write_text("a file is in the way")
    index = RunIndex(store)
    index.read_all()
    assert index.names() == {"prices": 1}


def test_what_is_typed_is_no_pattern(store: Store) -> None:
    make(store, "prices-01")
    index = RunIndex(store)
    index.read_all()
    assert [index.page(text=text)[1] for text in ("prices", "%", "_", "' or 1=1 --", "-0")] == [1, 0, 0, 0, 1]
