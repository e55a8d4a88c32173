"""Traffic from a log that a stranger wrote: one that cannot be read in pieces, and one that fails on the way."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pizzeria import registry
from pizzeria.errors import PluginError
from pizzeria.inference.truth import Label
from pizzeria.monitoring.traffic import LoggedTraffic, Moments, Since

START = datetime(2026, 5, 1, tzinfo=UTC)
PLUGIN = '''
"""Keeps nothing."""
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    """None."""

def writer(options, folder): ...
def read(options, folder, *, sha256=None): ...
def photo(options, folder, prediction_id): ...
def prune(options, folder, before): ...

def batches(options, folder, *, sha256, since, until, columns):
    yield 1 / 0
'''


def frame() -> pd.DataFrame:
    times = [START + timedelta(hours=hour) for hour in (2, 1, 1, 0)]
    names = {"prediction_id": ["d", "b", "c", "a"], "input_id": ["4", "2", "3", ""]}
    return pd.DataFrame({"timestamp": times, **names, "true": ["x", "x", None, None]})


@pytest.fixture
def stranger() -> LoggedTraffic:
    labels = [Label("prediction_id", "b", "{}"), Label("input_id", "4", "{}")]
    plugin: Any = SimpleNamespace(read=lambda *_, **__: frame(), labels=lambda *_: labels)
    return LoggedTraffic(plugin, None, Path(), None)


def test_without_pieces_all_is_read_and_cut(stranger: LoggedTraffic) -> None:
    [piece] = stranger.batches(since=START + timedelta(hours=1), columns=["prediction_id"])
    assert piece.to_dict("list") == {"prediction_id": ["b", "c", "d"]}
    edges = [START + timedelta(hours=hour) for hour in range(4)]
    assert stranger.counts(edges) == [1, 2, 1]
    assert stranger.counts([]) == []
    times, mark = stranger.relabelled("")
    assert list(times) == [edges[1], edges[2]]
    assert list(stranger.relabelled(mark)[0]) == []


def test_from_a_moment_on(stranger: LoggedTraffic) -> None:
    later = Since(stranger, START + timedelta(hours=1))
    assert [len(piece) for piece in later.batches()] == [3]
    assert [len(piece) for piece in later.batches(since=START + timedelta(hours=2))] == [1]
    assert later.counts([START, START + timedelta(hours=1), START + timedelta(hours=3)]) == [0, 3]


def test_a_log_without_labels_has_none_and_is_not_read_for_them() -> None:
    plugin: Any = SimpleNamespace(read=lambda *_, **__: frame())
    assert LoggedTraffic(plugin, None, Path(), None).relabelled("x") == ([], "x")
    unreadable: Any = SimpleNamespace(read=None, labels=lambda *_: [])
    times, mark = LoggedTraffic(unreadable, None, Path(), None).relabelled("")
    assert (list(times), mark) == ([], "")


def test_a_log_that_fails_on_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins" / "prediction_logs").mkdir(parents=True)
    (tmp_path / "plugins" / "prediction_logs" / "broken.py").write_text(PLUGIN)
    plugin = registry.load("prediction_logs", "broken")
    traffic = LoggedTraffic(plugin, plugin.Options(), tmp_path, "ab")
    for one in (traffic, pickle.loads(pickle.dumps(traffic))):
        assert isinstance(registry.module_of(one.plugin), ModuleType)
        with pytest.raises(PluginError, match=r"'broken'.* failed in batches: ZeroDivisionError"):
            next(one.batches())


def test_pieces_end_when_nobody_wants_more() -> None:
    ended = []

    def batches(*_: Any, **__: Any) -> Iterator[pd.DataFrame]:
        try:
            yield frame()
            yield frame()
        finally:
            ended.append(True)

    plugin: Any = SimpleNamespace(batches=batches)
    pieces = LoggedTraffic(plugin, None, Path(), None).batches()
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert ended == [True]


def test_moments_are_a_sequence() -> None:
    some = Moments(lambda: [START + timedelta(hours=1), START, START])
    assert (len(some), some[0], list(some[1:])) == (2, START, [START + timedelta(hours=1)])
    assert not Moments(list)
    assert START in some
