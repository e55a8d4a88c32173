"""The pre-reader: what YAML would do behind a user's back is refused, with the line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pizzeria.errors import SpecError
from pizzeria.spec.reading import MAX_DEPTH, dotted, read_lines

REFUSED = {
    "alias bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "more than",
    ),
    "duplicate key": ("model:\n  depth: 1\n  depth: 2\n", "stands twice, first on line 2"),
    "target": ("model:\n  _target_: os.system\n", "cannot name code"),
    "hydra": ("hydra:\n  run: {dir: /tmp}\n", "cannot configure Hydra"),
    "norway": ("classes: [yes, no]\n", "YAML reads it as true or false"),
    "octal": ("zip: 01234\n", "octal"),
    "base 60": ("at: 1:30\n", "base-60"),
    "environment": ("owner: ${oc.env:HOME}\n", "resolver 'oc.env' is not allowed"),
    "nested resolver": ("owner: 'x${ oc.env : HOME }'\n", "resolver 'oc.env' is not allowed"),
    "merge key": ("a: &a {x: 1}\nb:\n  <<: *a\n", "merge keys"),
    "list": ("- a\n- b\n", "a mapping of sections"),
    "tab": ("a:\n\t- b\n", "not YAML"),
    "python tag": ("a: !!python/object/apply:os.system [ls]\n", None),
    "very deep": ("a: " + "[" * 900_000, "nested more than"),
    "very deep dashes": ("- " * 90_000, "nested more than"),
    "deep": ("a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2) + "\n", "nested more than"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_quickly_with_file_and_line(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    started = time.perf_counter()
    if message is None:  # a tag is not run, and OmegaConf's safe loader refuses it later
        read_lines(path)
        return
    with pytest.raises(SpecError, match=message) as caught:
        read_lines(path)
    assert time.perf_counter() - started < 2
    assert "spec.yaml" in str(caught.value)


def test_every_fault_is_named_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a: no\nb: 012\na: 1\n")
    with pytest.raises(SpecError) as caught:
        read_lines(tmp_path / "spec.yaml")
    assert [fault.line for fault in caught.value.faults] == [1, 2, 3]


def test_huge_files_are_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a: " + "x" * 1_000_001)
    with pytest.raises(SpecError, match=r"1,000,00\d bytes"):
        read_lines(tmp_path / "spec.yaml")


def test_lines_of_all_paths(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    lines = read_lines(tmp_path / "spec.yaml")
    assert lines["a", "b"] == 2
    assert lines["a", "c", 1, "d"] == 5
    assert dotted(("a", "c", 1, "d")) == "a.c[1].d"


def test_quoted_words_and_plain_interpolation_pass(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("classes: ['no', \"012\"]\nseed: ${training.seed}\nx: ${oc.select:a.b}\n")
    assert read_lines(tmp_path / "spec.yaml")
