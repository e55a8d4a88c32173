"""The command `gc`: remove what nobody needs any more."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_store, seconds_of

if TYPE_CHECKING:
    from pizzeria.clearing import Cleared


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option(
    "--older-than",
    metavar="TIME",
    help="Also what could be gone on with, such as a training that was cut off, if it is so old (7d, 12h).",
)
@click.option("--caches", is_flag=True, help="Also what was not used for a month, or TIME, in your caches.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def gc(dry_run: bool, older_than: str | None, caches: bool, as_json: bool) -> None:
    """Remove what killed commands left, and stages and data that no run points at.

    It may run beside any other command: what a living process holds stays, and so does all that a run, a deployment or
    a way back needs. Remove a run's folder, and its stages go with the next gc, unless another run has them too.
    """
    from pizzeria.clearing import clear

    old = None if older_than is None else seconds_of(older_than, "--older-than")
    found = clear(open_store(), dry_run=dry_run, older_than_s=old, with_caches=caches)
    if as_json:
        gone = [{"what": one.what, "path": str(one.path), "bytes": one.size} for one in found.gone]
        told = {"gone": gone, "bytes": found.size, "kept": found.kept, "refused": found.refused}
        click.echo(json.dumps(told, indent=2))
    else:
        _show(found, dry_run)
    sys.exit(1 if found.refused else 0)


def _show(found: Cleared, dry_run: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if found.gone:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("what", "bytes", "where"):
            table.add_column(column, justify="right" if column == "bytes" else "left", overflow="fold")
        for one in found.gone:
            table.add_row(Text(one.what), Text(f"{one.size:,}"), Text(str(one.path)))
        console.print(table)
    for text in found.kept:
        console.print(Text(f"stays: {text}"), soft_wrap=True)
    for text in found.refused:
        console.print(Text(f"cannot be removed: {text}", style="red"), soft_wrap=True)
    would = "would go" if dry_run else "gone"
    things = "1 thing" if len(found.gone) == 1 else f"{len(found.gone)} things"
    console.print(f"{things} {would}, {found.size / 1e6:.1f} MB" if found.gone else "there is nothing to remove")
