"""Where a trial works, and with what: a folder, a generator of chance, and the command as a user starts it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PIZZERIA = (sys.executable, "-m", "pizzeria.cli")
"""The command of this very installation."""


@dataclass(frozen=True)
class Bench:
    """What a trial is given.

    Attributes:
        folder: Its own, empty; removed afterwards.
        short: Whether it is to do little.
        random: Chance, from the seed and the trial's name, so that the same try can be made again.
        say: Tells the user how far it is.
    """

    folder: Path
    short: bool
    random: random.Random
    say: Callable[[str], object] = field(default=lambda _: None)

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """The environment of a command in a folder: a store and caches of its own, one thread, wide lines."""
        own = {"PIZZERIA_STORE": str(folder / "runs"), "PIZZERIA_CACHE": str(self.folder / "cache"), "COLUMNS": "160"}
        kept = {name: value for name, value in os.environ.items() if name != "PIZZERIA_ARTIFACTS"}
        return kept | own | {"OMP_NUM_THREADS": "1"} | more

    def pizzeria(
        self, folder: Path, *arguments: str, timeout: float = 600, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a folder to its end.

        Args:
            timeout: Seconds.
            env: On top of `environment`.
        """
        return subprocess.run(
            [*PIZZERIA, *arguments],
            cwd=folder,
            env=self.environment(folder, **dict(env or {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(
        self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in a folder, in a session of its own; what it says goes to `log`."""
        with open(log or os.devnull, "ab") as out:
            return subprocess.Popen(
                [*PIZZERIA, *arguments],
                cwd=folder,
                env=self.environment(folder, **dict(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
