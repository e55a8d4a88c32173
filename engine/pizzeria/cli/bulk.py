"""`pizzeria predict --runner`: the part of that command that works on millions of inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pizzeria.cli.opening import open_run, with_progress

if TYPE_CHECKING:
    from pizzeria.contracts import BulkWork
    from pizzeria.spec.stages import Runner


def predict_in_bulk(
    run_name: str,
    inputs: Sequence[str],
    runner: str,
    out: str | None,
    part_rows: int,
    column: str | None,
    keep: Sequence[str],
) -> None:
    """See `pizzeria.bulk.predict_in_bulk`; prints what came of it, and exits as `predict` does."""
    from pizzeria.bulk import predict_in_bulk as predict
    from pizzeria.errors import DataError

    if out is None:
        raise click.UsageError("--runner writes a folder of Parquet files; name it with --out")
    _, found, spec = open_run(run_name)
    each = _each(runner, spec.runner)
    done = with_progress(
        lambda progress: predict(
            found.stage("package") / "bundle",
            spec.serving.max_megapixels,
            inputs,
            out,
            each,
            progress,
            part_rows=part_rows,
            column=column,
            keep=keep,
        )
    )
    again = f", {done.stood} of them from before" if done.stood else ""
    click.echo(f"predictions of {done.rows} inputs in {out}: {done.parts} parts{again}")
    if done.failed:
        click.echo(f"not predicted: {done.failed} inputs; their column `error` says why", err=True)
        sys.exit(DataError.exit_code)


def _each(text: str, of_spec: Runner) -> Callable[[BulkWork, Sequence[str]], Iterator[str]]:
    """The work of a runner: `ray`, with the options of the run's spec where that names it too, or
    `{use: ray, workers: 8}`."""
    import yaml
    from pydantic import ValidationError

    from pizzeria import registry

    try:
        told: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        told = None
    if isinstance(told, str):
        told = {"use": told}
    if not isinstance(told, dict) or not isinstance(told.get("use"), str):
        raise click.BadParameter(
            f"{text!r} is no runner; write ray, or {{use: ray, workers: 8}}", param_hint="--runner"
        )
    use = told.pop("use")
    plugin = registry.load("runners", use)
    try:
        options = plugin.Options.model_validate(told, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise click.BadParameter(f"{where}: {first['msg']}", param_hint="--runner") from None
    if not told and use == of_spec.use and of_spec.options is not None:
        options = of_spec.options
    return partial(plugin.each, options)
