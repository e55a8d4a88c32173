"""A command of maintenance in a process of its own, which stops at a named point, to be killed there.

python stopping.py maintain|approve TIME

`STOP_AT` is `before` or `after` and the name of a function of maintenance, or a part of what the command says.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pizzeria import clock
from pizzeria.deployments import turn
from pizzeria.maintenance import approval, challenge, decisions, probation
from pizzeria.progress import PlainProgress
from pizzeria.runs.store import Store

POINT = os.environ["STOP_AT"]


def stop() -> None:
    Path("stopped").touch()
    time.sleep(600)


class Progress(PlainProgress):
    def say(self, text: str) -> None:
        super().say(text)
        if POINT and POINT in text:
            stop()


def wrap(module: Any, name: str) -> None:
    there = getattr(module, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if f"before {name}" == POINT:
            stop()
        found = there(*arguments, **options)
        if f"after {name}" == POINT:
            stop()
        return found

    setattr(module, name, wrapped)


for _module, _name in ((challenge, "put_live"), (decisions, "record"), (probation, "roll_back"), (approval, "record")):
    wrap(_module, _name)


def main(command: str, at: str) -> None:
    store, progress = Store(), Progress()
    with clock.at(datetime.fromisoformat(at)):
        if command == "approve":
            decision = approval.approve("prices", store, progress, who="tests")
        else:
            with turn("prices", "maintain prices", store, progress, of="maintain"):
                decision = decisions.maintain("prices", store, progress)
    print(f"{decision.action}: {decision.why}")


main(*sys.argv[1:])
