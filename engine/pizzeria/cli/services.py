"""Commands that change what is live, or serve: deploy, promote, serve, stop, rollback."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_run, open_store, seconds_of, with_progress

if TYPE_CHECKING:
    from pizzeria.deployments import Packed
    from pizzeria.runs.store import Store
    from pizzeria.spec.deployment import Rollout

OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")


@click.command()
@click.argument("run_name", metavar="RUN")
@OVERRIDES
@click.option("--dry-run", is_flag=True, help="Print all files, environment and commands instead; touches nothing.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write them, and what else the target builds, into this folder instead.",
)
def deploy(run_name: str, overrides: tuple[str, ...], dry_run: bool, out: Path | None) -> None:
    """Put the bundle of a run live. RUN is a run's id or folder, or a spec's name for its newest run.

    The overrides change `deployment` and `serving.log` of the run's spec for this deployment:
    `pizzeria deploy amenities deployment=container` puts the same bundle elsewhere. What was live on another target
    stays live there until `pizzeria stop NAME --others`.
    """
    from pizzeria.deployments import put_live
    from pizzeria.deployments.rendering import as_text, rendered_of, write_out

    store, found = _packed(run_name, overrides)
    if out is not None:
        written = with_progress(lambda progress: write_out(found, store, out, progress))
        for path in written:
            click.echo(path)
    if dry_run:
        click.echo(as_text(rendered_of(found, store)), nl=False)
    if dry_run or out is not None:
        return
    status = with_progress(
        lambda progress: put_live(found.spec, found.run, found.bundle, found.sha256, store, progress)
    )
    click.echo(f"{found.spec.name} is {status.state} at {status.address} with {status.sha256[:12]}")


@click.command()
@click.argument("run_name", metavar="RUN")
@OVERRIDES
@click.option("--steps", help="Per cent of the traffic at each step before the last, such as 5,25,50.")
@click.option("--step-time", help="How long each step lasts: 30s, 5m, 1h.")
@click.option("--probes", type=click.IntRange(min=1), help="Golden requests at the end of each step.")
def promote(
    run_name: str, overrides: tuple[str, ...], steps: str | None, step_time: str | None, probes: int | None
) -> None:
    """Let the bundle of a run take over from the present one in steps.

    It goes back by itself, and the command ends with 6, when too many of its answers fail, when it is much slower than
    the present one, when it is another model than the run's, or when nothing of it is seen. What the options leave out
    stands in `deployment.rollout`.
    """
    from pizzeria.deployments import put_live

    store, found = _packed(run_name, overrides)
    rollout = _rollout(found, steps, step_time, probes)
    status = with_progress(
        lambda progress: put_live(found.spec, found.run, found.bundle, found.sha256, store, progress, rollout=rollout)
    )
    click.echo(f"{found.spec.name} is {status.state} at {status.address} with {status.sha256[:12]}")


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3000, show_default=True)
def serve(run_name: str, host: str, port: int) -> None:
    """Serve the bundle of a run here in the foreground, until Ctrl-C."""
    from pizzeria.deployments import release_of, require_signed

    store, found = _packed(run_name, ())
    release = release_of(found.spec, found.bundle, found.sha256, store, found.run)
    require_signed(release, store)
    release.log_folder.mkdir(parents=True, exist_ok=True)
    rendered = release.server.render(release, host, port)
    click.echo(f"{found.spec.name} at http://{host}:{port}", err=True)
    [command] = rendered.commands
    os.execvpe(command[0], list(command), {**os.environ, **rendered.environment})  # noqa: S606 - the server's own command, as a list


@click.command()
@click.argument("name")
@click.option("--others", is_flag=True, help="Only what earlier deployments left live on other targets.")
def stop(name: str, others: bool) -> None:
    """Take a service down, wherever it was put live."""
    from pizzeria.deployments import stop as take_down

    with_progress(lambda progress: take_down(name, open_store(), progress, others=others))
    click.echo(f"{name} is live in one place alone" if others else f"{name} is stopped")


@click.command()
@click.argument("name")
@click.option("--to", metavar="SHA_OR_RUN", help="Not the one before the present one, but this.")
def rollback(name: str, to: str | None) -> None:
    """Put a bundle live again that was live before, where it was then; all at once."""
    from pizzeria.deployments import roll_back

    entry = with_progress(lambda progress: roll_back(name, open_store(), progress, to=to))
    click.echo(f"{name} is back at {entry.sha256[:12]} of run {entry.run}")


def _packed(run_name: str, overrides: Sequence[str]) -> tuple[Store, Packed]:
    """The bundle of a run, to be deployed as its spec and the overrides say."""
    from pizzeria.deployments import packed
    from pizzeria.loading import load_resolved

    store, run, spec = open_run(run_name)
    if overrides:
        spec = load_resolved(run.folder / "spec.yaml", overrides)
    return store, packed(run, spec, store)


def _rollout(found: Packed, steps: str | None, step_time: str | None, probes: int | None) -> Rollout:
    from pydantic import ValidationError

    from pizzeria.spec.deployment import Rollout

    wanted = (found.spec.deployment.rollout or Rollout()).model_dump()
    if steps is not None:
        parts = [part.strip() for part in steps.split(",")]
        if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
            raise click.BadParameter(f"{steps!r} is no list of numbers; write 5,25,50", param_hint="--steps")
        wanted["steps"] = tuple(map(int, parts))
    if step_time is not None:
        wanted["step_s"] = seconds_of(step_time, "--step-time")
    if probes is not None:
        wanted["probes"] = probes
    try:
        return Rollout.model_validate(wanted)
    except ValidationError as error:
        message = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise click.BadParameter(message, param_hint="--steps") from None
