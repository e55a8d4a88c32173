"""Commands for a model that is live: monitor, maintain, cycle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pizzeria.cli.opening import open_run, open_store, render_report, seconds_of, with_progress

if TYPE_CHECKING:
    from pizzeria.contracts import Progress
    from pizzeria.maintenance.decisions import Decision
    from pizzeria.monitoring.passes import Pass

ALERT, UNDECIDED = 10, 11


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only predictions from then on (UTC)."
)
@click.option(
    "--labels",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV or Parquet with input_id and the truth, for this pass alone. `pizzeria labels add` keeps it.",
)
def monitor(run_name: str, since: Any, labels: Path | None) -> None:
    """Judge the logged predictions of a run's model: estimated performance and drift.

    RUN is a run's id or folder, or a spec's name: for the run that is live, or else its newest one. Exits with 0 when
    all is well, 10 while an alert is open, 11 when something could not be decided.
    """
    from datetime import UTC

    from pizzeria.deployments import champion, turn
    from pizzeria.monitoring.passes import monitor as judge
    from pizzeria.printing import print_pass
    from pizzeria.runs.ledger import Ledger

    live = Ledger(open_store().root).champion(run_name)
    store, found, spec = open_run(run_name if live is None else live.run)
    live = live or Ledger(store.root).champion(spec.name)
    if live is not None and live.run == found.id:
        _, _, spec = champion(spec.name, store)  # with the prediction log that it was deployed with

    from_then = since.replace(tzinfo=UTC) if since else None

    def work(progress: Progress) -> Pass:
        with turn(spec.name, f"monitor {run_name}", store, progress, of="pass"):
            return judge(spec, found, store, progress, since=from_then, labels=labels)

    done = with_progress(work)
    render_report(found)
    print_pass(done)
    if done.alert:
        sys.exit(ALERT)
    if done.verdict.undecided:
        sys.exit(UNDECIDED)


@click.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would be decided.")
def maintain(name: str, dry_run: bool) -> None:
    """Decide whether a deployed model needs a successor; if so, train, compare, and promote or refuse it."""
    from pizzeria.deployments import known, turn
    from pizzeria.maintenance.decisions import maintain as decide

    store = open_store()
    known(name, store)

    def work(progress: Progress) -> Decision:
        if dry_run:
            return decide(name, store, progress, dry_run=True)
        with turn(name, f"maintain {name}", store, progress, of="pass"):
            return decide(name, store, progress, on_end=render_report)

    decision = with_progress(work)
    click.echo(f"{name}: {decision.action}: {decision.why}")


@click.command()
@click.argument("name")
@click.option("--once", is_flag=True, help="One pass of each, then end: 0, or the exit code of one that failed.")
@click.option("--only", type=click.Choice(["monitor", "maintain"]), help="Passes of one kind alone.")
@click.option("--monitor", "monitor_every", metavar="TIME", help="How often: 15m, 1h ...")
@click.option("--maintain", "maintain_every", metavar="TIME", help="How often: 12h, 1d ...")
def cycle(name: str, once: bool, only: str | None, monitor_every: str | None, maintain_every: str | None) -> None:
    """Monitor and maintain a live model by the clock, in the foreground, until SIGTERM or Ctrl-C.

    How often comes from the options, or from `deployment.schedule`, or is 1h and 1d. Each pass is one line; one that
    fails is told, and the next comes when it is due.
    """
    from pizzeria.cycle import DEFAULT_S, go_round, intervals
    from pizzeria.cycle import once as go_once

    store = open_store()
    given = {
        "monitor": None if monitor_every is None else seconds_of(monitor_every, "--monitor"),
        "maintain": None if maintain_every is None else seconds_of(maintain_every, "--maintain"),
    }
    for kind, seconds in given.items():
        if seconds == 0:
            raise click.BadParameter("0 is no interval; write 1h, say", param_hint=f"--{kind}")
    found = intervals(name, store, {kind: given[kind] for kind in DEFAULT_S})
    every_s = {kind: seconds for kind, seconds in found.items() if only in (None, kind)}
    if once:
        sys.exit(go_once(name, store, every_s, click.echo))
    go_round(name, store, every_s, click.echo)
