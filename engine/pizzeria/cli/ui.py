"""The command `ui`: the web application over the store."""

from __future__ import annotations

import click

from pizzeria.cli.opening import open_store


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen. Others ask readers for a token.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--actions", is_flag=True, help="Whoever opens the printed link may roll back, approve and decline.")
@click.option("--name", "names", multiple=True, help="A further name under which it is reached, such as a proxy's.")
def ui(host: str, port: int, actions: bool, names: tuple[str, ...]) -> None:
    """Show projects, runs, deployments, monitoring and decisions in a browser, until Ctrl-C.

    It only reads, unless --actions is given. On an address that others reach, reading needs the printed link too.
    """
    from pizzeria.ui.serving import serve

    serve(open_store(), host, port, actions=actions, names=names, say=click.echo)
