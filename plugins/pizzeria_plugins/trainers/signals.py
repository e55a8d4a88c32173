"""How a training ends when it is told to: Ctrl-C at once, SIGTERM after the step at work and its checkpoint."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from pytorch_lightning.utilities.exceptions import SIGTERMException

from pizzeria.errors import Terminated


@contextlib.contextmanager
def told_to_end(stepping: Callable[[], bool]) -> Iterator[None]:
    """Let Ctrl-C end what is inside as KeyboardInterrupt, and SIGTERM as Terminated.

    Lightning makes a SystemExit of both, and leaves SIGINT ignored. While it goes through its steps, it notes SIGTERM
    and raises after the step; before and after that, SIGTERM ends the work at once.

    Args:
        stepping: Whether Lightning is going through its steps.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    told = False

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = True
        if not stepping():
            raise Terminated

    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except SIGTERMException:
        raise Terminated from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            # `Terminated` is one too, and Lightning treats it as Ctrl-C.
            raise (Terminated if told else KeyboardInterrupt) from None
        raise
    except RuntimeError as error:
        # SIGTERM to a whole group of processes takes the loader's workers away before the step is done.
        if told and "DataLoader worker" in str(error):
            raise Terminated from error
        raise
    finally:
        for one, handler in handlers.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
