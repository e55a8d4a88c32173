"""The trial `writes` sees a half write, a lost one, an error that is swallowed, and what is left behind."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pizzeria.torture import writes
from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally
from pizzeria.torture.writing import faults
from pizzeria.torture.writing.faults import Call, Ending, Fault, calls
from pizzeria.torture.writing.operation import Operation, operations
from pizzeria.torture.writing.order import disorder

FOLDER = Path("/f")
HALVES = """
import pizzeria.atomic

def write_bytes(path, data):
    with open(path, "wb", buffering=0) as stream:
        stream.write(data[:5])
        stream.write(data[5:])

pizzeria.atomic.write_bytes = write_bytes
"""
UNSYNCED = """
import pizzeria.atomic

pizzeria.atomic.sync = lambda path: None
"""
SWALLOWED = """
import contextlib
import pizzeria.atomic

plain = pizzeria.atomic.write_bytes

def write_bytes(path, data):
    with contextlib.suppress(OSError):
        plain(path, data)

pizzeria.atomic.write_bytes = write_bytes
"""
LEFT = """
import pathlib

pathlib.Path.unlink = lambda *_, **__: None
"""


def call(name: str, *paths: str, ended: Ending = "well") -> Call:
    return Call(name, 1, paths, ended)


def test_calls_are_counted_in_each_thread_and_name_their_paths() -> None:
    log = """\
7  fsync(3</f/a>) = 0
8  fsync(4</f/b> <unfinished ...>
7  unlinkat(5</f/sub>, "c", 0) = -1 ENOENT (No such file or directory)
8  <... fsync resumed>) = 0
7  rename("/f/.a.tmp", "/f/a") = -1 ENOSPC (No space left on device) (INJECTED)
7  fsync(3</g/a>) = ?
7  +++ killed by SIGKILL +++
"""
    found = calls(log)
    assert [(one.name, one.number, one.ended) for one in found] == [
        ("fsync", 1, "well"),
        ("fsync", 1, "well"),
        ("unlinkat", 1, "error"),
        ("rename", 1, "injected"),
        ("fsync", 2, "killed"),
    ]
    assert found[2].paths == ("/f/sub/c",)
    assert found[3].paths == ("/f/.a.tmp", "/f/a")
    assert [one.within(FOLDER) for one in found] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ([call("write", "/f/.a.tmp"), call("rename", "/f/.a.tmp", "/f/a"), call("fsync", "/f")], "a gets its name"),
        ([call("rename", "/f/.a.tmp", "/f/a")], "the name of a is never on disk"),
        ([call("symlink", "/f/a"), call("fsync", "/f", ended="error")], "the name of a is never on disk"),
        (
            [call("mkdir", "/f/.b.tmp/sub"), call("rename", "/f/.b.tmp", "/f/b"), call("fsync", "/f")],
            "b gets its name before its content",
        ),
        (
            [call("write", "/f/.b.tmp/c"), call("fsync", "/f/.b.tmp"), call("rename", "/f/.b.tmp", "/f/b")],
            "b gets its name before c in it",
        ),
    ],
)
def test_what_the_loss_of_power_could_take_is_told(made: list[Call], told: str) -> None:
    assert told in "; ".join(disorder(made, FOLDER))


@pytest.mark.parametrize(
    ("checked", "error", "clear", "told"),
    [
        ({"state": "half"}, None, True, "neither old nor new"),
        ({"state": "old"}, "", True, "said to be written, and is not"),
        ({"state": "new"}, "", True, "the error was not told"),
        ({"state": "old"}, "KeyError: 1", False, "not a clear one"),
        ({"state": "old", "again": "KeyError"}, "OSError", True, "a second try does not mend it"),
        ({"state": "old", "files": ["a", "b.tmp"]}, "OSError", True, "orphaned after `pizzeria gc`: b.tmp"),
        ({"state": "old", "files": []}, "OSError", True, "lost: a"),
        ({"state": "old"}, "OSError", True, ""),
        ({"state": "new"}, None, True, ""),
    ],
)
def test_what_is_wrong_after_a_fault_is_told(checked: Any, error: str | None, clear: bool, told: str) -> None:
    seen = writes.Seen(Operation("a", str, str, str), "old", "new", ["a"], [])
    found = writes.problem(seen, call("write", "/f/a"), error, clear, {"again": "new", "files": ["a"]} | checked)
    assert (told in found) if told else not found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here")
    return Bench(tmp_path, short=False, random=random.Random(0))


@pytest.mark.parametrize(
    ("planted", "fault", "told"),
    [
        (HALVES, Fault("write", 2, "KILL"), "neither old nor new"),
        (UNSYNCED, Fault("fsync", 1, "EIO"), "is never on disk"),
        (SWALLOWED, Fault("rename", 1, "EIO"), "said to be written, and is not"),
        (LEFT, Fault("fsync", 1, "ENOSPC"), "orphaned after `pizzeria gc`"),
        ("", Fault("fsync", 1, "ENOSPC"), ""),
    ],
    ids=["halves", "unsynced", "swallowed", "left", "sound"],
)
def test_a_writer_that_breaks_the_promise_is_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, planted: str, fault: Fault, told: str
) -> None:
    (bench.folder / "planted.py").write_text(planted)
    monkeypatch.setenv("PYTHONPATH", str(bench.folder), prepend=":")
    monkeypatch.setattr(writes, "_TAKEN_IN", ("planted",))
    monkeypatch.setattr(writes, "_faults", lambda *_: [fault])
    only = operations()["spec of a run"]
    monkeypatch.setattr(writes, "operations", lambda: {only.name: only})
    tally = Tally()
    writes.run(bench, tally)
    assert tally.tried == 2
    assert told in "; ".join(tally.broken)
    assert bool(tally.broken) == bool(told)


def test_without_strace_it_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults.shutil, "which", lambda _: None)
    monkeypatch.setattr(writes, "_TAKEN_IN", ())
    tally = Tally()
    writes.run(Bench(tmp_path, short=True, random=random.Random(0)), tally)
    assert tally.tried == 0
    assert tally.left_out == ["faults at system calls: strace is not installed: apt-get install strace, say"]
