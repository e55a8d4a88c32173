"""`python -m pizzeria_plugins.targets.local_keeper FOLDER TOKEN CONTROL LISTENER`: runs a keeper until it is done."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from pizzeria_plugins.targets.local_keeper.keeper import Keeper
from pizzeria_plugins.targets.local_keeper.service import LISTENER


def main() -> None:
    folder, token, control, listener = sys.argv[1:]
    if int(listener) != LISTENER:
        os.dup2(int(listener), LISTENER)
        os.close(int(listener))
    os.set_inheritable(LISTENER, False)  # it is passed on by name, to services alone
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    umask = os.umask(0o077)  # what it writes is for the owner alone: the environment may hold a database's password
    asyncio.run(Keeper(Path(folder), token, Path(control), umask).run())


if __name__ == "__main__":
    main()
