"""Commands about services: deploy, serve, status, stop, rollback."""

from __future__ import annotations

import os
import sys

import click

from pizzeria.cli.opening import open_run, open_store, with_progress


@click.command()
@click.argument("run_name", metavar="RUN")
def deploy(run_name: str) -> None:
    """Put the bundle of a run live. RUN is a run's id or folder, or a spec's name for its newest run."""
    from pizzeria.deployments import put_live

    store, found, spec = open_run(run_name)
    package = store.load(found.stage("package").name)
    assert package is not None
    status = with_progress(
        lambda progress: put_live(spec, found, package.folder / "bundle", str(package.facts["sha256"]), store, progress)
    )
    click.echo(f"{spec.name} is {status.state} at {status.address} with {status.sha256[:12]}")


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3000, show_default=True)
def serve(run_name: str, host: str, port: int) -> None:
    """Serve the bundle of a run here in the foreground, until Ctrl-C."""
    from pizzeria.deployments import release_of

    store, found, spec = open_run(run_name)
    package = store.load(found.stage("package").name)
    assert package is not None
    release = release_of(spec, package.folder / "bundle", str(package.facts["sha256"]), store)
    release.log_folder.mkdir(parents=True, exist_ok=True)
    rendered = release.server.render(release, host, port)
    click.echo(f"{spec.name} at http://{host}:{port}", err=True)
    [command] = rendered.commands
    os.execvpe(command[0], list(command), {**os.environ, **rendered.environment})  # noqa: S606


@click.command()
@click.argument("name", required=False)
def status(name: str | None) -> None:
    """Say what is deployed, where, and whether it answers."""
    from pizzeria.deployments import deployed
    from pizzeria.errors import NotFoundError, nearest

    found = deployed(open_store())
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
        for line in one.status.detail.splitlines():
            click.echo(f"    {line}")
        if one.status.state == "live" and one.status.sha256 != one.entry.sha256:
            click.echo(f"    it answers with {one.status.sha256[:12]}, not with the model that was deployed")
    if any(one.status.state != "live" for one in found):
        sys.exit(1)


@click.command()
@click.argument("name")
def stop(name: str) -> None:
    """Take a service down."""
    from pizzeria.deployments import stop as take_down

    take_down(name, open_store())
    click.echo(f"{name} is stopped")


@click.command()
@click.argument("name")
def rollback(name: str) -> None:
    """Put the bundle live again that was there before the present one."""
    from pizzeria.deployments import roll_back

    entry = with_progress(lambda progress: roll_back(name, open_store(), progress))
    click.echo(f"{name} is back at {entry.sha256[:12]} of run {entry.run}")
