"""How the command ends when something goes wrong."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pizzeria.errors import PizzeriaError

INTERRUPTED = 130
TERMINATED = 143
DEBUG = "PIZZERIA_DEBUG"
"""Environment variable: show where a plugin failed."""


class Commands(click.Group):
    """Ends a command with the message of an error that Pizzeria raised on purpose, and its exit code; no traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _end_cleanly_on_sigterm()
        try:
            return super().main(*args, **kwargs | {"standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort) as error:
            from pizzeria.errors import Terminated

            terminated = isinstance(error.__cause__ or error, Terminated)  # click makes its own Abort of it
            said = "told to end by SIGTERM" if terminated else "interrupted"
            click.echo(f"{said}; the same command goes on from here", err=True)
            sys.stdout.flush()
            # Python would end by the signal instead if an extension module was interrupted while it was loaded.
            os._exit(TERMINATED if terminated else INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            told = _told(error)
            if told is None:
                raise
            click.echo(f"{click.style('error:', fg='red', bold=True)} {told.message}", err=True)
            if told.hint:
                click.echo(f"    {told.hint}", err=True)
            if os.environ.get(DEBUG) and told.__cause__ is not None:
                import traceback

                from pizzeria.hiding import hidden

                click.echo(hidden("".join(traceback.format_exception(told.__cause__))), err=True, nl=False)
            sys.exit(told.exit_code)


def _told(error: Exception) -> PizzeriaError | None:
    """The error as users are told it; None where it is a fault of Pizzeria, which needs its traceback."""
    from pizzeria.errors import PizzeriaError

    if isinstance(error, PizzeriaError):
        return error
    from pizzeria.disk_trouble import trouble_of

    trouble = trouble_of(error)
    if trouble is not None:
        trouble.__cause__ = error
    return trouble


def _end_cleanly_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: what is at work says so in the ledger, and lets its locks go."""
    if threading.current_thread() is not threading.main_thread():
        return
    owner = os.getpid()

    def terminate(number: int, _frame: FrameType | None) -> None:
        from pizzeria.errors import Terminated

        if os.getpid() != owner:  # a process that was forked off, such as one that loads photos, just ends
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
