"""The command `torture`: try to break what Pizzeria promises."""

from __future__ import annotations

import sys
from pathlib import Path

import click

UNDECIDED = 11
"""Exit code when something could not be tried at all, as `monitor` has it."""


@click.command()
@click.option("--short", is_flag=True, help="A few minutes instead of hours: fewer tries of each.")
@click.option("--only", multiple=True, metavar="TRIAL", help="Of these alone; may be repeated.")
@click.option("--seed", default=0, show_default=True, help="Of all chance: the same tries again.")
@click.option(
    "--json", "out", type=click.Path(dir_okay=False, path_type=Path), help="Also write what was found to this file."
)
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Leave what the trials made in this folder."
)
def torture(short: bool, only: tuple[str, ...], seed: int, out: Path | None, keep: Path | None) -> None:
    """Try to break what Pizzeria promises on this machine, and print what held.

    Kills, full disks, changed bytes, hostile specs and archives, many processes at once, poisoned labels, an hour of
    traffic: all with real processes, in folders and on ports of their own. Your runs and services are left alone.
    Exits with 1 when a promise was broken, and with 11 when one could not be tried at all.
    """
    from rich.console import Console

    from pizzeria import atomic
    from pizzeria.cli.opening import with_progress
    from pizzeria.torture.running import torture as run
    from pizzeria.torture.showing import show

    found = with_progress(lambda progress: run(only, short=short, seed=seed, say=progress.say, folder=keep))
    if out is not None:
        atomic.write_json(out, {"short": short, "seed": seed, "trials": [one.plain() for one in found]})
    show(found, Console(highlight=False))
    verdicts = {one.verdict for one in found}
    sys.exit(1 if "broken" in verdicts else UNDECIDED if "undecided" in verdicts else 0)
