"""`pizzeria run --multirun`, and `pizzeria compare`."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_store, render_report

if TYPE_CHECKING:
    from pizzeria.sweeping.comparing import Comparison
    from pizzeria.sweeping.records import Member


def run_members(arguments: tuple[str, ...], until: str) -> None:
    """Run a sweep, print how its members compare, and end with what became of them."""
    from pizzeria.sweeping.comparing import of_sweep
    from pizzeria.sweeping.sweeping import judge, run_sweep

    sweep = run_sweep(arguments, open_store(), until, render_report)
    _show(of_sweep(sweep), False)
    judge(sweep)


@click.command()
@click.argument("names", nargs=-1, metavar="[SWEEP | RUN...]")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def compare(names: tuple[str, ...], as_json: bool) -> None:
    """Compare the members of a sweep, or runs; without a name, the newest sweep.

    They are ordered by a metric on the validation split. A page with parallel coordinates is written, and the spec of
    the best, ready to run.
    """
    from pizzeria.sweeping.comparing import compare as compared

    _show(compared(names, open_store()), as_json)


def _show(comparison: Comparison, as_json: bool) -> None:
    from pizzeria.sweeping.best import write_best
    from pizzeria.sweeping.comparing import folder_of
    from pizzeria.sweeping.page import write_page

    store = open_store()
    folder = folder_of(comparison, store)
    best = write_best(comparison, folder / "best.yaml")
    page = write_page(comparison, folder / "compare.html", best, store)
    if as_json:
        paths = {"best_spec": None if best is None else str(best), "page": str(page)}
        click.echo(json.dumps(comparison.plain() | paths, indent=2, ensure_ascii=False))
        return
    _print_members(comparison)
    if best is not None:
        click.echo(f"best     pizzeria run {os.path.relpath(best)}")
    click.echo(f"page     {os.path.relpath(page)}")


def _print_members(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("", no_wrap=True)
    for key in comparison.settings:
        table.add_column(Text(key), overflow="fold")
    for title in (f"{comparison.metric}, validation", f"{comparison.metric}, test", "training", "cost"):
        table.add_column(title, justify="right")
    table.add_column("run", no_wrap=True)
    for member in comparison.members:
        table.add_row(*map(Text, _cells(comparison, member)), style="bold" if member is comparison.best else None)
    wide = None if sys.stdout.isatty() else 200  # nothing is cut for whoever reads it by program
    Console(highlight=False, width=wide).print(table)


def _cells(comparison: Comparison, member: Member) -> list[str]:
    from pizzeria.report.wording import duration, fact, number
    from pizzeria.sweeping.page import cost_text

    row = comparison.row(member)
    test = number(row["test"], 4)
    if row["interval"]:
        test += " ({} to {})".format(*(number(end) for end in row["interval"]))
    return [
        str(row["number"]),
        "best" if member is comparison.best else "" if member.state == "done" else member.state,
        *(fact(member.settings.get(key)) for key in comparison.settings),
        number(row["validation"], 4),
        test,
        duration(row["training_seconds"]),
        cost_text(member),
        member.run,
    ]
