"""What a monitoring container does: `pizzeria monitor NAME` again and again, until SIGTERM.

python -m pizzeria_plugins.targets.container_image.watching NAME INTERVAL

The image brings the run, and the volume keeps what passes leave. `pizzeria cycle` goes by a ledger, which an image has
not: what is live is the model that it was built with.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from pizzeria.atomic import copy_file

BROUGHT = Path("/opt/pizzeria/store")

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PATIENCE_S = 20.0
_LOOK_S = 0.5


def seconds(interval: str) -> float:
    """An interval in seconds.

    Example:
        >>> seconds("15m")
        900.0
    """
    return float(int(interval[:-1]) * _UNITS_S[interval[-1]])


def lay_out(brought: Path, store: Path) -> None:
    """Put the run of the image into the store, where other runs may lie already; one that is there stays as it is."""
    for path in sorted(brought.rglob("*")):
        target = store / path.relative_to(brought)
        if path.is_symlink():
            if not target.is_symlink():
                target.symlink_to(path.readlink())
        elif path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif not target.exists():
            copy_file(path, target)
    for spec in brought.glob("*/spec.yaml"):  # the newest run of a name is the one that is meant
        os.utime(store / spec.relative_to(brought))


def watch(name: str, every_s: float, store: Path) -> None:
    """Make a pass now, and then at each interval; a pass that fails stops nothing."""
    # No Event, and no long wait: Python hears a signal that comes as a wait begins only when the wait is over, and one
    # inside of `Event.wait` finds its lock taken by this very thread.
    over: list[int] = []
    at_work: list[subprocess.Popen[bytes]] = []

    def end(number: int, _frame: FrameType | None) -> None:
        over.append(number)
        for process in at_work:
            process.terminate()

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, end)
    command = [sys.executable, "-m", "pizzeria.cli", "--store", str(store), "monitor", name]
    while not over:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        at_work[:] = [process]
        if over:
            process.terminate()
        code = _end_of(process, over)
        print(f"monitor of {name}: exit code {code}", flush=True)
        while not over and (left := begun + every_s - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))


def _end_of(process: subprocess.Popen[bytes], over: Sequence[int]) -> int:
    told = 0.0
    while True:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            told = told or (time.monotonic() if over else 0.0)
            if told and time.monotonic() - told > _PATIENCE_S:
                process.kill()


def main(argv: list[str]) -> None:
    """The command itself."""
    name, every = argv
    store = Path(os.environ["PIZZERIA_STORE"])
    store.mkdir(parents=True, exist_ok=True)
    lay_out(BROUGHT, store)
    watch(name, seconds(every), store)


if __name__ == "__main__":
    main(sys.argv[1:])
