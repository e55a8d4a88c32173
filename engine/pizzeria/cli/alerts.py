"""The command `pizzeria alerts`: what is wrong, who was told, and whether the channels work."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pizzeria.cli.looking import JSON
from pizzeria.cli.opening import open_run, open_store

if TYPE_CHECKING:
    from pizzeria.monitoring.incidents import Incident
    from pizzeria.monitoring.telling import Delivery
    from pizzeria.runs.store import Store
    from pizzeria.spec.spec import Spec

_SHOWN = 120
_OUTCOMES = {"sent": "green", "waits": "yellow", "given up": "red"}


@click.command()
@click.argument("name")
@click.option("--test", is_flag=True, help="Send a test to each channel of monitoring.alerts, and say how it went.")
@click.option("--send", is_flag=True, help="Send now what could not be sent yet.")
@click.option("--last", default=10, show_default=True, type=click.IntRange(min=1), help="Deliveries that are shown.")
@JSON
def alerts(name: str, test: bool, send: bool, last: int, as_json: bool) -> None:
    """Show which alerts of a model are open and since when, and what the channels were told.

    NAME is a deployment's name; before the first deployment, a run's id, folder or spec's name. With --test or --send
    it exits with 1 when a channel could not be told.
    """
    from pizzeria.monitoring.incidents import open_incidents
    from pizzeria.monitoring.telling import deliveries, send_waiting, try_channels

    store, spec = _opened(name)
    if test:
        outcome = try_channels(spec)
        if as_json:
            click.echo(json.dumps(outcome, indent=2))
        for label, error in () if as_json else outcome.items():
            click.echo(f"{label}: {click.style(error, fg='red') if error else click.style('sent', fg='green')}")
        if not outcome:
            click.echo(f"{spec.name} has no channel: monitoring.alerts is empty", err=True)
        sys.exit(1 if any(outcome.values()) else 0)
    unsent = send_waiting(spec, store, all_of_them=True) if send else ()
    open_now = open_incidents(store, spec.name)
    told = deliveries(store, spec.name, last=last)
    if as_json:
        found = {"open": [asdict(one) for one in open_now], "deliveries": [asdict(one) for one in told]}
        click.echo(json.dumps(found, indent=2))
    else:
        _show(spec.name, open_now, told)
    if unsent:
        sys.exit(1)


def _opened(name: str) -> tuple[Store, Spec]:
    """The store, and the spec that is live, or that of the newest run."""
    from pizzeria.deployments import champion
    from pizzeria.runs.ledger import Ledger

    store = open_store()
    if Ledger(store.root).champion(name) is not None:
        return store, champion(name, store)[2]
    store, _, spec = open_run(name)
    return store, spec


def _show(name: str, open_now: list[Incident], told: list[Delivery]) -> None:
    if not open_now:
        click.secho(f"no alert of {name} is open", fg="green")
    for incident in open_now:
        since = f"since {incident.opened_at[:19].replace('T', ' ')} (UTC), chunk {incident.first_chunk}"
        click.echo(f"{click.style(incident.kind, fg='red')}  {since}  bundle {incident.sha256[:12]}")
        click.echo(f"    {_line(incident.text)}")
        causes = [cause for cause in map(_line, incident.causes) if cause not in incident.text]
        if causes:
            click.echo(f"    likely behind it: {', '.join(causes)}")
    for one in told:
        state = "sent" if one.sent_at else "given up" if one.given_up_at else "waits"
        when = (one.sent_at or one.given_up_at or one.at)[:19].replace("T", " ")
        tries = f"  {one.tries} tries" if one.tries > 1 else ""
        outcome = click.style(state, fg=_OUTCOMES[state])
        click.echo(f"{when}  {one.channel}  {one.state}  {outcome}{tries}  {_line(one.text)[:_SHOWN]}")
        if one.error and not one.sent_at:
            again = f"; tried again from {one.next_at[:19].replace('T', ' ')} on" if state == "waits" else ""
            click.echo(f"    {one.error}{again}")


def _line(text: str) -> str:
    from pizzeria.monitoring.telling import one_line

    return one_line(text)
