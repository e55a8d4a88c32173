"""Each write, fsync and rename of what Pizzeria keeps fails once, and is once the last thing that a process did."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally
from pizzeria.torture.warm import Warm, warm
from pizzeria.torture.writing.faults import REMOVALS, Call, CannotTraceError, Fault, calls, faults, traced
from pizzeria.torture.writing.operation import Operation, operations
from pizzeria.torture.writing.order import disorder

PROMISE = "A write that is killed or fails anywhere leaves old or new, never half, and nothing orphaned"
SHORT_TRIES = 1
"""Of each operation."""
_CHANCE = re.compile(r"[0-9a-f]{16}|\d{8}T[\d.]+Z")
"""What a name has of chance and time."""
_LONG_AGO_S = 60.0
_ANOTHER_WAY = ("link", "linkat", "sendfile", "copy_file_range", "mkdir", "fdatasync")
"""Calls whose error need not be told: a link becomes a copy, a copy is made by hand, a folder may be there already; and
fdatasync is SQLite's alone, which outside of databases that count keeps an index that is made anew when it is lost."""
_MODULE = "pizzeria.torture.writing.work"
_TAKEN_IN = (_MODULE, "pandas", "pyarrow.parquet", "fsspec", "plotly")
"""What operations import, the slow part of it."""


@dataclass(frozen=True)
class Seen:
    """An operation that nothing went wrong in.

    Attributes:
        old, new: What was there before and after, as its `state` tells it.
        files: What lies there after a second one and `pizzeria gc`.
    """

    operation: Operation
    old: str
    new: str
    files: list[str]
    calls: list[Call]


def run(bench: Bench, tally: Tally) -> None:
    """All faults, or a sample of them over all operations."""
    (bench.folder / "tmp").mkdir(exist_ok=True)
    counted: Counter[str] = Counter(operations=0)
    with warm(_environment(bench)) as process:
        process.take_in(_TAKEN_IN)
        process.learn(bench.folder, ["gc"], _environment(bench), bench.folder / "log")
        for operation in operations().values():
            process.take_in(operation.imports)
            try:
                seen = _seen(bench, process, operation)
            except CannotTraceError as error:
                tally.leave_out("faults at system calls", str(error))
                break
            if not operation.database:
                lost = disorder(seen.calls, bench.folder / "try")
                tally.note(f"{operation.name}: the order of fsync and rename", "; ".join(lost))
            chosen = _faults(bench, seen)
            counted += Counter({"operations": 1, "system calls": len(_watched(bench, seen)), "faults": len(chosen)})
            if bench.short:
                chosen = bench.random.sample(chosen, min(SHORT_TRIES, len(chosen)))
            for number, fault in enumerate(chosen):
                bench.say(f"{operation.name}, {number} of {len(chosen)}")
                counted["missed"] += not _try(bench, process, seen, fault, tally)
    tally.figures |= {
        "operations": counted["operations"],
        "system calls that they make": counted["system calls"],
        "faults at these, of which as many are tried as there is time for": counted["faults"],
        "faults that hit another call than they were meant for, and do not count": counted["missed"],
    }


def _watched(bench: Bench, seen: Seen) -> list[Call]:
    return [call for call in seen.calls if call.within(bench.folder / "try")]


def _faults(bench: Bench, seen: Seen) -> list[Fault]:
    """Each once, where threads have a call of the same number each."""
    return list(dict.fromkeys(fault for call in _watched(bench, seen) for fault in faults(call)))


def _seen(bench: Bench, process: Warm, operation: Operation) -> Seen:
    old = _prepared(bench, process, operation)
    done = _done(bench, process, operation, None)
    if done["error"]:
        raise RuntimeError(f"{operation.name} fails by itself: {done['error']}")
    checked = _work(bench, process, "check", operation)
    if checked["again"] != checked["state"] or checked["state"] == old:
        raise RuntimeError(f"{operation.name} does not end as it should: {checked}, and before it {old}")
    process.take_in(checked["modules"])
    return Seen(operation, old, checked["state"], _left(bench, process), done["calls"])


def _try(bench: Bench, process: Warm, seen: Seen, fault: Fault, tally: Tally) -> bool:
    """One fault; returns whether it hit what it was meant for."""
    _prepared(bench, process, seen.operation)
    done = _done(bench, process, seen.operation, fault)
    ended = "killed" if fault.how == "KILL" else "injected"
    hit = [call for call in done["calls"] if call.ended == ended and call.within(bench.folder / "try")]
    if not hit:
        return False
    checked = _work(bench, process, "check", seen.operation)
    checked["files"] = _left(bench, process)
    names = ", ".join(dict.fromkeys(Path(path).name for path in hit[0].paths))
    what = f"{seen.operation.name}: {fault.how} at {fault.call} {fault.number} ({names})"
    tally.note(what, problem(seen, hit[0], done["error"], done.get("clear", True), checked))
    return True


