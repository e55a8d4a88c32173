"""Commands that ask a model: predict, verify."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_run, with_progress

if TYPE_CHECKING:
    from pizzeria.answering import Answering
    from pizzeria.contracts import Progress
    from pizzeria.prediction import Predicted

URL = click.option("--url", help="Ask a running service, such as http://127.0.0.1:3000, instead of a run's bundle.")
KEY = click.option("--key-from", metavar="NAME", help="Environment variable with the service's API key.")


@click.command()
@click.argument("run_and_inputs", nargs=-1, required=True, metavar="[RUN] PHOTOS_FOLDER_OR_TABLE...")
@URL
@KEY
@click.option("--out", help="Write all predictions: .json, .csv or .parquet; with --runner a folder, or its address.")
@click.option(
    "--drawn",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for copies with boxes.  [default: predictions]",
)
@click.option(
    "--runner",
    help="Predict Parquet files in parts, by a runner: local, ray or {use: ray, workers: 8}. Given again, the same "
    "command makes what is lacking.",
)
@click.option("--part-rows", type=click.IntRange(1), default=1000, show_default=True, help="--runner: rows in a part.")
@click.option("--column", help="--runner: column of the photos, bytes or paths.  [default: photo, image, path ...]")
@click.option("--keep", multiple=True, help="--runner: column that is taken over into the predictions.")
def predict(
    run_and_inputs: tuple[str, ...],
    url: str | None,
    key_from: str | None,
    out: str | None,
    drawn: Path | None,
    runner: str | None,
    part_rows: int,
    column: str | None,
    keep: tuple[str, ...],
) -> None:
    """Predict photos (or, for tabular models, the rows of a table).

    With RUN, its bundle answers here, without a service; with --url there is no RUN, and the service answers. With
    --runner, any number of photos or rows in Parquet files: docs/scale.md.
    """
    if runner is None:
        _predict_here(run_and_inputs, url, key_from, None if out is None else Path(out), drawn)
        return
    from pizzeria.cli.bulk import predict_in_bulk

    if url is not None or drawn is not None:
        raise click.UsageError("--runner works on a run's bundle and writes Parquet alone: leave out --url and --drawn")
    run_name, _ = _run_and_inputs(run_and_inputs, None)
    predict_in_bulk(run_name, run_and_inputs[1:], runner, out, part_rows, column, keep)


def _predict_here(
    run_and_inputs: tuple[str, ...], url: str | None, key_from: str | None, out: Path | None, drawn: Path | None
) -> None:
    from pizzeria.errors import DataError
    from pizzeria.prediction import OUTPUTS, write_predictions

    if out is not None and out.suffix not in OUTPUTS:
        raise DataError(f"{out} ends in none of {', '.join(sorted(OUTPUTS))}", hint="choose one of them for --out")
    run_name, inputs = _run_and_inputs(run_and_inputs, url)
    with _answering(run_name, url, key_from) as answering:
        task = answering.task
        done = with_progress(lambda progress: _predict(answering, inputs, drawn, progress))
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


@click.command()
@click.argument("run_name", metavar="RUN")
@click.argument("listings", type=click.Path(path_type=Path), metavar="LISTINGS")
@click.option("--photos", type=click.Path(file_okay=False, path_type=Path), help="Folder of the photos.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all verdicts: .csv, .parquet, .json or .jsonl.",
)
def verify(run_name: str, listings: Path, photos: Path | None, out: Path | None) -> None:
    """Check what each listing of a .csv or .parquet file (listing_id, declared, photos) declares against its photos.

    With --out, a call that was cut off goes on where it was when the same command is given again.
    """
    from pizzeria.errors import DataError
    from pizzeria.printing import print_verdicts
    from pizzeria.verification import Judge, read_listings, verify_listings, verify_to

    _, found, spec = open_run(run_name)
    wanted = read_listings(listings, photos)
    judge = Judge(found.stage("package") / "bundle", spec.serving)
    if out is None:
        print_verdicts(with_progress(lambda progress: list(verify_listings(judge, wanted, progress))))
        return
    done = with_progress(lambda progress: verify_to(out, judge, wanted, progress))
    click.echo(f"verdicts of {done.listings} listings in {out}")
    if done.faults or done.unreadable:
        click.echo(f"not judged: {done.faults} listings and {done.unreadable} photos; {out} says why", err=True)
        sys.exit(DataError.exit_code)


def _run_and_inputs(arguments: Sequence[str], url: str | None) -> tuple[str, list[Path]]:
    if url is not None:
        return "", list(map(Path, arguments))
    if len(arguments) < 2:
        raise click.UsageError(f"{arguments[0]!r} is the run; name what it shall predict too, or give --url")
    return arguments[0], list(map(Path, arguments[1:]))


@contextmanager
def _answering(run_name: str, url: str | None, key_from: str | None) -> Iterator[Answering]:
    from pizzeria.answering import BundleAnswers, ServiceAnswers

    if url is None:
        _, found, spec = open_run(run_name)
        yield BundleAnswers(found.stage("package") / "bundle", spec.serving.max_megapixels)
        return
    from pizzeria.client import Client

    with Client(url, _key(key_from), timeout_s=120) as client:
        yield ServiceAnswers(client)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise click.UsageError(f"--key-from: the environment variable {variable} is not set")
    return os.environ[variable]


def _predict(answering: Answering, inputs: Sequence[Path], drawn: Path | None, progress: Progress) -> Predicted:
    from pizzeria.errors import DataError
    from pizzeria.prediction import find_photos, predict_photos, predict_rows

    if answering.task.startswith("tabular"):
        if len(inputs) != 1:
            raise DataError("a tabular model predicts one table", hint="give one .csv, .parquet or .jsonl file")
        return predict_rows(answering, inputs[0], progress)
    folder = (drawn or Path("predictions")) if answering.task == "object_detection" else None
    return predict_photos(answering, find_photos(inputs), folder, progress)
