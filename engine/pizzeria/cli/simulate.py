"""The command `simulate`: a backtest of maintenance on a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_store, seconds_of, with_progress
from pizzeria.cli.runs import SPEC

if TYPE_CHECKING:
    from pizzeria.simulation.results import Outcome


@click.command()
@SPEC
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="POLICY",
    help="never, on_alert (as the spec's maintenance says), or a period such as 30d; may be repeated.  "
    "[default: never, 30d, on_alert]",
)
@click.option("--time", metavar="COLUMN", help="Column with the time of each row.  [default: data.split.order_by]")
@click.option(
    "--start",
    default="0.25",
    show_default=True,
    help="Where the replay begins: the share that the first model learns, or a date.",
)
@click.option("--every", default="1d", show_default=True, help="From one monitoring pass to the next: 12h, 7d ...")
@click.option("--delay", default="7d", show_default=True, help="From a prediction to its label.")
@click.option(
    "--labels", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Share of predictions that get one."
)
@click.option("--metric", help="Of the task, to compare policies by.  [default: the task's main one]")
@click.option(
    "--traffic",
    metavar="SPEC",
    help="Photos: a spec (with its overrides, in quotes) whose photos are replayed after all of the others.",
)
@click.option("--fresh", is_flag=True, help="Begin anew, instead of going on where an earlier try stopped.")
def simulate(
    spec: tuple[str, ...],
    policies: tuple[str, ...],
    time: str | None,
    start: str,
    every: str,
    delay: str,
    labels: float,
    metric: str | None,
    traffic: str | None,
    fresh: bool,
) -> None:
    """What monitoring and maintenance would have done with a history, under several policies.

    The first model learns the first part. The rest is replayed as traffic, labels come late, and monitor and maintain
    run as `pizzeria cycle` would run them, at the times of the history. Nothing is deployed, and nobody is told.
    """
    import shlex
    from datetime import timedelta

    from pizzeria.loading import load_spec
    from pizzeria.simulation.policies import DEFAULT, read_policy
    from pizzeria.simulation.replaying import Pace
    from pizzeria.simulation.study import Plan
    from pizzeria.simulation.study import simulate as replay

    pace = Pace(
        timedelta(seconds=seconds_of(every, "--every")), timedelta(seconds=seconds_of(delay, "--delay")), labels
    )
    if not pace.every:
        raise click.BadParameter("0 is no interval; write 1d, say", param_hint="--every")
    chosen = [read_policy(text) for text in dict.fromkeys(policies or DEFAULT)]
    shifted = None if traffic is None else load_spec(shlex.split(traffic))
    plan = Plan(load_spec(spec), chosen, time, start, pace, metric, shifted)
    found = with_progress(lambda progress: replay(plan, open_store(), progress, fresh=fresh))
    click.echo(_table(found.outcomes))
    click.echo()
    for path in (found.folder / "results.json", found.page, found.picture):
        if path is not None:
            click.echo(path)


def _table(outcomes: Sequence[Outcome]) -> str:
    head = [*("policy", outcomes[0].metric, "mean", "worst", "trained", "promoted", "rolled back", "labels used")]
    head += ["training s", "alerts", "estimate off by", "correlation"]
    padded = []
    for i, column in enumerate(zip(head, *map(_line, outcomes), strict=True)):
        width = max(map(len, column))
        padded.append([cell.ljust(width) if i == 0 else cell.rjust(width) for cell in column])
    return "\n".join("  ".join(line) for line in zip(*padded, strict=True))


def _line(one: Outcome) -> tuple[str, ...]:
    figures = [f"{value:.4f}" for value in (one.overall, one.mean, one.worst)]
    counts = [str(count) for count in (one.trained, one.promoted, one.rolled_back, one.used)]
    tracking = [f"{one.tracking_error:.4f}", f"{one.correlation:.2f}"]
    return one.title, *figures, *counts, f"{one.training_s:.0f}", str(sum(one.alerts.values())), *tracking
