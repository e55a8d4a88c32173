"""Commands for a model that is live: monitor, maintain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pizzeria.cli.opening import open_run, open_store, render_report, with_progress

ALERT, UNDECIDED = 10, 11


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only predictions from then on (UTC)."
)
@click.option(
    "--labels", type=click.Path(dir_okay=False, path_type=Path), help="CSV or Parquet with input_id and the truth."
)
def monitor(run_name: str, since: Any, labels: Path | None) -> None:
    """Judge the logged predictions of a run's model: estimated performance and drift.

    Exits with 0 when all is well, 10 when there is an alert, 11 when something could not be decided.
    """
    from datetime import UTC

    from pizzeria.monitoring import monitor as judge
    from pizzeria.printing import print_pass

    store, found, spec = open_run(run_name)
    done = judge(spec, found, store, since=since.replace(tzinfo=UTC) if since else None, labels=labels)
    render_report(found)
    print_pass(done)
    if done.verdict.alerts:
        sys.exit(ALERT)
    if done.verdict.undecided:
        sys.exit(UNDECIDED)


@click.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would be decided.")
def maintain(name: str, dry_run: bool) -> None:
    """Decide whether a deployed model needs a successor; if so, train, compare, and promote or refuse it."""
    from pizzeria.maintenance import maintain as decide

    decision = with_progress(
        lambda progress: decide(name, open_store(), progress, dry_run=dry_run, on_end=render_report)
    )
    click.echo(f"{name}: {decision.action}: {decision.why}")
