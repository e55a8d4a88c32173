"""`verify-artifacts`: each link of the chain is looked at anew, and the first break is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pizzeria.audit import audit, live_terms
from pizzeria.cli import main
from pizzeria.execution import execute
from pizzeria.loading import load_spec
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store

from .runs.test_artifacts import Lines
from .test_execution import SPEC, write_rows

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run as far as its splits."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PIZZERIA_STORE", "")
        patch.setenv("PIZZERIA_CACHE", str(folder / "cache"))
        (folder / "prices.yaml").write_text(SPEC)
        write_rows(folder / "prices.csv")
        execute(load_spec(["prices.yaml"]), Store(), Lines(), until="split")
    return folder


@pytest.fixture
def store(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(kept)
    monkeypatch.setenv("PIZZERIA_STORE", "")
    return Store()


def verdicts(store: Store) -> dict[str, str]:
    return {link.name: link.verdict for link in audit(store.runs()[0], store)}


def test_what_is_as_it_was(store: Store) -> None:
    found = verdicts(store)
    ok = ("ledger", "spec", "data of collect", "collect", "validate", "split")
    assert {name: verdict for name, verdict in found.items() if name in ok} == dict.fromkeys(ok, "ok")
    assert set(found.values()) == {"ok", "not there"}
    assert (found["train"], found["service"], found["predictions"]) == ("not there",) * 3


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("prices.csv", "data of collect"),
        ("runs/*/spec.yaml", "spec"),
        ("runs/*/stages/collect/rows.parquet", "collect"),
        ("runs/*/stages/split/result.json", "split"),
        ("runs/ledger.sqlite", "ledger"),
    ],
)
def test_the_first_break_is_told(store: Store, path: str, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pizzeria.runs import ledger

    file = next(store.root.parent.glob(path))
    data = file.read_bytes()
    found = data.rfind(b"split") if first == "ledger" else len(data) - 3
    file.write_bytes(data[:found] + bytes([data[found] ^ 1]) + data[found + 1 :])
    ledger._seen.clear()
    try:
        done = CliRunner().invoke(main, ["verify-artifacts", "--json"])
        shown = CliRunner().invoke(main, ["verify-artifacts"])
    finally:
        file.write_bytes(data)
        ledger._seen.clear()
    assert (done.exit_code, json.loads(done.stdout)["first_break"]) == (1, first)
    assert (shown.exit_code, f"breaks at {first}: " in shown.stderr) == (1, True)


def test_data_that_are_gone_are_not_there(store: Store) -> None:
    file = store.root.parent / "prices.csv"
    file.rename(file.with_suffix(".away"))
    try:
        done = CliRunner().invoke(main, ["verify-artifacts"])
    finally:
        file.with_suffix(".away").rename(file)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "data of collect   not there" in done.stdout


def test_another_spec_than_the_stages_were_made_with(store: Store) -> None:
    run = store.runs()[0]
    text = (run.folder / "spec.yaml").read_text().partition("\n")[2]
    plain = yaml.safe_load(text)
    plain["data"]["split"]["test"] = 0.31
    try:
        store.open_run(run.id, yaml.safe_dump(plain))  # sealed, as Pizzeria writes it
        assert verdicts(store)["split"] == "changed"
    finally:
        store.open_run(run.id, text)


def entry(seconds: int, event: str, sha256: str) -> Entry:
    return Entry(seconds, (BEGIN + timedelta(seconds=seconds)).isoformat(), event, "a", "r", sha256, {})


def test_from_when_to_when_a_bundle_may_answer() -> None:
    entries = [entry(0, "deploying", "x"), entry(5, "promoted", "x"), entry(100, "deploying", "y")]
    entries += [entry(110, "failed", "y"), entry(200, "deploying", "z"), entry(210, "promoted", "z")]
    entries += [entry(300, "stopped", "z")]
    grace = timedelta(minutes=10)
    after = {
        name: [(begin - BEGIN, end - BEGIN - grace) for begin, end in one] for name, one in live_terms(entries).items()
    }
    seconds = timedelta(seconds=1)
    assert after == {
        "x": [(-1 * seconds, 210 * seconds)],
        "y": [(99 * seconds, 110 * seconds)],
        "z": [(199 * seconds, 300 * seconds)],
    }
    assert live_terms(entries[:2])["x"][0][1].year == 9999


def test_a_record_of_a_bundle_that_was_never_live(store: Store) -> None:
    from pizzeria import registry
    from pizzeria.deployments import log_folder

    plugin, folder = registry.load("prediction_logs", "sqlite"), log_folder(store, "prices")
    record = {"timestamp": BEGIN.isoformat(), "sha256": "ee" * 32, "prediction_id": "1"}
    plugin.writer(plugin.Options(), folder)([record])
    links = {link.name: link for link in audit(store.runs()[0], store)}
    assert links["predictions"].verdict == "changed"
    assert "eeeeeeeeeeee, which was not live then" in links["predictions"].told
    ledger = Ledger(store.root)
    assert ledger.champion("prices") is None
