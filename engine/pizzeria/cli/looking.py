"""Commands that say what is live and what was: status, history, diff. They change nothing that serves, save that a
change which was killed is brought to its end."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from pizzeria.cli.opening import open_store, with_progress

if TYPE_CHECKING:
    from rich.table import Table

    from pizzeria.deployments import Deployed
    from pizzeria.deployments.history import Happening

JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")
_OUTCOMES = {"live": "green", "was live already": "green", "stopped": None, "failed": "red", "open": "yellow"}
_VERDICTS = {"better": "green", "worse": "red"}


@click.command()
@click.argument("name", required=False)
@JSON
def status(name: str | None, as_json: bool) -> None:
    """Say what is deployed, where, and whether it answers; which runs and commands are at work, and which were killed.

    Exits with 1 when something that is deployed does not answer, or as another.
    """
    from pizzeria.deployments.standing import standing
    from pizzeria.maintenance.begun import cut_off

    found = with_progress(lambda progress: standing(open_store(), progress, name))
    cut = {one.name: cut_off(one.name, open_store()) for one in found}
    if as_json:
        click.echo(json.dumps([one.plain() | {"maintenance": cut[one.name]} for one in found], indent=2))
    else:
        for one in found:
            if one.deployed is None:
                click.echo(f"{one.name}  not deployed")
            else:
                _show(one.deployed)
            for command in one.commands.values():
                click.echo(f"    `pizzeria {command.what}` is at work since {command.since} (process {command.pid})")
            if cut[one.name]:
                click.secho(f"    {cut[one.name]}", fg="yellow")
            for work in one.runs:
                click.secho(f"    {work.told()}", fg=None if work.alive else "yellow")
        if not found:
            click.echo("nothing is deployed")
    if not all(one.well for one in found):
        sys.exit(1)


@click.command()
@click.argument("name")
@JSON
def history(name: str, as_json: bool) -> None:
    """All deployments of a name: when, what, where, how long, how it ended and why."""
    from pizzeria.deployments.history import history as happenings
    from pizzeria.deployments.reconciliation import look

    note = with_progress(lambda progress: look(name, open_store(), progress))
    found = happenings(name, open_store())
    if as_json:
        click.echo(json.dumps([one.plain() for one in found], indent=2))
        return
    _show_history(found)
    if note:
        click.echo(note, err=True)


@click.command()
@click.argument("name")
@click.argument("before", required=False, metavar="[A]")
@click.argument("after", required=False, metavar="[B]")
@JSON
def diff(name: str, before: str | None, after: str | None, as_json: bool) -> None:
    """What differs between two deployments: spec, data and metrics.

    A and B are the first digits of a bundle, a run, or a number of `pizzeria history`; B is the present one by default,
    and A the one before it.
    """
    from pizzeria.deployments.diff import diff as compare

    found = compare(name, open_store(), before, after)
    if as_json:
        click.echo(json.dumps(found.plain(), indent=2, default=str))
        return
    for side, one in (("A", found.before), ("B", found.after)):
        click.echo(f"{side}  {one['sha256'][:12]}  run {one['run']}  on {one['target'] or '?'}  since {one['at']}")
    for title, changes in (("spec", found.spec), ("data", found.data)):
        click.echo(f"\n{click.style(title, bold=True)}{'' if changes else '  the same'}")
        table = _table(title, "A", "B")
        for change in changes:
            table.add_row(*(_text(value) for value in (change.path, _value(change.before), _value(change.after))))
        if changes:
            _print(table)
    where = "" if found.comparable else "  each on its own test data, which are not the same"
    click.echo(f"\n{click.style('metrics', bold=True)}{where}")
    table = _table("metric", "A", "B", "B is")
    for metric in found.metrics:
        style = _VERDICTS.get(metric.verdict, "")
        table.add_row(metric.name, _value(metric.before), _value(metric.after), _text(metric.verdict, style))
    _print(table)


def _show(one: Deployed) -> None:
    colour = {"live": "green", "starting": "yellow"}.get(one.status.state, "red")
    state = click.style(one.status.state, fg=colour)
    where = one.status.address or one.entry.detail.get("address", "")
    click.echo(f"{one.name}  {state}  {where}  {one.entry.sha256[:12]}  run {one.entry.run}  since {one.entry.at}")
    lines = [*one.status.detail.splitlines(), *([one.note] if one.note else [])]
    if one.status.state == "live" and not one.well:
        lines.append(f"it answers with {one.status.sha256[:12]}, not with the model that was deployed")
    for entry, status in one.others:
        lines.append(
            f"also live on {entry.detail['target']} at {status.address} with {status.sha256[:12]};"
            f" `pizzeria stop {one.name} --others` takes it down"
        )
    for line in lines:
        click.echo(f"    {line}")


def _show_history(found: list[Happening]) -> None:
    """A line for each change, in columns, and indented lines for why it failed and for each step of a roll-out."""
    rows = [("#", "when (UTC)", "what", "bundle", "run", "target", "took", "outcome")]
    for one in found:
        took = "" if one.seconds is None else f"{one.seconds:.1f} s"
        outcome = "live, the present one" if one.champion else one.outcome
        if one.reconciled:
            outcome += ", as seen after it was interrupted"
        when = one.at[:19].replace("T", " ")
        rows.append((str(one.id), when, one.action, one.sha256[:12], one.run, one.target, took, outcome))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, happening in zip(rows, [None, *found], strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if happening is None:
            click.secho("  ".join(cells).rstrip(), bold=True)
            continue
        outcome = click.style(cells[-1].rstrip(), fg=_OUTCOMES[happening.outcome])
        click.echo("  ".join([*cells[:-1], outcome]))
        for line in happening.why.splitlines():
            click.echo(f"    {line}")
        for step in happening.steps:
            click.echo(f"    {step['percent']}%: {step['verdict']}: {step['why']}")


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)


def _text(value: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(value, style=style)


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
