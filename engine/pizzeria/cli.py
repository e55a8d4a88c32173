"""The command `pizzeria`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pizzeria.contracts import Progress
    from pizzeria.runs.store import Run, Store
    from pizzeria.spec.spec import Spec

T = TypeVar("T")

INTERRUPTED = 130
ALERT, UNDECIDED = 10, 11

SPEC = click.argument("spec", nargs=-1, required=True, metavar="SPEC [KEY=VALUE]...")


class _Commands(click.Group):
    """Ends a command with the message of an error that Pizzeria raised on purpose, and its exit code; no traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs | {"standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted; the same command goes on from here", err=True)
            sys.stdout.flush()
            # Python would end by the signal instead if an extension module was interrupted while it was loaded.
            os._exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            from pizzeria.errors import PizzeriaError

            if not isinstance(error, PizzeriaError):
                raise
            click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True)
            if error.hint:
                click.echo(f"    {error.hint}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pizzeria", message="pizzeria %(version)s")
@click.option("--store", type=click.Path(file_okay=False, path_type=Path), help="Folder of all runs.  [default: runs]")
def main(store: Path | None) -> None:
    """One YAML spec for the whole life of a machine-learning model.

    SPEC is `experiment=NAME` (one of conf/experiment, yours or shipped) or the path of a YAML file, followed by any
    overrides: `pizzeria run experiment=amenities training.max_epochs=5`.
    """
    if store is not None:
        os.environ["PIZZERIA_STORE"] = str(store)


@main.command()
@SPEC
def validate(spec: tuple[str, ...]) -> None:
    """Check a spec; runs nothing."""
    from pizzeria.loading import load_spec

    found = load_spec(spec)
    plugins = f"{found.data.use} > {found.model.use} > {found.serving.use} > {found.deployment.use}"
    click.echo(f"{found.name}: the spec is right ({found.problem.task}; {plugins})")


@main.command()
@SPEC
def plan(spec: tuple[str, ...]) -> None:
    """Show the stages, which of them would run, and why."""
    from pizzeria.graph import plan as make_plan
    from pizzeria.graph import run_id
    from pizzeria.loading import load_spec

    found = load_spec(spec)
    steps = make_plan(found, _store())
    click.echo(f"run {run_id(found, steps)}")
    for step in steps:
        state = click.style("run ", fg="yellow") if step.result is None else click.style("done", fg="green")
        click.echo(f"  {step.name:<9} {state}  {step.fingerprint[:12]}  {step.why}".rstrip())


@main.command()
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


@main.command()
@click.argument("run_name", metavar="RUN")
def deploy(run_name: str) -> None:
    """Put the bundle of a run live. RUN is a run's id or folder, or a spec's name for its newest run."""
    from pizzeria.deployments import put_live

    store, found, spec = _open_run(run_name)
    package = store.load(found.stage("package").name)
    assert package is not None
    status = _with_progress(
        lambda progress: put_live(spec, found, package.folder / "bundle", str(package.facts["sha256"]), store, progress)
    )
    click.echo(f"{spec.name} is {status.state} at {status.address} with {status.sha256[:12]}")


@main.command()
@click.argument("run_name", metavar="RUN")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3000, show_default=True)
def serve(run_name: str, host: str, port: int) -> None:
    """Serve the bundle of a run here in the foreground, until Ctrl-C."""
    from pizzeria.deployments import release_of

    store, found, spec = _open_run(run_name)
    package = store.load(found.stage("package").name)
    assert package is not None
    release = release_of(spec, package.folder / "bundle", str(package.facts["sha256"]), store)
    release.log_folder.mkdir(parents=True, exist_ok=True)
    rendered = release.server.render(release, host, port)
    click.echo(f"{spec.name} at http://{host}:{port}", err=True)
    [command] = rendered.commands
    os.execvpe(command[0], list(command), {**os.environ, **rendered.environment})  # noqa: S606


