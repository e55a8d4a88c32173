"""Fingerprints change with what decides a result, and with nothing else."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria import fingerprint
from pizzeria.errors import DataError
from pizzeria.fingerprint import FileHashes, code_hashes, digest, flatten

COUNTER = iter(range(1000))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package of its own name, which can be imported while the test runs."""
    folder = tmp_path / f"oven_{os.getpid()}_{next(COUNTER)}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


def module_of(name: str) -> ModuleType:
    """The module, not run: its code is read, and nothing else of it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    return importlib.util.module_from_spec(spec)


def own_names(package: Path, name: str) -> set[str]:
    return {one.removeprefix(f"{package.name}.") for one in code_hashes([module_of(f"{package.name}.{name}")])}


def test_code_follows_imports_of_the_own_package_alone() -> None:
    names = set(code_hashes([module_of("pizzeria_plugins.models.timm_detector")]))
    assert "pizzeria_plugins.models.fcos" in names
    assert not {name for name in names if name.startswith(("torch", "pizzeria.spec", "pizzeria_plugins.sources"))}


@pytest.mark.parametrize(
    ("line", "also"),
    [
        ("import {0}.dough.flour", {"dough.flour"}),
        ("import json, {0}.dough.flour as powder", {"dough.flour"}),
        (
            "import {0}.dough.flour\nimport {0}.sauce\nfrom . import yeast",
            {"dough.flour", "sauce", "dough", "dough.yeast"},
        ),
        ("from {0}.dough import flour", {"dough", "dough.flour"}),
        ("from {0}.dough.flour import GRAMS", {"dough.flour"}),
        ("from .. import sauce", {"{0}", "sauce"}),
        ("from ..sauce import RED", {"sauce"}),
        ("from . import yeast", {"dough", "dough.yeast"}),
        ("from .yeast import *", {"dough.yeast"}),
        ("def bake():\n    from . import yeast", {"dough", "dough.yeast"}),
        ("import numpy, pizzeria.similarity", {"pizzeria.similarity"}),
        ("import pizzeria.errors, pizzeria.spec.problem, pizzeria.runs.ledger", set()),
        ("from pizzeria import spec_reference", {"pizzeria", "pizzeria.spec_reference"}),
    ],
)
def test_each_way_to_import_is_followed(package: Path, line: str, also: set[str]) -> None:
    (package / "dough").mkdir()
    for name in ("dough/__init__", "dough/yeast"):
        (package / f"{name}.py").touch()
    (package / "dough" / "flour.py").write_text("GRAMS = 500\n")
    (package / "sauce.py").write_text("RED = True\n")
    (package / "dough" / "main.py").write_text(line.format(package.name) + "\n")
    found = own_names(package, "dough.main")
    theirs = {name for name in also if name.startswith("pizzeria")}
    assert {name for name in found if not name.startswith("pizzeria")} == {"dough.main"} | {
        name.format(package.name) for name in also - theirs
    }
    assert theirs <= found
    assert not {name for name in found if name.startswith(("pizzeria.errors", "pizzeria.spec.", "pizzeria.runs"))}


def test_relative_imports_of_a_package_are_those_of_its_own_folder(package: Path) -> None:
    (package / "dough").mkdir()
    (package / "dough" / "__init__.py").write_text("from . import yeast\nfrom .. import sauce\n")
    (package / "dough" / "yeast.py").touch()
    (package / "sauce.py").touch()
    assert own_names(package, "dough") == {package.name, "dough", "dough.yeast", "sauce"}


def test_code_that_is_imported_round_and_round_is_hashed_once(package: Path) -> None:
    (package / "one.py").write_text(f"import {package.name}.two\n")
    (package / "two.py").write_text(f"import {package.name}.one\nimport {package.name}.three\n")
    (package / "three.py").write_text("X = 1\n")
    one, three = (module_of(f"{package.name}.{name}") for name in ("one", "three"))
    found = code_hashes([three, one])
    assert found == {
        f"{package.name}.{name}": hashlib.sha256((package / f"{name}.py").read_bytes()).hexdigest()
        for name in ("one", "two", "three")
    }
    assert set(code_hashes([three])) == {f"{package.name}.three"}
    assert code_hashes([]) == {}


def test_a_module_that_nobody_can_find_by_its_name_counts_alone(tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("import oven_of_nobody.other\n")
    module = ModuleType("oven_of_nobody.main")
    module.__file__ = str(path)
    assert code_hashes([module]) == {"oven_of_nobody.main": hashlib.sha256(path.read_bytes()).hexdigest()}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def in_another_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_another_order(value[key]) for key in reversed(value)}
    return [in_another_order(one) for one in value] if isinstance(value, list) else value


def same(a: Any, b: Any) -> bool:
    """As JSON has it: 1, 1.0 and true are three things."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b and str(a) == str(b)


