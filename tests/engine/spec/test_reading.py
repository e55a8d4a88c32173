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
    "python tag": ("a: !!python/object/apply:os.system [ls]\n", "has no tags"),
    "python name": ("a: !!python/name:os.system\n", "has no tags"),
    "int that is none": ("a: !!int bed\n", "has no tags"),
    "binary": ("a: !!binary aGVsbG8=\n", "has no tags"),
    "resolver by name": ("b: env\na: ${oc.${b}:HOME}\n", "look-up within a look-up"),
    "many look-ups": (f"a: '{'${b}' * 300}'\nb: x\n", "more than 200 look-ups"),
    "digits": (f"a: {'1' * 5000}\n", "too great for a number"),
    "infinity": ("a: 1e999\n", "too great for a number"),
    "hexadecimal": ("a: 0x1F\n", "another number"),
    "underscore": ("a: 1_000\n", "without the _"),
    "equals": ("a: =\n", "meaning of its own"),
    "null key": ("~: 1\n", "reads it as no text"),
    "bool key": ("a: {true: 1}\n", "reads it as no text"),
    "escape": ('a: "b\\x1b[2J"\n', "U\\+001B"),
    "turned round": ("a: b\u202ec\n", "U\\+202E"),
    "many keys": ("".join(f"k{i}: 1\n" for i in range(800)), "more than 750 keys"),
    "nothing looked up": ("a: ${ }\n", "cannot be looked up"),
    "NUL": ('a: "b\\0"\n', "U\\+0000"),
    "long text": ("a: " + "x" * 100_001 + "\n", "100,001 characters"),
    "very deep": ("a: " + "[" * 400_000, "nested more than"),
    "very deep dashes": ("- " * 90_000, "nested more than"),
    "deep": ("a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2) + "\n", "nested more than"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_quickly_with_file_and_line(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    started = time.perf_counter()
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
    with pytest.raises(SpecError, match=r"more than 500,000 bytes"):
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
