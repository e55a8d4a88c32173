"""What torture found, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pizzeria.torture.running import Tried

_STYLES = {"held": "green", "broken": "red", "undecided": "yellow"}
_MOST = 10
"""Broken tries of one promise that are told one by one."""


def show(found: Sequence[Tried], console: Console) -> None:
    """Print a line for each promise, and below it what did not hold and what could not be tried."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("trial", "promise", "held", "tried", "", "seconds"):
        table.add_column(heading, justify="right" if heading in ("held", "tried", "seconds") else "left")
    for one in found:
        verdict = Text(one.verdict, style=_STYLES[one.verdict])
        figures = (str(one.tally.held), str(one.tally.tried), verdict, f"{one.seconds:.0f}")
        table.add_row(Text(one.name), Text(one.promise), *figures)
    console.print(table)
    for one in found:
        told = [("broken", text) for text in one.tally.broken[:_MOST]]
        if len(one.tally.broken) > _MOST:
            told.append(("broken", f"and {len(one.tally.broken) - _MOST} more; --json has them all"))
        told += [("left out", text) for text in one.tally.left_out]
        told += [("measured", f"{name} {value}") for name, value in one.tally.figures.items()]
        if told:
            console.print(Text(f"\n{one.name}", style="bold"))
        for kind, text in told:
            console.print(Text(f"  {kind}: {text}", style="red" if kind == "broken" else ""), soft_wrap=True)
