"""What commands print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pizzeria.contracts import Finding
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
    for line in performance_lines(verdict.findings):
        console.print(Text(line))
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


def performance_lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each metric of the performance that is held to a limit: what is estimated and what labels say.

    Args:
        findings: Of the chunks judged.

    Example:
        >>> from dataclasses import replace
        >>> first = Finding("performance", "f1", "1", "", "", 0.9, "below 0.7", False, low=0.7)
        >>> performance_lines([first, replace(first, value=0.8, realised=0.75)])
        ['f1: estimated 0.85 (0.8 to 0.9 in 2 chunks); realised 0.75 in 1 chunk']
    """
    held = [one for one in findings if one.kind == "performance" and (one.low is not None or one.high is not None)]
    lines = []
    for subject in dict.fromkeys(one.subject for one in held):
        about = [one for one in held if one.subject == subject]
        said = [
            f"{how} {_mean(values)}"
            for how, values in (
                ("estimated", [one.value for one in about if one.value is not None]),
                ("realised", [one.realised for one in about if one.realised is not None]),
            )
            if values
        ]
        if said:
            lines.append(f"{subject}: {'; '.join(said)}")
    return lines


def _mean(values: Sequence[float]) -> str:
    """Over chunks, with the lowest and the highest."""
    mean = f"{sum(values) / len(values):.3g}"
    if len(values) == 1:
        return f"{mean} in 1 chunk"
    return f"{mean} ({min(values):.3g} to {max(values):.3g} in {len(values)} chunks)"
