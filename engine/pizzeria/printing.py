"""What commands print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pizzeria.verification import verdict_rows

if TYPE_CHECKING:
    from pizzeria.monitoring.passes import Pass

_COLOURS = {"confirmed": "green", "uncertain": "yellow", "not shown": "red", "seen but not declared": "cyan"}
_PASSED = 10
_TOLD_APART = ("unreadable photo", "broken listing")


def print_verdicts(results: Sequence[Mapping[str, Any]]) -> None:
    """One line for each listing and amenity, with the reason; what could not be judged goes to standard error.

    Args:
        results: From `pizzeria.verification.verify_listings`; or answers of `POST /verify`, each with its listing_id.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("listing", "amenity", "verdict", "probability", "reason"):
        table.add_column(column, justify="right" if column == "probability" else "left")
    previous = None
    for row in verdict_rows(results):
        if row["verdict"] in _TOLD_APART:
            continue
        shown = "" if row["listing_id"] == previous else str(row["listing_id"])
        previous = row["listing_id"]
        verdict = Text(row["verdict"], style=_COLOURS.get(row["verdict"], "dim"))
        probability = "" if row["probability"] is None else f"{row['probability']:.2f}"
        reason = row["reason"] or (f"seen in {row['evidence']}" if row["evidence"] else "")
        table.add_row(Text(shown), Text(row["amenity"]), verdict, probability, Text(reason))
    Console(highlight=False).print(table)
    apart = Console(stderr=True, highlight=False)
    for result in results:
        for name, reason in result.get("unreadable", {}).items():
            apart.print(Text(f"listing {result['listing_id']}: {name}: {reason}"))
        if result.get("fault"):
            apart.print(Text(f"listing {result['listing_id']}: {result['fault']}"))


def print_pass(done: Pass) -> None:
    """The outcome of one monitoring pass: what is wrong now, what is over, and what could not be decided or told."""
    console = Console(highlight=False, soft_wrap=True)  # a line each, for whoever reads them by program
    verdict = done.verdict
    stood = f"; {verdict.stood} chunks were judged before" if verdict.stood else ""
    console.print(f"{verdict.judged} predictions judged{stood}")
    if done.changes is None:
        for alarm in verdict.alerts:
            console.print(Text(f"alert: {alarm.text}", style="red"))
    else:
        for incident in (*done.changes.resolved, *done.changes.passed[-_PASSED:]):
            console.print(Text(f"over: {incident.text}: {incident.why}", style="green"))
        if len(done.changes.passed) > _PASSED:
            console.print(f"{len(done.changes.passed) - _PASSED} more came and went")
        for incident in done.changes.opened:
            console.print(Text(f"alert: {incident.text}", style="red"))
        for incident in done.changes.going_on:
            since = f"since chunk {incident.first_chunk}"
            console.print(Text(f"still open, {since}: {incident.text}", style="red"))
    for text in verdict.undecided:
        console.print(Text(f"undecided: {text}", style="yellow"))
    for text in done.unsent:
        console.print(Text(f"not told: {text}; it is tried again", style="red"))
    if not done.alert and not verdict.undecided:
        console.print(Text("no alert", style="green"))
