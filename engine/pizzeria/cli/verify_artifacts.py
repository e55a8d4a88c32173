"""The command `verify-artifacts`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_store

if TYPE_CHECKING:
    from pizzeria.runs.store import Run, Store


@click.command("verify-artifacts")
@click.argument("name", metavar="[NAME|RUN]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def verify_artifacts(name: str | None, as_json: bool) -> None:
    """Hash all that a run left again, from its spec and data to the running service and the logged predictions.

    NAME is a spec's name, for what is live of it (or else its newest run), or a run's id or folder; without it, the
    newest run. A line for each link of the chain: ok, changed, or not there. The golden request is asked of a service
    that is live, and logged as any other. Ends with 1, and the first break, when a link was changed.
    """
    from pizzeria.audit import audit

    store = open_store()
    run, links = _run(name, store), []
    for link in audit(run, store):
        links.append(link)
        if not as_json:
            colour = {"ok": "green", "changed": "red", "not there": "yellow"}[link.verdict]
            click.echo(f"{link.name:<18}{click.style(f'{link.verdict:<10}', fg=colour)}{link.told}")
    broken = next((link for link in links if link.verdict == "changed"), None)
    if as_json:
        told = {"run": run.id, "first_break": broken and broken.name, "links": [asdict(link) for link in links]}
        click.echo(json.dumps(told, indent=1))
    elif broken is not None:
        click.echo(f"the chain of {run.id} breaks at {broken.name}: {broken.told}", err=True)
    if broken is not None:
        raise SystemExit(1)


def _run(name: str | None, store: Store) -> Run:
    from pizzeria.errors import DamagedError, NotFoundError
    from pizzeria.runs.ledger import Ledger

    if name is None:
        runs = store.runs()
        if not runs:
            raise NotFoundError(f"there is no run in {store.root}", hint="pizzeria run experiment=..., or --store")
        return runs[-1]
    try:
        champion = Ledger(store.root).champion(name)
    except DamagedError:  # told as the first link
        champion = None
    return store.run(name if champion is None else champion.run)
