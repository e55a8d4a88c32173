"""The trial `specs` sees what it claims to see: breaks are planted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pizzeria.torture import specs, workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.hostile_specs import SECRET_FILE, SECRET_NAME, Hostile, draw, said

SEEN = {"code": 2, "did": [], "values": {}, "processor": 0.1}
REFUSED = "error: 1 fault in the spec; nothing was run\ntiny.yaml:8: problem.need: no"
PLANTED = """
import pizzeria.spec.reading as reading, pizzeria.spec.lookups as lookups
reading.fault_in = lambda text: None
lookups.count = lambda *given: None
"""


@pytest.mark.parametrize(
    ("seen", "text", "problem"),
    [
        (SEEN, REFUSED, ""),
        (None, "", "no end within"),
        (SEEN | {"did": ["os.system ('id',)"]}, REFUSED, "it did os.system"),
        (SEEN, REFUSED + " s3cr3t", "secret is told"),
        (SEEN | {"code": 1}, "Traceback (most recent call last):\nValueError: x", "a traceback: ValueError"),
        (SEEN | {"code": 0}, "the spec is right", "ended with 0"),
        (SEEN | {"processor": 0.3}, REFUSED, "took 0.30 s"),
        (SEEN, REFUSED.replace(":8", ":9"), "line 8 is not told"),
        (SEEN, "error: 1 fault in the spec", "no place is told"),
        (SEEN, REFUSED + "\x1b[2J", "commands the terminal"),
        (SEEN, REFUSED + "x" * 50_000, "a message of"),
    ],
)
def test_what_is_wrong_is_told(seen: dict[str, Any] | None, text: str, problem: str) -> None:
    found = specs.judge(Hostile("family", "what", b"", line=8), seen, text, "s3cr3t")
    assert problem in found
    assert bool(found) is bool(problem)


def test_a_harmless_text_must_come_out_as_it_was_written() -> None:
    spec = Hostile("quoted", "'no'", b"", typed={"problem.need": "no"})
    assert not specs.judge(spec, SEEN | {"code": 0, "values": {"problem.need": "no"}}, "", "s3cr3t")
    assert "came out as" in specs.judge(spec, SEEN | {"code": 0, "values": {"problem.need": False}}, "", "s3cr3t")


def test_a_pizzeria_that_follows_any_look_up_is_seen_to_tell_the_secret(tmp_path: Path) -> None:
    """Planted: the process that reads specs has the check of look-ups switched off."""
    (tmp_path / "sitecustomize.py").write_text(PLANTED)
    bench = Bench(tmp_path, True, random.Random(0))
    good = workplace.rows(tmp_path / "good", count=5)
    attack = said(good.read_text(), "owner", f"['${{oc.env:{SECRET_NAME}}}']")[0]
    folders = []
    for name, content in (("0", good.read_bytes()), ("1", attack)):
        folders.append(tmp_path / name)
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.yaml").write_bytes(content)
    environment = bench.environment(tmp_path, PYTHONPATH=str(tmp_path), **{SECRET_NAME: "s3cr3t-1"})
    spec = Hostile("resolver", "oc.env", attack)
    (seen,) = specs._read(tmp_path, folders, [spec, spec], environment)[1:]
    assert specs.judge(spec, seen, specs._said(folders[1]), "s3cr3t-1") == "the secret is told"


def test_the_same_seed_draws_the_same_specs_of_all_families(tmp_path: Path) -> None:
    good = workplace.rows(tmp_path, count=5, port=3000).read_text()
    drawn = draw(random.Random(3), good, 500)
    assert drawn == draw(random.Random(3), good, 500)
    assert len(drawn) == 500
    assert len({spec.family for spec in drawn}) > 30
    assert len({(spec.content, spec.arguments) for spec in drawn}) > 250


def test_what_a_spec_leaves_behind_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    for name in ("tiny.yaml", SECRET_FILE, "seen.json"):
        (folder / name).write_text("")
    assert not specs._left(tmp_path, folder, "s3cr3t")
    (folder / "elsewhere").write_text("")
    assert specs._left(tmp_path, folder, "s3cr3t") == "it wrote elsewhere"
    (tmp_path / "canary-sang").write_text("")
    assert specs._left(tmp_path, folder, "s3cr3t") == "code of the canary was run"
