"""Does one operation, in a process of its own.

    python -m pizzeria.torture.writing.work prepare|act|check OPERATION FOLDER ANSWER [--stopped]

What came of it goes as JSON to the file ANSWER. With `--stopped` it stops itself first, until somebody who looks on
lets it go on.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pizzeria.disk_trouble import trouble_of
from pizzeria.errors import PizzeriaError
from pizzeria.torture.writing.operation import Operation, operations

_END_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG`: whoever has stopped itself does not wait for ever when the trial is killed."""
_LET_TRACE, _ANYBODY = 0x59616D61, -1
"""`PR_SET_PTRACER`, `PR_SET_PTRACER_ANY`: where only parents may trace (Yama), whoever looks on may, too."""


def main(arguments: list[str]) -> int:
    do, name, folder, answer = arguments[:4]
    at, operation = Path(folder), operations()[name]
    if "--stopped" in arguments:
        ctypes.CDLL(None).prctl(_LET_TRACE, ctypes.c_ulong(_ANYBODY), 0, 0, 0)
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    found = {"prepare": prepare, "act": act, "check": check}[do](operation, at)
    Path(answer).write_text(json.dumps(found))
    return 0


def prepare(operation: Operation, folder: Path) -> dict[str, Any]:
    """Make what is there before."""
    operation.prepare(folder)
    return {"state": operation.state(folder)}


def act(operation: Operation, folder: Path) -> dict[str, Any]:
    """Write; `error` is empty where it went well."""
    try:
        operation.act(folder)
    except Exception as error:  # as a command tells it
        clear = isinstance(error, PizzeriaError) or trouble_of(error) is not None
        return {"error": f"{type(error).__name__}: {error}", "clear": clear}
    return {"error": ""}


def check(operation: Operation, folder: Path) -> dict[str, Any]:
    """What is there, what a second try makes of it, and what that imports."""
    found: dict[str, Any] = {"state": _state(operation, folder)}
    try:
        operation.act(folder)
    except Exception as error:
        return found | {"again": f"{type(error).__name__}: {error}"}
    return found | {"again": _state(operation, folder), "modules": list(sys.modules)}


def _state(operation: Operation, folder: Path) -> str:
    try:
        return operation.state(folder)
    except Exception as error:
        return f"cannot be read: {type(error).__name__}: {error}"


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
