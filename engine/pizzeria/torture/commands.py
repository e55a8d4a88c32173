"""Commands on one spec, each time in a store of its own: forked off a warm process, or started as a user does."""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pizzeria.torture.bench import Bench
from pizzeria.torture.warm import Warm

_LONGEST_S = 900.0
_TOLD = 4000


class Command:
    """A command at work.

    Args:
        pid: Of its process, which may be a child of another one.
        wait: Reaps it; returns its exit code, or minus the signal that it died of.
    """

    def __init__(self, pid: int, wait: Callable[[], int]) -> None:
        self.pid, self._wait = pid, wait
        self._handle = os.pidfd_open(pid)

    def lives(self, seconds: float) -> bool:
        """Whether it is still at work after so many seconds; returns at once when it ends."""
        return not select.select([self._handle], [], [], seconds)[0]

    def kill(self) -> None:
        """kill -9; nothing when it has ended."""
        try:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        except ProcessLookupError:
            return

    def ended(self, timeout_s: float = _LONGEST_S) -> int:
        """Wait for its end, which is brought about after `timeout_s`; returns its exit code."""
        if self.lives(timeout_s):
            self.kill()
        os.close(self._handle)
        return self._wait()


@dataclass(frozen=True)
class Case:
    """A spec.

    Attributes:
        spec: Its file, in a folder of its own.
        place: Where its stores, caches and temporary files are made.
        until: The last stage that its runs go to.
    """

    bench: Bench
    forks: Warm
    spec: Path
    place: Path
    until: str = "deploy"

    def store(self, name: str) -> Path:
        """The store of one try; beside it, `<name>.cache` and `<name>.tmp`."""
        return self.place / name

    def environment(self, name: str) -> dict[str, str]:
        """Of the commands of one try."""
        store = self.store(name)
        temporary = store.with_suffix(".tmp")
        temporary.mkdir(parents=True, exist_ok=True)
        own = {"PIZZERIA_STORE": store, "PIZZERIA_CACHE": store.with_suffix(".cache"), "TMPDIR": temporary}
        return self.bench.environment(self.spec.parent, **{key: str(path) for key, path in own.items()})

    def start(self, name: str, *arguments: str, real: bool = False) -> Command:
        """Start a command; `pizzeria run` of the spec, when no arguments are given.

        Args:
            real: A process that begins from nothing, instead of one that is forked off.
        """
        arguments = arguments or ("run", self.spec.name, "--until", self.until)
        environment, log = self.environment(name), self.log(name)
        if real:
            process = self.bench.start(self.spec.parent, *arguments, env=environment, log=log)
            return Command(process.pid, process.wait)
        pid = self.forks.start(self.spec.parent, arguments, environment, log)
        return Command(pid, lambda: self.forks.wait(pid))

    def run(self, name: str, *arguments: str, real: bool = False) -> int:
        """A command to its end; returns its exit code."""
        return self.start(name, *arguments, real=real).ended()

    def log(self, name: str) -> Path:
        """What the commands of one try said, which lies beside the spec: that disk is never full."""
        return self.spec.with_name(f"{name}.log")

    def said(self, name: str, since: int = 0) -> str:
        """The end of what was said, from a byte of the log on."""
        return self.log(name).read_bytes()[since:].decode(errors="replace")[-_TOLD:].strip()

    def remove(self, name: str) -> None:
        """Take down what a try left running, and remove all that it left."""
        store = self.store(name)
        if self.until == "deploy" and (store / "ledger.sqlite").exists():
            self.run(name, "stop", self.spec.stem)
        for path in (store, store.with_suffix(".cache"), store.with_suffix(".tmp")):
            shutil.rmtree(path, ignore_errors=True)
        self.log(name).unlink(missing_ok=True)

    def keep(self, name: str, kept: str) -> None:
        """Give what a try left another name, for whoever wants to look at it."""
        for suffix in ("", ".cache", ".tmp"):
            if (path := self.store(name + suffix)).exists():
                path.rename(self.store(kept + suffix))
        self.log(name).rename(self.log(kept))
