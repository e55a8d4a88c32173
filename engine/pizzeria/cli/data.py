"""Commands about data: `data profile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pizzeria.cli.opening import open_store, with_progress

if TYPE_CHECKING:
    from pizzeria.spec.problem import Problem
    from pizzeria.tables import Tables

_VALIDATOR = "great_expectations"


@click.group()
def data() -> None:
    """Look at data before a model does."""


@data.command()
@click.argument("target", nargs=-1, required=True, metavar="SPEC|RUN|PATH [KEY=VALUE]...")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.  [default: print it]")
@click.option("--drift", is_flag=True, help="Only how columns are spread, as data.reference checks it.")
@click.option("--without", multiple=True, metavar="COLUMN", help="Leave a column out; may be given several times.")
def profile(target: tuple[str, ...], out: Path | None, drift: bool, without: tuple[str, ...]) -> None:
    """Learn expectations from a version of the data that is good.

    TARGET is a spec, whose data are collected if need be; a run, whose data it is; or a table: a Parquet, CSV or JSON
    lines file. What comes out goes under `data` of a spec as it is. Take out what is not meant, and let the rest stand.
    Of a table whose target is a class, profile the spec: it has the classes as text, which the file may not.
    """
    from pizzeria import atomic, registry
    from pizzeria.errors import DataError

    tables, problem, name = _look_up(target)
    validator = registry.load("validators", name)
    if not hasattr(validator, "profile"):
        raise DataError(f"the validator {name} learns no expectations", hint=f"set data.validator={_VALIDATOR}")
    learnt = validator.profile(tables, problem, drift=drift)
    if without:
        learnt = {table: _less(entries, set(without)) for table, entries in learnt.items()}
    text = as_yaml(learnt, " ".join(target))
    if out is None:
        click.echo(text, nl=False)
        return
    atomic.write_bytes(out, text.encode())
    click.echo(f"{sum(map(len, learnt.values()))} expectations are in {out}")


def as_yaml(expectations: Mapping[str, Sequence[Mapping[str, Any]]], origin: str) -> str:
    """As a spec may have it, one expectation a line.

    Example:
        >>> print(as_yaml({"rows": [{"expect_column_to_exist": {"column": "a"}}]}, "a.csv"), end="")
        # learnt from a.csv
        data:
          expectations:
            rows:
            - expect_column_to_exist: {column: a}
    """
    import yaml

    lines = [f"# learnt from {origin}", "data:", "  expectations:"]
    for table, entries in expectations.items():
        lines.append(f"    {table}:")
        for entry in entries:
            ((name, arguments),) = entry.items()
            text = yaml.safe_dump(dict(arguments), default_flow_style=True, sort_keys=False, width=10**9).strip()
            lines.append(f"    - {name}: {text}")
    return "\n".join(lines) + "\n"


def _less(entries: Sequence[Mapping[str, Any]], without: set[str]) -> list[dict[str, Any]]:
    """Entries that are not on these columns; from a set of columns they are taken out."""
    left = []
    for entry in entries:
        ((name, arguments),) = entry.items()
        if arguments.get("column") in without:
            continue
        if "column_set" in arguments:
            arguments = arguments | {"column_set": [c for c in arguments["column_set"] if c not in without]}
        left.append({name: arguments})
    return left


def _look_up(target: tuple[str, ...]) -> tuple[Tables, Problem | None, str]:
    """Tables, problem and validator of what was named."""
    from pizzeria.reference import FORMATS, reference_tables
    from pizzeria.tables import read_tables

    path = Path(target[0])
    if len(target) == 1 and path.suffix.lower() in FORMATS:
        return reference_tables(target[0]), None, _VALIDATOR
    if "=" in target[0] or path.suffix.lower() in (".yaml", ".yml"):
        from pizzeria.execution import execute
        from pizzeria.loading import load_spec

        spec = load_spec(target)
        done = with_progress(lambda progress: execute(spec, open_store(), progress, until="collect"))
        return read_tables(done.results["collect"].folder), spec.problem, spec.data.validator
    from pizzeria.cli.opening import open_run

    _, run, spec = open_run(target[0])
    return read_tables(run.stage("collect")), spec.problem, spec.data.validator
