"""A process that has imported what commands import, and forks them off: a whole run begins at once, not after 10 s.

    python -m pizzeria.torture.warm

It reads orders as lines of JSON and answers each with one. A command that is forked off does what `python -m
pizzeria.cli` does, in a process and a session of its own.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pizzeria.torture.bench import PIZZERIA

_MODULES = "PIZZERIA_TORTURE_MODULES"
"""Where a command tells at its end what it has imported."""


class Warm:
    """Such a process, as a trial sees it.

    Args:
        environment: Of the process; that of each command comes with it.
        within: A command that it is started by, such as `unshare`.
    """

    def __init__(self, environment: Mapping[str, str], within: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*within, PIZZERIA[0], "-m", "pizzeria.torture.warm"],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = int(self._ask({"do": "pid"}))

    def start(
        self,
        folder: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        module: str = "pizzeria.cli",
    ) -> int:
        """Fork a command off, in `folder`; returns its process id. What it says is added to `log`.

        Args:
            module: What it is, as for `python -m`.
        """
        order = {"folder": str(folder), "arguments": list(arguments), "environment": dict(environment), "log": str(log)}
        return int(self._ask({"do": "start", "module": module, **order}))

    def wait(self, pid: int) -> int:
        """Wait for a command; returns its exit code, or minus the signal that it died of."""
        return int(self._ask({"do": "wait", "pid": pid}))

    def learn(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
        """Run a command to its end, and import what it has imported; returns its exit code."""
        told = log.with_suffix(".modules")
        code = self.wait(self.start(folder, arguments, {**environment, _MODULES: str(told)}, log))
        self.take_in(json.loads(told.read_text()))
        return code

    def take_in(self, modules: Sequence[str]) -> None:
        """Import modules; those that are not there are passed over."""
        self._ask({"do": "import", "modules": list(modules)})

    def close(self) -> None:
        """End it; commands that are at work go on."""
        with suppress(BrokenPipeError):
            self._process.communicate(timeout=30)

    def _ask(self, order: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that forks commands off ended with {self._process.wait()}")
        return json.loads(answer)


@contextmanager
def warm(environment: Mapping[str, str], within: Sequence[str] = ()) -> Iterator[Warm]:
    """A warm process, ended afterwards."""
    process = Warm(environment, within)
    try:
        yield process
    finally:
        process.close()


def _serve() -> dict[str, Any] | None:
    """Take orders; returns in a process that was forked off, with the order, or with None when there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            if threading.active_count() > 1:
                raise RuntimeError(f"threads live here: {threading.enumerate()}")
            answer = os.fork()
            if not answer:
                return dict(order)
        elif order["do"] == "wait":
            answer = os.waitstatus_to_exitcode(os.waitpid(order["pid"], 0)[1])
        elif order["do"] == "import":
            answer = _imported(order["modules"])
        else:
            answer = os.getpid()
        print(json.dumps(answer), flush=True)
    return None


def _imported(names: Sequence[str]) -> int:
    warnings.simplefilter("ignore")
    for name in names:
        with suppress(Exception):  # some are no modules of files
            import_module(name)
    return len(sys.modules)


def _become(order: Mapping[str, Any]) -> None:
    """Be the command."""
    os.setsid()
    with open(os.devnull) as nothing, open(order["log"], "ab") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["pizzeria", *order["arguments"]]
    code: object = 0
    try:
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if told := os.environ.get(_MODULES):
        Path(told).write_text(json.dumps([name for name in list(sys.modules) if name != "pizzeria.cli.__main__"]))
    sys.stdout.flush()
    # Libraries that were loaded before the fork wait for ever for their threads when they are taken down.
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    if (found := _serve()) is not None:
        _become(found)
    os._exit(0)  # as above