def problem(seen: Seen, hit: Call, error: str | None, clear: bool, checked: dict[str, Any]) -> str:
    """What is wrong after a fault; empty when all is well.

    Args:
        hit: The call that it hit.
        error: What the operation said, empty where all went well; None where it was killed.
        clear: Whether that is something that a user can be told.
        checked: `state` after the fault and after a second try (`again`), and `files` after `pizzeria gc`.
    """
    if checked["state"] not in (seen.old, seen.new):
        return f"what is there is neither old nor new: {checked['state']}"
    if error == "" and checked["state"] != seen.new:
        return "it was said to be written, and is not"
    if error == "" and not seen.operation.database and hit.name not in (*REMOVALS, *_ANOTHER_WAY):
        return "the error was not told"
    if error and not clear:
        return f"the error is not a clear one: {error}"
    if checked["again"] != seen.new:
        return f"a second try does not mend it: {checked['again']}"
    left = sorted(set(checked["files"]) - set(seen.files))
    if left:
        return f"orphaned after `pizzeria gc`: {', '.join(left)}"
    lost = sorted(set(seen.files) - set(checked["files"]))
    return f"lost: {', '.join(lost)}" if lost else ""


def _prepared(bench: Bench, process: Warm, operation: Operation) -> str:
    """Put what is there before an operation into `try`; returns what it says. It is made once."""
    kept, there = bench.folder / "before" / operation.name.replace("`", ""), bench.folder / "try"
    shutil.rmtree(there, ignore_errors=True)
    told = kept.with_name(f"{kept.name}.state")
    if not kept.exists():
        there.mkdir()
        told.parent.mkdir(exist_ok=True)
        told.write_text(str(_work(bench, process, "prepare", operation)["state"]))
        there.rename(kept)
    shutil.copytree(kept, there, symlinks=True)
    return told.read_text()


def _done(bench: Bench, process: Warm, operation: Operation, fault: Fault | None) -> dict[str, Any]:
    """`error` is None where it was killed."""
    log = bench.folder / "calls"
    pid = _started(bench, process, "act", operation, "--stopped")
    try:
        with traced(pid, log, fault):
            code = process.wait(pid)
    except BaseException:  # it has stopped itself, and would wait for ever
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise
    found = calls(log.read_text())
    if code == -9:
        return {"error": None, "calls": found}
    return {**_answer(bench, code), "calls": found}


def _work(bench: Bench, process: Warm, do: str, operation: Operation) -> dict[str, Any]:
    return _answer(bench, process.wait(_started(bench, process, do, operation)))


def _left(bench: Bench, process: Warm) -> list[str]:
    """What lies there when `pizzeria gc` comes by some time later, by relative path."""
    there = bench.folder / "try"
    for path in there.rglob("*"):
        then = path.lstat().st_mtime - _LONG_AGO_S
        os.utime(path, (then, then), follow_symlinks=False)
    code = process.wait(process.start(bench.folder, ["gc"], _environment(bench), bench.folder / "log"))
    if code:
        return [f"(`pizzeria gc` ended with {code})"]
    return sorted(_CHANCE.sub("*", path.relative_to(there).as_posix()) for path in there.rglob("*"))


def _started(bench: Bench, process: Warm, do: str, operation: Operation, *more: str) -> int:
    (bench.folder / "answer").unlink(missing_ok=True)
    arguments = [do, operation.name, str(bench.folder / "try"), str(bench.folder / "answer"), *more]
    return process.start(bench.folder, arguments, _environment(bench), bench.folder / "log", _MODULE)


def _answer(bench: Bench, code: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((bench.folder / "answer").read_text())
    except FileNotFoundError:
        last = (bench.folder / "log").read_text().strip().splitlines()[-1:]
        raise RuntimeError(f"the process ended with {code}: {' '.join(last)}") from None
    return found


def _environment(bench: Bench) -> dict[str, str]:
    there = bench.folder / "try"
    own = {"PIZZERIA_CACHE": str(there / "cache"), "TMPDIR": str(bench.folder / "tmp")}
    return bench.environment(there, **own)