@main.command()
@click.argument("run_name", metavar="RUN")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTOS_OR_FOLDER...")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all predictions: .json, .csv or .parquet."
)
@click.option(
    "--drawn",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for copies with boxes.  [default: predictions]",
)
def predict(run_name: str, inputs: tuple[Path, ...], out: Path | None, drawn: Path | None) -> None:
    """Predict photos (or, for tabular models, the rows of a table), without a service."""
    from pizzeria.errors import DataError
    from pizzeria.prediction import OUTPUTS, find_photos, predict_photos, predict_rows, write_predictions

    _, found, spec = _open_run(run_name)
    if out is not None and out.suffix not in OUTPUTS:
        raise DataError(f"{out} ends in none of {', '.join(sorted(OUTPUTS))}", hint="choose one of them for --out")
    bundle = found.stage("package") / "bundle"
    task = spec.problem.task
    if task.startswith("tabular"):
        if len(inputs) != 1:
            raise DataError("a tabular model predicts one table", hint="give one .csv, .parquet or .jsonl file")
        done = predict_rows(bundle, inputs[0])
    else:
        photos = find_photos(inputs)
        folder = (drawn or Path("predictions")) if task == "object_detection" else None
        done = _with_progress(
            lambda progress: predict_photos(bundle, photos, folder, spec.serving.max_megapixels, progress)
        )
    if out is not None:
        write_predictions(done.records, task, out)
        click.echo(f"{len(done.records)} predictions of {done.inputs - len(done.failed)} inputs in {out}")
    else:
        import json

        for record in done.records:
            click.echo(json.dumps(record))
    if done.drawn is not None:
        click.echo(f"copies with boxes in {done.drawn}", err=True)
    for name, reason in done.failed.items():
        click.echo(f"not predicted: {name}: {reason}", err=True)
    if done.failed:
        sys.exit(DataError.exit_code)


@main.command()
@click.argument("run_name", metavar="RUN")
@click.argument("listings", type=click.Path(path_type=Path), metavar="LISTINGS.CSV")
@click.option("--photos", type=click.Path(file_okay=False, path_type=Path), help="Folder of the photos.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all verdicts: .json, .csv or .parquet."
)
def verify(run_name: str, listings: Path, photos: Path | None, out: Path | None) -> None:
    """Check what each listing of a CSV file (listing_id, declared, photos) declares against what its photos show."""
    from pizzeria.printing import print_verdicts
    from pizzeria.verification import read_listings, verify_listings, write_verdicts

    _, found, spec = _open_run(run_name)
    wanted = read_listings(listings, photos)
    bundle = found.stage("package") / "bundle"
    results = _with_progress(
        lambda progress: list(verify_listings(bundle, wanted, spec.serving.max_megapixels, progress))
    )
    if out is not None:
        write_verdicts(results, out)
        click.echo(f"verdicts of {len(results)} listings in {out}")
    else:
        print_verdicts(results)


@main.command()
@click.argument("name", required=False)
def status(name: str | None) -> None:
    """Say what is deployed, where, and whether it answers."""
    from pizzeria.deployments import deployed
    from pizzeria.errors import NotFoundError, nearest

    found = deployed(_store())
    if name is not None:
        names = [one.name for one in found]
        found = [one for one in found if one.name == name]
        if not found:
            raise NotFoundError(f"nothing named {name!r} is deployed", hint=nearest(name, names))
    if not found:
        click.echo("nothing is deployed")
    for one in found:
        colour = {"live": "green", "starting": "yellow"}.get(one.status.state, "red")
        state = click.style(one.status.state, fg=colour)
        where = one.status.address or one.entry.detail.get("address", "")
        click.echo(f"{one.name}  {state}  {where}  {one.entry.sha256[:12]}  run {one.entry.run}  since {one.entry.at}")
        if one.status.state == "live" and one.status.sha256 != one.entry.sha256:
            click.echo(f"    it answers with {one.status.sha256[:12]}, not with the model that was deployed")
    if any(one.status.state != "live" for one in found):
        sys.exit(1)


@main.command()
@click.argument("name")
def stop(name: str) -> None:
    """Take a service down."""
    from pizzeria.deployments import stop as take_down

    take_down(name, _store())
    click.echo(f"{name} is stopped")


