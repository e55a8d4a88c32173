"""`make mutants`: how many small faults in the code that decides things are found by the tests that are about it.

mutmut plants one fault at a time (a changed comparison, number, text, argument ...) in each module of `SUBJECTS` and
runs the tests that reach it. A fault is killed where a test fails, or never ends. Before it begins, mutmut makes sure
that the planted code is what the tests run: a fault in all of it must make them fail, or it stops there.

It wants the sources below `src/`, and works in a copy of them: build/mutation/mutants. Its server, from which a process
is forked for each fault, has imported the tests and run none, so that no thread or cache of another test is inherited.

Usage: python tests/mutation/measure.py [--json PATH] [--only PART] [FAULT ...]. With faults, or patterns of them, those
are tried again with what stands in tests/ now, and the rest keeps its result; `--only gate` takes one module.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "mutation"
LEAST = 0.85
SUBJECTS: dict[str, tuple[str, ...]] = {
    "gate": ("tests/engine/test_gate.py",),
    "fingerprint": ("tests/engine/test_fingerprint.py",),
    "runs/ledger": ("tests/engine/runs/test_ledger.py", "tests/engine/runs/test_ledger_queries.py"),
    "inference/bands": ("tests/engine/inference/test_bands.py",),
    "inference/listing": ("tests/engine/inference/test_listing.py",),
    "inference/rooms": ("tests/engine/inference/test_rooms.py",),
    "verification/judge": ("tests/engine/verification/test_judge.py",),
}
"""By module of engine/pizzeria: the quick tests that are about it. Whichever of these reaches a fault may find it."""

PYTEST = (
    *("--import-mode=importlib", "--hypothesis-seed=0", "-p", "_hypothesis_pytestplugin"),
    *("-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("--deselect", "tests/engine/runs/test_ledger.py::test_many_write_at_once"),  # processes that have no fault
)
QUICK = {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""No plugin but hypothesis's own: to begin and to end costs more than most of these tests."""
MEMORY = Path(f"/dev/shm/pizzeria-mutation-{os.getpid()}")
"""Where the tests write, if there is such a place: what is to survive a power cut is no question here."""


def main() -> int:
    wanted = argparse.ArgumentParser(description="How many planted faults the tests find.")
    wanted.add_argument("--json", type=Path, help="write {module: {killed, survived, timeout, total}} there")
    wanted.add_argument("--only", action="append", choices=SUBJECTS, help="one of the modules, or several")
    wanted.add_argument("faults", nargs="*", help="only these, again")
    given = wanted.parse_args()
    subjects = {name: tests for name, tests in SUBJECTS.items() if not given.only or name in given.only}
    _prepare(subjects, anew=not given.faults)
    try:
        _mutmut("run", "--max-children", str(os.cpu_count() or 1), *given.faults)
    finally:
        shutil.rmtree(MEMORY, ignore_errors=True)
    found = _results(subjects)
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return _tell(found)


def _prepare(subjects: dict[str, tuple[str, ...]], anew: bool) -> None:
    """A folder as mutmut wants it, with the project's own settings of pytest."""
    if anew:
        shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    if os.access(MEMORY.parent, os.W_OK):
        MEMORY.mkdir(exist_ok=True)
    for name, original in (("src", "engine"), ("tests", "tests")):
        if not (PLACE / name).is_symlink():
            (PLACE / name).symlink_to(ROOT / original)
    tests = [test for several in subjects.values() for test in several]
    (PLACE / "setup.cfg").write_text(
        "[mutmut]\n"
        "source_paths=src\n"
        f"only_mutate={_lines(f'src/pizzeria/{name}.py' for name in subjects)}\n"
        f"pytest_add_cli_args_test_selection={_lines(tests)}\n"
        f"pytest_add_cli_args={_lines(PYTEST)}\n"
        "process_isolation=forkserver\n"
        "timeout_constant=4\n"
        "use_git_change_detection=false\n"
        "[tool:pytest]\n"
        "filterwarnings = error\n"
    )


def _lines(values: object) -> str:
    return "\n    " + "\n    ".join(values) + "\n    "  # type: ignore[call-overload]


def _mutmut(*arguments: str) -> str:
    """Its output, without the pictures of its progress."""
    argv = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(argv, cwd=PLACE, env=os.environ | QUICK, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"mutmut {arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _results(subjects: dict[str, tuple[str, ...]]) -> dict[str, dict[str, int]]:
    told = [line.strip().rpartition(": ")[::2] for line in _mutmut("results", "--all", "true").splitlines()]
    found = {}
    for name in subjects:
        module = f"pizzeria.{name.replace('/', '.')}."
        ends = Counter(end for fault, end in told if fault.startswith(module))
        others = {end.replace(" ", "_"): count for end, count in ends.items()}
        found[name] = {"killed": 0, "survived": 0, "timeout": 0} | others | {"total": ends.total()}
    return found


def _tell(found: dict[str, dict[str, int]]) -> int:
    """A line for each module; 1 where one has fewer killed than `LEAST`."""
    short = False
    for name, ends in found.items():
        share = (ends["killed"] + ends["timeout"]) / max(ends["total"], 1)
        short |= share < LEAST
        print(f"{name:20} {ends['total']:4} faults, {share:6.1%} killed{'' if share >= LEAST else ': too few'}")
    print(f"at least {LEAST:.0%} of each are wanted; `mutmut results` and `mutmut show FAULT` in {PLACE} tell the rest")
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
