"""Commands about specs and their runs: validate, plan, run, report, demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_run, open_store, render_report, with_progress

if TYPE_CHECKING:
    from pizzeria.spec.spec import Spec

SPEC = click.argument("spec", nargs=-1, required=True, metavar="SPEC [KEY=VALUE]...")


@click.command()
@SPEC
def validate(spec: tuple[str, ...]) -> None:
    """Check a spec; runs nothing."""
    from pizzeria.loading import load_spec

    found = load_spec(spec)
    plugins = f"{found.data.use} > {found.model.use} > {found.serving.use} > {found.deployment.use}"
    click.echo(f"{found.name}: the spec is right ({found.problem.task}; {plugins})")


@click.command()
@SPEC
def plan(spec: tuple[str, ...]) -> None:
    """Show the stages, which of them would run, and why."""
    from pizzeria.graph import plan as make_plan
    from pizzeria.graph import run_id
    from pizzeria.loading import load_spec

    found = load_spec(spec)
    steps = make_plan(found, open_store())
    click.echo(f"run {run_id(found, steps)}")
    for step in steps:
        state = click.style("run ", fg="yellow") if step.result is None else click.style("done", fg="green")
        click.echo(f"  {step.name:<9} {state}  {step.fingerprint[:12]}  {step.why}".rstrip())


@click.command()
@SPEC
@click.option("-m", "--multirun", is_flag=True, help="Sweep: KEY=A,B runs once for each value.")
@click.option("--until", default="deploy", show_default=True, help="Last stage to run.")
def run(spec: tuple[str, ...], multirun: bool, until: str) -> None:
    """Take a spec from data to a live service; goes on where an earlier try was cut off."""
    from pizzeria.loading import load_spec
    from pizzeria.spec.compose import sweep

    if not multirun:
        _run(load_spec(spec), until)
        return
    head, overrides = (spec[:1], spec[1:]) if "=" not in spec[0] else ((), spec)
    jobs = [(*head, *job) for job in sweep(overrides)]
    specs = [load_spec(job) for job in jobs]  # all are checked before the first runs
    for i, (job, found) in enumerate(zip(jobs, specs, strict=True), start=1):
        click.echo(f"[{i}/{len(jobs)}] {' '.join(job)}", err=True)
        _run(found, until)


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
    from pizzeria.errors import SpecError, nearest
    from pizzeria.execution import execute
    from pizzeria.graph import NAMES

    if until not in NAMES:
        from pizzeria.errors import Fault

        raise SpecError([Fault("--until", f"there is no stage {until!r}", nearest(until, NAMES), "command line")])
    done = with_progress(lambda progress: execute(spec, open_store(), progress, until=until, on_end=render_report))
    click.echo(f"{done.run.id}: {'nothing to do' if not done.ran else 'done: ' + ', '.join(done.ran)}")
    if "deploy" in done.results:
        click.echo(f"service  {done.results['deploy'].facts['address']}")
    click.echo(f"report   {done.run.folder / 'report.html'}")