@main.command()
@click.argument("name")
def rollback(name: str) -> None:
    """Put the bundle live again that was there before the present one."""
    from pizzeria.deployments import roll_back

    entry = _with_progress(lambda progress: roll_back(name, _store(), progress))
    click.echo(f"{name} is back at {entry.sha256[:12]} of run {entry.run}")


@main.command()
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

    store, found, spec = _open_run(run_name)
    done = judge(spec, found, store, since=since.replace(tzinfo=UTC) if since else None, labels=labels)
    _render_report(found)
    print_pass(done)
    if done.verdict.alerts:
        sys.exit(ALERT)
    if done.verdict.undecided:
        sys.exit(UNDECIDED)


@main.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would be decided.")
def maintain(name: str, dry_run: bool) -> None:
    """Decide whether a deployed model needs a successor; if so, train, compare, and promote or refuse it."""
    from pizzeria.maintenance import maintain as decide

    decision = _with_progress(lambda progress: decide(name, _store(), progress, dry_run=dry_run, on_end=_render_report))
    click.echo(f"{name}: {decision.action}: {decision.why}")


@main.command()
@click.argument("run_name", metavar="RUN")
def report(run_name: str) -> None:
    """Write the report of a run anew, and say where it is."""
    _, found, _ = _open_run(run_name)
    click.echo(_render_report(found))


@main.group()
def plugins() -> None:
    """See plugins, and start one of your own."""


@plugins.command("list")
def plugins_list() -> None:
    """All plugins that a spec may name, and where each is."""
    from pizzeria.registry import KINDS, find

    for kind in KINDS:
        click.echo(click.style(kind, bold=True))
        for name, found in find(kind).items():
            twice = click.style("  named twice, cannot be used", fg="red") if len(found) > 1 else ""
            click.echo(f"  {name:<20} {' and '.join(one.origin for one in found)}{twice}")


@main.command()
@click.option("--markdown", is_flag=True, help="Write the reference for people instead: docs/spec.md.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it there instead of printing it.")
def schema(markdown: bool, out: Path | None) -> None:
    """Write the JSON Schema of a spec, for editors."""
    import json

    from pizzeria import atomic
    from pizzeria.schema import json_schema
    from pizzeria.spec_reference import markdown as reference

    text = reference() if markdown else json.dumps(json_schema(), indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(out, text.encode())
    click.echo(out)


@main.command()
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def demo(overrides: tuple[str, ...]) -> None:
    """The whole cycle on generated listings: train, serve, verify a listing, monitor healthy and shifted traffic."""
    from pizzeria.demo import demonstrate

    _with_progress(lambda progress: demonstrate(overrides, _store(), progress, _render_report))


def _store() -> Store:
    from pizzeria.runs.store import Store

    return Store()


def _open_run(name: str) -> tuple[Store, Run, Spec]:
    from pizzeria.loading import load_resolved

    store = _store()
    found = store.run(name)
    return store, found, load_resolved(found.folder / "spec.yaml")


def _run(spec: Spec, until: str) -> None:
    from pizzeria.errors import SpecError, nearest
    from pizzeria.execution import execute
    from pizzeria.graph import NAMES

    if until not in NAMES:
        from pizzeria.errors import Fault

        raise SpecError([Fault("--until", f"there is no stage {until!r}", nearest(until, NAMES), "command line")])
    done = _with_progress(lambda progress: execute(spec, _store(), progress, until=until, on_end=_render_report))
    click.echo(f"{done.run.id}: {'nothing to do' if not done.ran else 'done: ' + ', '.join(done.ran)}")
    if "deploy" in done.results:
        click.echo(f"service  {done.results['deploy'].facts['address']}")
    click.echo(f"report   {done.run.folder / 'report.html'}")


def _render_report(run: Run) -> Path:
    from pizzeria.report import render

    return render(run.folder)


def _with_progress(work: Callable[[Progress], T]) -> T:
    from pizzeria.progress import open_progress

    with open_progress() as progress:
        return work(progress)


if __name__ == "__main__":
    main()
