"""Commands for the truth of predictions: labels add, queue, suggest, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pizzeria.cli.opening import open_store, with_progress

if TYPE_CHECKING:
    from pizzeria.labels import Served

NAME = click.argument("name")
PHOTOS = click.option(
    "--photos",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the photos by the names that were sent, where the log keeps none.",
)


@click.group()
def labels() -> None:
    """Ask for the truth of predictions, take it in, and make training data of it.

    NAME is a deployment's name, or a run's id, folder or spec's name.
    """


@labels.command("add")
@NAME
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--source", default="", help="Who says it, where the file does not tell.  [default: the file's name]")
@click.option("--empty", is_flag=True, help="Photos without a box or class in the file show nothing.")
def labels_add(name: str, file: Path, source: str, empty: bool) -> None:
    """Keep the labels of a file with the prediction log; a file that was added before changes nothing.

    FILE is a CSV, Parquet or JSON-lines table with prediction_id or input_id, COCO, Label Studio's JSON, or the XML of
    CVAT for images 1.1.
    """
    from pizzeria.labels import add
    from pizzeria.labels.adding import told

    done = add(_served(name), file, source=source, empty=empty)
    figures = told(done)
    click.echo(", ".join(f"{figures[key]} {key}" for key in ("new", "changed", "same")))
    if done.unknown:
        click.echo(f"{done.unknown} of no prediction in the log; kept, and joined when it comes")
    if done.empty:
        click.echo(f"{done.empty} say nothing and are passed over; --empty takes them for photos that show nothing")
    for note in done.notes:
        click.echo(note, err=True)


@labels.command("queue")
@NAME
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="Predictions at most.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="New folder.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "coco", "label_studio"]),
    default="csv",
    show_default=True,
    help="What to write beside the table and the photos.",
)
@PHOTOS
@click.option(
    "--listings",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV with listing_id and declared.  [default: the listings of the training data]",
)
def labels_queue(name: str, limit: int, out: Path, form: Any, photos: Path | None, listings: Path | None) -> None:
    """Write the predictions that are most worth a label, and why each is.

    Least certain, far from all that the model was tested on, or at odds with what the listing declares; of near-equal
    photos or rows one is asked.
    """
    from pizzeria.labels import queue

    done = queue(_served(name), out, limit=limit, form=form, photos=photos, listings=listings)
    for path in done.files:
        click.echo(path)
    click.echo(
        f"{done.asked} of {done.logged} predictions, with {done.photos} photos; {done.labelled} have labels already, "
        f"{done.alike} are near-equal to one that is asked",
        err=True,
    )
    for note in done.notes:
        click.echo(note, err=True)


@labels.command("suggest")
@NAME
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["coco", "label_studio", "csv"]),
    help="coco is what CVAT imports.  [default: coco for boxes, label_studio for photos, csv for rows]",
)
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Instead of each class's threshold.")
def labels_suggest(name: str, folder: Path, form: Any, min_confidence: float | None) -> None:
    """Let the model label the photos of a folder, as `queue` wrote it, for somebody to correct."""
    from pizzeria.errors import DataError
    from pizzeria.labels import suggest

    served = _served(name)
    if form is None:
        detection, photos = served.bundle.task == "object_detection", served.bundle.takes_photos
        form = "coco" if detection else "label_studio" if photos else "csv"
    done = with_progress(lambda progress: suggest(served, folder, progress, form=form, min_confidence=min_confidence))
    click.echo(done.file)
    click.echo(f"{done.things} suggestions for {done.asked} photos or rows", err=True)
    for photo, reason in done.failed.items():
        click.echo(f"no suggestion: {photo}: {reason}", err=True)
    if done.failed:
        sys.exit(DataError.exit_code)


@labels.command("export")
@NAME
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="New folder.")
@PHOTOS
def labels_export(name: str, out: Path, photos: Path | None) -> None:
    """Write all labelled predictions as new training data, and what to write into the spec."""
    from pizzeria.labels import export

    served = _served(name)
    done = with_progress(lambda progress: export(served, out, progress, photos=photos))
    click.echo(done.file)
    click.echo(f"{done.examples} examples" + (f", {done.things} labels in them" if done.things else ""), err=True)
    if done.without_photo:
        click.echo(f"{done.without_photo} have no photo, and are left out", err=True)
    if done.without_boxes:
        click.echo(f"{done.without_boxes} name classes without boxes, and are left out", err=True)
    if done.twice:
        click.echo(f"{done.twice} are of a photo that is there already", err=True)
    click.echo(f"data:\n  also:\n    - {done.snippet}")


def _served(name: str) -> Served:
    from pizzeria.labels import open_served

    return open_served(name, open_store())
