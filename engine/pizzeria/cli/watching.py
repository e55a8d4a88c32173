"""Commands for a model that is live: monitor, maintain, approve, cycle."""

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
@click.option("--no-wait", is_flag=True, help="End at once, with exit code 8, when another maintain is at work.")
def maintain(name: str, dry_run: bool, no_wait: bool) -> None:
    """Decide whether a deployed model needs a successor; if so, train, compare, and promote or refuse it.

    Each pass is one decision in the ledger. Exits with 0 whatever was decided; with the error's code when training or
    deployment failed, and the live model stays.
    """
    from pizzeria.deployments import known, turn
    from pizzeria.deployments.turn import turn_if_free
    from pizzeria.errors import BusyError
    from pizzeria.maintenance.decisions import maintain as decide

    store = open_store()
    known(name, store)

    def work(progress: Progress) -> Decision:
        if dry_run:
            return decide(name, store, progress, dry_run=True)
        if not no_wait:
            with turn(name, f"maintain {name}", store, progress, of="maintain"):
                return decide(name, store, progress, on_end=render_report)
        with turn_if_free(name, f"maintain {name}", store, of="maintain") as holder:
            if holder is not None:
                raise BusyError(f"{holder} is at work on {name}", hint="wait for it, or leave --no-wait out")
            return decide(name, store, progress, on_end=render_report)

    decision = with_progress(work)
    click.echo(f"{name}: {decision.action}: {decision.why}")


@click.command()
@click.argument("name")
@click.option("--decline", "declined", is_flag=True, help="Say no to it; the live model stays.")
@click.option("--reason", default="", help="Why, for the ledger.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask again.")
def approve(name: str, declined: bool, reason: str, yes: bool) -> None:
    """Let the challenger that waits for approval take over, after a look at what it showed.

    A challenger waits where `maintenance.approval` is true. It cannot be approved any more when another model is live
    by now, or when it has waited for longer than `maintenance.approve_within`.
    """
    from pizzeria.deployments import known
    from pizzeria.maintenance.approval import approve as let_it
    from pizzeria.maintenance.approval import decline, pending
    from pizzeria.maintenance.showing import evidence_lines

    store = open_store()
    known(name, store)
    found = pending(name, store)
    for line in () if found is None else evidence_lines(found):
        click.echo(line)
    meant = None if found is None else found.sha256
    if declined:
        done = with_progress(lambda progress: decline(name, store, progress, reason=reason, sha256=meant))
        click.echo(f"{name}: declined: {done.sha256[:12]}")
        return
    if found is not None and not (found.stale or yes or click.confirm(f"let {found.sha256[:12]} take over?")):
        click.echo(f"{name}: nothing was done; {found.sha256[:12]} goes on waiting")
        sys.exit(1)
    decision = with_progress(lambda progress: let_it(name, store, progress, reason=reason, sha256=meant))
    click.echo(f"{name}: {decision.action}: {decision.why}")


@click.command()
@click.argument("name")
@click.option("--once", is_flag=True, help="One pass of each, then end: 0, or the exit code of one that failed.")
@click.option("--only", type=click.Choice(["monitor", "maintain"]), help="Passes of one kind alone.")
@click.option("--monitor", "monitor_every", metavar="TIME", help="How often: 15m, 1h ...")
@click.option("--maintain", "maintain_every", metavar="TIME", help="How often: 12h, 1d ...")
def cycle(name: str, once: bool, only: str | None, monitor_every: str | None, maintain_every: str | None) -> None:
    """Monitor and maintain a live model by the clock, in the foreground, until SIGTERM or Ctrl-C.

    How often comes from the options, or from `deployment.schedule`, or is 1h and 1d. The first pass is due when the
    last one of its kind is so old, whoever made it. A monitoring pass waits for no training. Each pass is one line; one
    that fails is told, and the next comes when it is due. There is one cycle of a name: a second ends with code 8.
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
