"""A process that has read a good spec, and forks a child for each hostile one: what that does is watched by Python.

    python -m pizzeria.torture.hostile_specs.kitchen CASES

CASES is a JSON list of {folder, arguments, paths}. Beside what the command says in a child, `seen.json` is written into
the case's folder: exit code, seconds (of processor and clock), what it did that reading a spec needs not, and the
values at `paths` of a spec that was taken.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pizzeria.torture.forked import in_a_fork
from pizzeria.torture.hostile_specs import CANARY, SECRET_FILE

LIMIT = 120
"""Seconds of the clock after which a child is killed."""
_MEMORY = 3 << 30
_DEEDS = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "pty.spawn",
    "subprocess.Popen",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate",
    "os.putenv", "os.kill", "shutil.rmtree", "shutil.copyfile", "shutil.move", "socket.connect", "socket.bind",
    "socket.getaddrinfo", "socket.sendto", "urllib.Request", "http.client.connect", "webbrowser.open",
    "ctypes.dlopen",
    "sqlite3.connect", "code.__new__", "ftplib.connect", "smtplib.connect",
)  # fmt: skip
_FORBIDDEN = (SECRET_FILE, "/etc/passwd", "/etc/shadow", CANARY)


def watch(seen: list[str]) -> None:
    """Note what this process does from now on that the reading of a spec needs not."""

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in _DEEDS:
            seen.append(f"{event} {given[:2]!r}"[:200])
        elif event == "open" and isinstance(given[0], str):
            writes = isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes or any(name in given[0] for name in _FORBIDDEN):
                seen.append(f"open {given[0]}"[:200])
        elif event == "import" and CANARY in str(given[0]):
            seen.append(f"import {given[0]}")

    sys.addaudithook(hook)


def _value(spec: Any, path: str) -> Any:
    section, _, rest = path.partition(".")
    found = getattr(spec, section)
    found = found.resolved() if hasattr(found, "resolved") else found.model_dump(mode="json")
    for part in rest.split("."):
        found = found[part]
    return found


def _child(case: dict[str, Any]) -> None:
    os.chdir(case["folder"])
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    from pizzeria.loading import load_spec

    main = import_module("pizzeria.cli").main  # by name: the command is the layer above

    deeds: list[str] = []
    values: dict[str, Any] = {}
    watch(deeds)
    code: Any = 0
    began, used = time.perf_counter(), time.process_time()
    try:
        main(["validate", *case["arguments"]])
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    did = list(deeds)
    if not code and case["paths"]:
        spec = load_spec(case["arguments"])
        values = {path: _value(spec, path) for path in case["paths"]}
    sys.stdout.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seen = {"code": code, "clock": seconds, "processor": processor, "did": did, "values": values, "peak": peak}
    Path("seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    from pizzeria.loading import load_spec

    cases = json.loads(Path(sys.argv[1]).read_text())
    os.chdir(cases[0]["folder"])
    for _ in range(2):  # the first of them is good; a second time finds all imported
        load_spec(cases[0]["arguments"])
    for each in cases:
        in_a_fork(partial(_child, each), LIMIT)
        print(each["folder"], flush=True)
