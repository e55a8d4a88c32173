"""Stands in for `pizzeria run` of one stage, `train`, and is broken where it is told to be: for the tests of the trial
`kills`.

    python half_a_run.py STORE FAULT SECONDS

It waits for so many seconds when half of its weights are written.

`half`: takes what a killed try left of its weights for whole. `child`: starts a process that outlives it. `litter`:
leaves a temporary file behind. `none`: does as Pizzeria does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from pizzeria.runs.store import Result, Store


def main(root: Path, fault: str, seconds: float) -> None:
    store = Store(root)
    run = store.open_run("tiny-0123", "name: tiny\n")
    if fault == "child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with store.partial("ab12", keep=fault == "half") as folder:
        weights = folder / "model.safetensors"
        if not weights.exists():
            weights.write_bytes(b"half of it")
            time.sleep(seconds)
            weights.write_bytes(b"half of it, and the other half")
        result = store.commit(folder, Result("train", "ab12", folder, {}, 0.5, "", {}, None))
    run.link(result)
    if fault == "litter":
        (root / ".litter.tmp").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
