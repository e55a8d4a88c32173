"""What the trial `disk_full` does in its mount namespace: `python -m pizzeria.torture.full_disks '{"folder": ...}'`.

It tells of each try as a line of JSON.
"""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pizzeria.errors import DeploymentError, StorageError, TrainingError
from pizzeria.graph import stages
from pizzeria.torture import workplace
from pizzeria.torture.bench import Bench
from pizzeria.torture.commands import Case
from pizzeria.torture.endings import differences, left_over, outcome
from pizzeria.torture.full_disk_serving import serve_on
from pizzeria.torture.warm import warm

SIZE = 256 << 20
_STEPS = (0, 8 << 10, 40 << 10, 72 << 10, 120 << 10, 200 << 10, 400 << 10, 1 << 20, 3 << 20, 8 << 20)
"""Bytes that are left free, one after the other, until a stage gets through; a random part of the step is added."""
Note = Callable[[str, str], object]
_AFTERWARDS = ("report", "monitor", "status", "history", "maintain", "stop")
_DONE = (0, 10, 11)
"""Exit codes of a command that was done: well, with an alert, or undecided."""
NAME = "try"
_SHOWN, _PAGE = 400, 4096
_TOLD = {
    StorageError.exit_code: ("has no room", "free some space"),
    TrainingError.exit_code: ("cannot be written", os.strerror(errno.ENOSPC), "make room"),
    DeploymentError.exit_code: ("the end of ", os.strerror(errno.ENOSPC), "free some space"),
}
"""By exit code, what a command says that ran out of room. A training says which checkpoint it goes on from; a service
that found none, in its log, whose end is quoted."""


@dataclass(frozen=True)
class Disk:
    """A tmpfs that can be filled."""

    folder: Path

    @property
    def free(self) -> int:
        """Bytes."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Take all room but so many bytes."""
        self.empty()
        with open(self.folder / "ballast", "wb") as stream:
            taken, step = 0, self.free - leave
            while step >= _PAGE:
                try:
                    os.posix_fallocate(stream.fileno(), taken, step)
                    taken, step = taken + step, self.free - leave
                except OSError:  # somebody else has just taken some of it
                    step //= 2

    def empty(self) -> None:
        """Give the room back."""
        (self.folder / "ballast").unlink(missing_ok=True)


def main(folder: Path, *, short: bool, seed: int) -> None:
    """Mount, fill, try."""
    disk = Disk(folder / "disk")
    disk.folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "torture", str(disk.folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    bench = Bench(folder, short, random.Random(seed), lambda text: _tell(say=text))
    with warm(bench.environment(folder)) as forks:
        spec = workplace.rows(folder / "work")
        case = Case(bench, forks, spec, disk.folder, until="package" if short else "deploy")
        try:
            _run_on(case, disk)
            if not short:
                serve_on(case, NAME, disk.fill, disk.empty, note)
                _afterwards_on(case, disk)
        finally:
            disk.empty()
            case.remove(NAME)


def _run_on(case: Case, disk: Disk) -> None:
    """Run out of room at every stage, several times; give it room; compare how the run ends."""
    case.forks.learn(
        case.spec.parent, ("run", case.spec.name, "--until", case.until), case.environment("a"), case.log("a")
    )
    alone = outcome(case.store("a"), case.spec.stem)
    case.remove("a")
    note("a run with room", "" if alone.get(f"{case.until}: complete") else f"it does not end: {case.said('a')}")
    names = [stage.NAME for stage in stages() if f"{stage.NAME}: complete" in alone]
    steps = _STEPS[::3] if case.bench.short else _STEPS
    for stage in names:
        done: dict[str, str] = {}
        for step in steps:
            leave = step + case.bench.random.randrange(max(step // 2, 1))
            disk.fill(leave)
            code, said = _command(case, "run", case.spec.name, "--until", stage)
            disk.empty()
            if code == 0:
                break
            problem = badly_told(code, said) or lost(done, outcome(case.store(NAME), case.spec.stem))
            note(f"run --until {stage} with {leave} bytes free", problem)
            done = _done(case)
        code, said = _command(case, "run", case.spec.name, "--until", stage)
        note(f"the same command with room, to {stage}", f"it ended with {code}: {said}" if code else "")
    problem = differences(alone, outcome(case.store(NAME), case.spec.stem))
    _command(case, "gc")
    files = left_over([case.store(NAME), case.store(NAME).with_suffix(".cache"), case.store(NAME).with_suffix(".tmp")])
    note("how the run ended", problem or (f"left over: {', '.join(files[:3])}" if files else ""))


def _afterwards_on(case: Case, disk: Disk) -> None:
    """Commands about what is live, on a full disk: told well, nothing lost, and right when there is room."""
    before = outcome(case.store(NAME), case.spec.stem)
    for command in _AFTERWARDS:
        for leave in (0, 40 << 10, 200 << 10):
            disk.fill(leave)
            code, said = _command(case, command, case.spec.stem)
            disk.empty()
            problem = "" if code in _DONE else badly_told(code, said)
            if command != "stop":  # which may have been done
                problem = problem or lost(before, outcome(case.store(NAME), case.spec.stem))
            note(f"{command} with {leave} bytes free (exit code {code})", problem)
            if command == "stop" and code == 0:
                return
        code, said = _command(case, command, case.spec.stem)
        note(f"{command} with room (exit code {code})", "" if code in _DONE else f"it does not go on: {said[-_SHOWN:]}")


def badly_told(code: int, said: str) -> str:
    """What is wrong with the end of a command that ran out of room; empty when it says so, and what to do.

    Example:
        >>> badly_told(9, "error: the disk at /mnt has no room ...\\n    free some space")
        ''
        >>> badly_told(1, "error: something")
        'it ended with 1 and does not say that the disk is full: error: something'
    """
    if crashed := _crashed(said):
        return crashed
    if _TOLD.get(code) and all(part in said for part in _TOLD[code]):
        return ""
    return f"it ended with {code} and does not say that the disk is full: {said[-_SHOWN:]}"


def _crashed(said: str) -> str:
    return f"a traceback: {said[-_SHOWN:]}" if said.startswith("Traceback") or "\nTraceback" in said else ""


def lost(before: dict[str, str], now: dict[str, str]) -> str:
    """What stood before and does not stand now."""
    gone = [name for name, value in before.items() if now.get(name) != value]
    return f"lost: {', '.join(gone)}" if gone else ""


def _done(case: Case) -> dict[str, str]:
    return outcome(case.store(NAME), case.spec.stem)


def _command(case: Case, *arguments: str) -> tuple[int, str]:
    """Run a command; its log lies on another disk, as a terminal does."""
    case.environment(NAME)
    log = case.log(NAME)
    since = log.stat().st_size if log.exists() else 0
    code = case.run(NAME, *arguments)
    return code, case.said(NAME, since)


def note(what: str, problem: str) -> None:
    """Tell of one try."""
    _tell(what=what, problem=problem)
    _tell(say=f"{what}: {problem or 'held'}")


def _tell(**told: object) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(Path(given["folder"]), short=given["short"], seed=given["seed"])
