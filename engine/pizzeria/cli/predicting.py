"""Commands that ask a model: predict, verify."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pizzeria.cli.opening import open_run, with_progress


@click.command()
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

    _, found, spec = open_run(run_name)
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
        done = with_progress(
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


@click.command()
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

    _, found, spec = open_run(run_name)
    wanted = read_listings(listings, photos)
    bundle = found.stage("package") / "bundle"
    results = with_progress(
        lambda progress: list(verify_listings(bundle, wanted, spec.serving.max_megapixels, progress))
    )
    if out is not None:
        write_verdicts(results, out)
        click.echo(f"verdicts of {len(results)} listings in {out}")
    else:
        print_verdicts(results)
