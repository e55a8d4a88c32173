"""Commands about specs and their runs: validate, plan, run, report, demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_run, open_store, render_report, with_progress
from pizzeria.cli.sweeps import run_members

if TYPE_CHECKING:
    from pizzeria.spec.spec import Spec

SPEC = click.argument("spec", nargs=-1, required=True, metavar="SPEC [KEY=VALUE]...")


@click.command()
@SPEC
def validate(spec: tuple[str, ...]) -> None:
    """Check a spec; runs nothing."""
    from pizzeria.loading import load_spec
    from pizzeria.signing.keys import exposed

    found = load_spec(spec)
    if found.signing.private_key is not None and (warning := exposed(found.signing.private_key)):
        click.echo(warning, err=True)
    plugins = f"{found.data.use} > {found.model.use} > {found.serving.use} > {found.deployment.use}"
    click.echo(f"{found.name}: the spec is right ({found.problem.task}; {plugins})")


@click.command()
@SPEC
def plan(spec: tuple[str, ...]) -> None:
    """Show the stages, which of them would run, and why."""
    from pizzeria.graph import plan as make_plan
    from pizzeria.graph import run_id
    from pizzeria.loading import load_spec

    found, store = load_spec(spec), open_store()
    steps = make_plan(found, store)
    click.echo(f"run {run_id(found, steps)}")
    for step in steps:
        state, why = click.style("done", fg="green"), step.why
        if step.result is None and store.artifacts is not None and store.artifacts.holds(step.fingerprint):
            state, why = click.style("have", fg="green"), f"fetched from {store.artifacts.place.address}"
        elif step.result is None:
            state = click.style("run ", fg="yellow")
        click.echo(f"  {step.name:<9} {state}  {step.fingerprint[:12]}  {why}".rstrip())


@click.command()
@SPEC
@click.option("-m", "--multirun", is_flag=True, help="Sweep: KEY=A,B runs once for each value.")
@click.option("--until", help="Last stage to run.  [default: deploy; of a sweep: evaluate]")
def run(spec: tuple[str, ...], multirun: bool, until: str | None) -> None:
    """Take a spec from data to a live service; goes on where an earlier try was cut off.

    A sweep (-m) takes Hydra's sweepers and launchers: `hydra/sweeper=optuna`, `hydra/launcher=joblib`.
    """
    from pizzeria.errors import Fault, SpecError, nearest
    from pizzeria.graph import NAMES
    from pizzeria.loading import load_spec

    if until is not None and until not in NAMES:
        raise SpecError([Fault("--until", f"there is no stage {until!r}", nearest(until, NAMES), "command line")])
    if multirun:
        run_members(spec, until or "evaluate")
    else:
        _run(load_spec(spec), until or "deploy")


@click.command()
@click.argument("run_name", metavar="RUN")
def report(run_name: str) -> None:
    """Write the report of a run anew, and say where it is."""
    _, found, _ = open_run(run_name)
    click.echo(render_report(found))


@click.command()
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def demo(overrides: tuple[str, ...]) -> None:
    """The whole cycle on generated listings: train, serve, verify a listing, monitor healthy and shifted traffic."""
    from pizzeria.demo import demonstrate

    with_progress(lambda progress: demonstrate(overrides, open_store(), progress, render_report))


def _run(spec: Spec, until: str) -> None:
    from pizzeria.execution import execute

    done = with_progress(lambda progress: execute(spec, open_store(), progress, until=until, on_end=render_report))
    click.echo(f"{done.run.id}: {'nothing to do' if not done.ran else 'done: ' + ', '.join(done.ran)}")
    if "deploy" in done.results:
        click.echo(f"service  {done.results['deploy'].facts['address']}")
    click.echo(f"report   {done.run.folder / 'report.html'}")
