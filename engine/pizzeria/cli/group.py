"""How the command ends when something goes wrong."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

INTERRUPTED = 130
DEBUG = "PIZZERIA_DEBUG"
"""Environment variable: show where a plugin failed."""


class Commands(click.Group):
    """Ends a command with the message of an error that Pizzeria raised on purpose, and its exit code; no traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs | {"standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted; the same command goes on from here", err=True)
            sys.stdout.flush()
            # Python would end by the signal instead if an extension module was interrupted while it was loaded.
            os._exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            from pizzeria.errors import PizzeriaError

            if not isinstance(error, PizzeriaError):
                raise
            click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True)
            if error.hint:
                click.echo(f"    {error.hint}", err=True)
            if os.environ.get(DEBUG) and error.__cause__ is not None:
                import traceback

                traceback.print_exception(error.__cause__)
            sys.exit(error.exit_code)
