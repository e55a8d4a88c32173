"""Fills a disk under every stage of a run, under what comes after it, and under a service at work.

The disk is a tmpfs that holds store, caches and temporary files, in a mount namespace of its own, so that nobody else
sees it and nothing of it is left. `pizzeria.torture.full_disks` is what works in there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally

PROMISE = (
    "On a full disk a command says which disk it is, loses nothing, and goes on when there is room; serving goes on"
)


def run(bench: Bench, tally: Tally) -> None:
    within = mounting()
    if why := impossible(within, bench.folder):
        tally.leave_out("full disks", why)
        return
    arguments = {"folder": str(bench.folder), "short": bench.short, "seed": bench.random.getrandbits(32)}
    work = [*within, sys.executable, "-m", "pizzeria.torture.full_disks", json.dumps(arguments)]
    with subprocess.Popen(work, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "say" in told:
                bench.say(told["say"])
            elif "figures" in told:
                tally.figures |= told["figures"]
            else:
                tally.note(told["what"], told["problem"])
    if process.returncode:
        tally.note("full disks", f"what fills them ended with {process.returncode}")


def mounting() -> tuple[str, ...]:
    """Begins a command that may mount what nobody else sees."""
    return ("unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []))


def impossible(within: tuple[str, ...], folder: Path) -> str:
    """Why no disk of one's own can be had here; empty where it can."""
    if not shutil.which("unshare") or not shutil.which("mount"):
        return "there is no unshare or no mount (install util-linux)"
    tried = subprocess.run(
        [*within, "mount", "-t", "tmpfs", "-o", "size=1m", "torture", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        return f"a tmpfs cannot be mounted ({tried.stderr.strip()}); it takes root, or user namespaces"
    return ""
