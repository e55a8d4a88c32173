"""The bundles that ship with the suites: small, sound, and those that the script of this folder makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pizzeria.conformance import tiny_bundles
from pizzeria.errors import BundleError
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import check_sample

from .make_bundles import SOFA, make

MOST_BYTES = 10_000


@pytest.mark.parametrize("name", SOFA)
def test_they_are_those_that_the_script_makes(name: str, tmp_path: Path) -> None:
    shipped = tiny_bundles.FOLDER / name
    make(name, tmp_path / name)
    made, there = open_bundle(tmp_path / name), open_bundle(shipped)
    assert made.description == there.description
    check_sample(Predictor(there, 1))
    assert made.sample_answer() == there.sample_answer()
    assert sum(path.stat().st_size for path in shipped.rglob("*") if path.is_file()) < MOST_BYTES


def test_they_differ_in_what_they_answer() -> None:
    older, newer = open_bundle(tiny_bundles.OLDER), open_bundle(tiny_bundles.NEWER)
    assert older.sha256 != newer.sha256
    assert older.sample_request() == newer.sample_request()
    assert json.dumps(older.sample_answer()) != json.dumps(newer.sample_answer())


def test_the_broken_ones_are_broken_as_they_say(tmp_path: Path) -> None:
    dead = open_bundle(tiny_bundles.unable_to_start(tmp_path / "dead"))
    with pytest.raises(BundleError):
        Predictor(dead, 1)
    wrong = Predictor(open_bundle(tiny_bundles.answers_otherwise(tmp_path / "wrong")), 1)
    with pytest.raises(BundleError, match="not answered as when the bundle was packed"):
        check_sample(wrong)
    assert len({dead.sha256, wrong.bundle.sha256, open_bundle(tiny_bundles.NEWER).sha256}) == 3
