"""Maintenance that was killed is told of, until somebody goes on with it."""

from __future__ import annotations

from pathlib import Path

from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import turn
from pizzeria.maintenance.begun import Begun, clear, cut_off, save
from pizzeria.runs.store import Store


def test_what_was_cut_off_is_told_while_nobody_is_at_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    assert cut_off("prices", store) == ""
    with turn("prices", "maintain prices", store, Quiet(), of="maintain"):
        save(Begun("1", "training", "a" * 64, "drift"), "prices", store)
        assert cut_off("prices", store) == ""
    assert cut_off("prices", store).startswith("`pizzeria maintain prices` was cut off while training")
    clear("prices", store)
    assert cut_off("prices", store) == ""