@settings(max_examples=50)
@given(a=json_values, b=json_values)
def test_a_digest_is_of_the_value_and_not_of_its_order(a: Any, b: Any) -> None:
    assert digest(a) == digest(in_another_order(a))
    assert (digest(a) == digest(b)) == same(a, b)


def test_digests_are_what_they_were() -> None:
    """Stages that stand in stores are found by them, so they must not change from version to version."""
    assert (
        digest({"b": [1, 2.0, None], "a": "Käse"})
        == hashlib.sha256('{"a":"Käse","b":[1,2.0,null]}'.encode()).hexdigest()
    )
    assert digest(date(2024, 2, 29)) == digest("2024-02-29")
    assert digest({"a": 1.0}) != digest({"a": 1})


def test_flatten() -> None:
    assert dict(flatten({"a": {"b": [1, 2], "c": {}}, 3: None})) == {"a.b": [1, 2], "a.c": {}, "3": None}
    assert dict(flatten("alone")) == {"": "alone"}
    assert dict(flatten({})) == {"": {}}
    assert dict(flatten({"a": {"b": {"c": 1}}}, "spec")) == {"spec.a.b.c": 1}


def test_files_count_by_name_and_content(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("one")
    hashes = FileHashes(tmp_path / "h.sqlite")
    first = hashes.of([data])
    assert hashes.of([data]) == first
    (data / "a.txt").write_text("two")  # the same size, at once
    second = hashes.of([data])
    assert second != first
    (data / "a.txt").rename(data / "b.txt")
    assert hashes.of([data]) != second
    assert hashes.of([]) is None
    with pytest.raises(DataError, match=r"there is no .*absent") as caught:
        hashes.of([tmp_path / "absent"])
    assert caught.value.hint == "check the path, or set it on the command line: data.<option>=..."


def test_a_folder_counts_with_all_below_it_wherever_it_lies(tmp_path: Path) -> None:
    hashes = FileHashes(tmp_path / "h.sqlite")
    for root in ("here", "there"):
        below = tmp_path / root / "data" / "train" / "2024"
        below.mkdir(parents=True)
        (below / "a.txt").write_text("one")
        (below.parent / "b.txt").write_text("two")
    here, there = tmp_path / "here" / "data", tmp_path / "there" / "data"
    assert hashes.of([here]) == hashes.of([there])
    assert hashes.of([here]) == digest(
        [
            (f"data/train/{name}", hashlib.sha256(text).hexdigest())
            for name, text in (("2024/a.txt", b"one"), ("b.txt", b"two"))
        ]
    )
    file = there / "train" / "2024" / "a.txt"
    assert hashes.of([file]) == digest([("a.txt", hashlib.sha256(b"one").hexdigest())])
    file.write_text("another")
    assert hashes.of([here]) != hashes.of([there])
    (there / "empty").mkdir()
    shutil.copy(here / "train" / "2024" / "a.txt", file)
    assert hashes.of([here]) == hashes.of([there])


def test_what_lies_behind_a_link_counts_since_it_is_read(tmp_path: Path) -> None:
    data, disk = tmp_path / "data", tmp_path / "disk"
    for folder in (data, disk):
        folder.mkdir()
    (disk / "1.jpg").write_text("one")
    (data / "photos").symlink_to(disk)
    (data / "same.jpg").symlink_to(disk / "1.jpg")
    (data / "round").symlink_to(data)
    (data / "broken").symlink_to(tmp_path / "absent")
    hashes = FileHashes(tmp_path / "h.sqlite")
    one = hashlib.sha256(b"one").hexdigest()
    assert hashes.of([data]) == digest([("data/photos/1.jpg", one), ("data/same.jpg", one)])
    (disk / "1.jpg").write_text("two")
    two = hashlib.sha256(b"two").hexdigest()
    assert hashes.of([data]) == digest([("data/photos/1.jpg", two), ("data/same.jpg", two)])


def test_a_text_stands_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    hashes = FileHashes(tmp_path / "h.sqlite")
    assert hashes.of(["s3://listing 1"]) == digest([("s3://listing 1", "")])
    assert hashes.of(["s3://listing 1"]) != hashes.of(["s3://listing 2"])
    assert hashes.of(["s3://listing 1", path]) not in (hashes.of([path]), hashes.of(["s3://listing 1"]), None)


def test_an_old_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    old = time.time() - 60
    os.utime(path, (old, old))
    hashes = FileHashes(tmp_path / "h.sqlite")
    first = hashes.of([path])
    path.write_text("two")
    os.utime(path, (old, old))  # a file that hides its change is believed, as git and make do
    assert hashes.of([path]) == first
    assert FileHashes(tmp_path / "h.sqlite").of([path]) == first, "another process knows it, too"
    path.write_text("three")
    os.utime(path, (old, old))
    third = hashes.of([path])
    assert third != first, "another size"
    os.utime(path, (old, old + 1))
    path.write_text("seven")
    os.utime(path, (old, old + 1))
    assert hashes.of([path]) != third, "another time"


@pytest.mark.parametrize(("age", "kept"), [(0.0, 0), (1.0, 0), (60.0, 1), (-60.0, 0)])
def test_a_file_that_may_change_within_the_clock_s_step_is_not_remembered(
    tmp_path: Path, age: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fingerprint._RACY_S >= 1
    path = tmp_path / "a.txt"
    path.write_text("one")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # it stands still, however long the machine takes
    os.utime(path, (now - age, now - age))
    FileHashes(tmp_path / "h.sqlite").of([path])
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as known:
        rows = known.execute("select path, size, mtime, sha256 from file").fetchall()
    assert len(rows) == kept
    assert rows == [(str(path), 3, path.stat().st_mtime_ns, hashlib.sha256(b"one").hexdigest())][:kept]


def test_whoever_reads_files_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take hours: another run of the same store goes on meanwhile."""
    old = time.time() - 60
    for name in "ab":
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (old, old))
    plain = hashlib.file_digest

    def read(*given: Any) -> Any:
        with closing(sqlite3.connect(tmp_path / "h.sqlite", timeout=0)) as other, other:
            other.execute("insert or replace into file values ('another', 1, 1, '')")
        return plain(*given)

    monkeypatch.setattr(hashlib, "file_digest", read)
    FileHashes(tmp_path / "h.sqlite").of([tmp_path / "a", tmp_path / "b"])
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as known:
        assert known.execute("select count(*) from file").fetchone() == (3,)


def test_a_relative_path_is_remembered_by_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = time.time() - 60
    hashes = FileHashes(tmp_path / "h.sqlite")
    found = []
    for name, text in (("here", "one"), ("there", "two")):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("a.txt").write_text(text)
        os.utime("a.txt", (old, old))
        found.append(hashes.of([Path("a.txt")]))
    assert found[0] != found[1]
