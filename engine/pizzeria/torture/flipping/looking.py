"""Takes something up in a process of its own, which has seen nothing of it before, and tells what came of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pizzeria.errors import PizzeriaError, SpecError


@dataclass(frozen=True)
class Look:
    """What came of it.

    Attributes:
        value: A hash of all that was read; empty where nothing was.
        refused: Message of the error.
        hint: What it says is to be done.
        failed: What it should not end with: another error, or a signal.
    """

    value: str = ""
    refused: str = ""
    hint: str = ""
    failed: str = ""

    def judged(self, before: Look, names: Collection[str], *, harmless: bool) -> tuple[str, bool]:
        """How the promise was broken, if it was; and whether the damage was to bytes that mean nothing.

        Args:
            before: What was read before the damage.
            names: One of which must be told.
            harmless: Whether the format has such bytes.
        """
        if self.failed:
            return self.failed, False
        if self.refused:
            if not any(name in self.refused for name in names):
                return f"refused without its name: {self.refused}", False
            return ("" if self.hint else f"refused without what to do: {self.refused}"), False
        if self.value != before.value:
            return "taken up as if it were true", False
        return ("" if harmless else "not noticed"), harmless


def look(take_up: Callable[[], Any]) -> Look:
    """Take something up in a process that is forked off.

    Args:
        take_up: Returns all that it read, in a form whose `repr` tells one from another.
    """
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            os.close(read)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            with open(write, "w") as stream:
                json.dump(asdict(_looked(take_up)), stream)
        os._exit(0)
    os.close(write)
    with open(read) as stream:
        text = stream.read()
    _, status = os.waitpid(pid, 0)
    return Look(**json.loads(text)) if text else Look(failed=f"the process ended with {status:#x}")


def _looked(take_up: Callable[[], Any]) -> Look:
    try:
        return Look(value=hashlib.sha256(repr(take_up()).encode()).hexdigest())
    except SpecError as error:  # its hints are in its message
        return Look(refused=error.message, hint=error.message)
    except PizzeriaError as error:
        return Look(refused=error.message, hint=error.hint)
    except Exception as error:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        at = "" if where is None else f" ({Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno})"
        return Look(failed=f"a traceback: {type(error).__name__}: {error}{at}"[:300])
