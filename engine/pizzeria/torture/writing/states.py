"""What runs, the ledger and monitoring keep."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.errors import NotFoundError
from pizzeria.monitoring.history import History, folder_of
from pizzeria.runs import seals
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Result, Store
from pizzeria.torture.writing.operation import Operation

_PRINTS = ("0" * 64, "1" * 64)


def _store(folder: Path) -> Store:
    return Store(folder / "runs")


def _stage(store: Store, content: str, fingerprint: str = _PRINTS[0]) -> Result:
    with store.partial(fingerprint, keep=False) as partial:
        (partial / "curves.csv").write_text(content)
        (partial / "bundle" / "sample").mkdir(parents=True)
        (partial / "bundle" / "sample" / "answer.json").write_text(content)
        facts = {"content": content}
        return store.commit(partial, Result("train", fingerprint, partial, facts, 1.0, "2026-01-01", {}, None))


def _spec(content: str) -> str:
    return f"name: tiny\nneed: {content}\n"


def _prepare_store(folder: Path) -> None:
    store = _store(folder)
    store.open_run("tiny-1", _spec("old")).link(_stage(store, "old"))
    _stage(store, "new", _PRINTS[1])


def _result_state(folder: Path) -> str:
    found = _store(folder).run("tiny").stage("train")
    texts = {(found / name).read_text() for name in ("curves.csv", "bundle/sample/answer.json")}
    return " and ".join(texts)


def _link(folder: Path) -> None:
    store = _store(folder)
    found = store.load(_PRINTS[1])
    assert found is not None
    store.run("tiny-1").link(found)


def _runs_state(folder: Path) -> str:
    found = [run.folder / "spec.yaml" for run in _store(folder).runs()]
    for path in found:
        seals.check_text(path)
    return " | ".join(path.read_text() for path in found)


def _enter(folder: Path) -> None:
    Ledger(_store(folder).root).add("promoted", "tiny", run="tiny-1", sha256="2" * 64, detail={"why": "better"})


def _prepare_ledger(folder: Path) -> None:
    ledger = Ledger(_store(folder).root)
    for number in range(2):
        ledger.add("deploying", "tiny", run="tiny-1", sha256=f"{number}" * 64)
        ledger.add("promoted", "tiny", run="tiny-1", sha256=f"{number}" * 64)


def _ledger_state(folder: Path) -> str:
    """A second try enters it once more, which says the same."""
    ledger = Ledger(_store(folder).root)
    champion = ledger.champion("tiny")
    entries = {(one.event, one.sha256[:1]) for one in ledger.entries()}
    return f"{champion and champion.sha256[:1]} of {sorted(entries)}"


def _first_entry(folder: Path) -> str:
    """Looking makes a ledger, and is not to: there is none before."""
    return _ledger_state(folder) if (folder / "runs" / "ledger.sqlite").exists() else "None of []"


def _history(folder: Path) -> History:
    return History(folder_of(_store(folder), "tiny"))


def _record(folder: Path, name: str = "2") -> None:
    times = (name, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    found = [Finding("drift", column, *times, 0.3, "below 0.1", True, high=0.1) for column in ("size", "age")]
    alarm = Alarm("drift", "size", *times, "size has drifted")
    verdict = Verdict(tuple(found), (alarm,), (), chunks=(Judged(*times, 100, 0, False),))
    _history(folder).record(verdict, sha256="1" * 64, run="tiny-1", at="2026-01-03T00:00:00+00:00")


def _history_state(folder: Path) -> str:
    history = _history(folder)
    chunks = history.chunks()
    found, alarms = history.findings(chunks), history.alarms(chunks)
    return ", ".join(f"{one.name}: {len(found[one.id])} found, {len(alarms[one.id])} alerts" for one in chunks)


def _first_run(folder: Path) -> None:
    store = _store(folder)
    store.open_run("tiny-1", _spec("new")).link(_stage(store, "new"))


def _first_run_state(folder: Path) -> str:
    """A run begins with its spec, gets its stages, and each step may be the last."""
    with suppress(NotFoundError):
        return _result_state(folder)
    return "nothing"


OPERATIONS = (
    Operation("result of a stage", _prepare_store, lambda folder: _stage(_store(folder), "new"), _result_state),
    Operation("link of a run to a stage", _prepare_store, _link, _result_state),
    Operation(
        "spec of a run", _prepare_store, lambda folder: _store(folder).open_run("tiny-1", _spec("new")), _runs_state
    ),
    Operation("first run of a store", lambda _: None, _first_run, _first_run_state),
    Operation("ledger entry", _prepare_ledger, _enter, _ledger_state, database=True),
    Operation("first ledger entry", lambda _: None, _enter, _first_entry, database=True),
    Operation("history of monitoring", lambda folder: _record(folder, "1"), _record, _history_state, database=True),
)
