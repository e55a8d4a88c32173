"""The command `init`: a first spec for one's own data."""

from __future__ import annotations

import click

from pizzeria.cli.opening import with_progress


@click.command()
@click.option("--data", "address", required=True, help="Folder or file of your data, or s3://, gs://, http://...")
@click.option("--name", help="Name of the spec.  [default: of the data]")
@click.option("--task", help="object_detection, image_classification ...  [default: what the data are made for]")
@click.option("--target", help="Tables: the column to predict.  [default: target, label, class ... or the last one]")
@click.option("--source", help="Source plugin that reads the data.  [default: the one that recognises them]")
@click.option("--weights", help="A file of weights, named after its timm backbone.  [default: ImageNet's]")
@click.option("--minutes", default=10.0, show_default=True, help="How long the first training may take, about.")
@click.option("--force", is_flag=True, help="Replace a spec of that name.")
def init(
    address: str,
    name: str | None,
    task: str | None,
    target: str | None,
    source: str | None,
    weights: str | None,
    minutes: float,
    force: bool,
) -> None:
    """Look at data, and write a spec for them: conf/experiment/NAME.yaml in this folder.

    The format and the task are recognised, classes counted, splits, expectations, a model for this machine and success
    criteria proposed; each with the reason beside it. Nothing is asked.
    """
    from pizzeria.proposal.proposing import Wishes, propose

    wishes = Wishes(name, task, target, source, weights, minutes)
    done = with_progress(lambda progress: propose(address, wishes, progress, force=force))
    for line in done.found:
        click.echo(line)
    for remark in done.remarks:
        click.echo(f"{click.style('still to do:', fg='yellow')} {remark}")
    click.echo(f"\n{done.path} is written. Read it, state the need, and:\n")
    click.echo(f"    pizzeria validate experiment={done.name}\n    pizzeria run experiment={done.name}")
