"""One try in a process forked off this one, so that it finds everything imported and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def in_a_fork(work: Callable[[], object], limit_s: int) -> None:
    """Do `work` in a process of its own, and wait for its end; killed after so many seconds.

    Whatever it raises ends it: what is to be known of the try, it leaves in a file.
    """
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(limit_s)
    os.waitpid(child, 0)
    signal.alarm(0)
