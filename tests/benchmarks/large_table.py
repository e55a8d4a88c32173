"""A large table from its file to features, stage by stage: seconds, rows per second and the peak of memory.

    python tests/benchmarks/large_table.py [--rows 20000000] [--yardstick-rows 1000000] [--folder FOLDER] [--csv]

Makes a Parquet table of 13 columns (or, with --csv, a CSV), and runs each stage with the command that a user would
type, in a process of its own, whose highest resident set the kernel tells. The yardstick is what one does without
Pizzeria: pandas reads the Parquet file, and Great Expectations checks the frame, by the same expectations; it is
measured at its own number of rows, and said to be `scaled` where it is shown for more. What goes to standard output
is a Markdown table, for docs/data/addresses-and-tables.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

BAR_GB = 2.0
STAGES = ("collect", "validate", "split", "leakage", "features")
_COLUMNS = """
    i AS row_key,
    TIMESTAMP '2020-01-01' + to_seconds(CAST(i * 7 AS BIGINT)) AS booked_at,
    hash(i) % 500000 AS customer,
    CASE WHEN hash(i, 1) % 20 = 0 THEN NULL ELSE round((hash(i, 2) % 100000) / 100.0, 2) END AS price,
    (hash(i, 3) % 1000000) / 1e6 AS share,
    CASE WHEN hash(i, 4) % 50 = 0 THEN NULL ELSE CAST(hash(i, 5) % 90 AS INTEGER) END AS age,
    CAST(hash(i, 6) % 12 AS SMALLINT) AS months,
    'city ' || CAST(hash(i, 7) % 300 AS VARCHAR) AS city,
    CASE hash(i, 8) % 4 WHEN 0 THEN 'card' WHEN 1 THEN 'cash' WHEN 2 THEN 'transfer' END AS paid_by,
    hash(i, 9) % 3 = 0 AS returning,
    DATE '2015-01-01' + CAST(hash(i, 10) % 1800 AS INTEGER) AS since,
    substr('what a guest wrote of the place and would rather have kept', 1, CAST(hash(i, 11) % 50 AS INTEGER)) AS note,
    CASE WHEN (hash(i, 3) % 1000000) / 1e6 + (hash(i, 12) % 1000) / 2e3 > 0.75 THEN 'yes' ELSE 'no' END AS booked
"""
EXPECTATIONS: list[dict[str, dict[str, object]]] = [
    {"expect_column_values_to_be_between": {"column": "share", "min_value": 0, "max_value": 1}},
    {"expect_column_values_to_be_between": {"column": "age", "min_value": 0, "max_value": 120}},
    {"expect_column_values_to_not_be_null": {"column": "price", "mostly": 0.9}},
    {"expect_column_values_to_be_in_set": {"column": "paid_by", "value_set": ["card", "cash", "transfer"]}},
    {"expect_column_values_to_be_in_set": {"column": "booked", "value_set": ["yes", "no"]}},
    {"expect_column_values_to_be_unique": {"column": "row_id"}},
    {"expect_column_unique_value_count_to_be_between": {"column": "city", "min_value": 2, "max_value": 1000}},
    {"expect_column_value_lengths_to_be_between": {"column": "note", "min_value": 0, "max_value": 200}},
    {"expect_column_mean_to_be_between": {"column": "price", "min_value": 100, "max_value": 900}},
]


@dataclass(frozen=True)
class Figure:
    """What one process took."""

    what: str
    rows: int
    seconds: float
    peak_gb: float
    problem: str = ""
    scaled: str = ""

    def line(self) -> str:
        if self.problem:
            return f"| {self.what} | {self.rows:,} | {self.problem} | | {self.peak_gb:.2f} GB |"
        rate = self.rows / self.seconds
        return (
            f"| {self.what} | {self.rows:,} | {self.seconds:.0f} s{self.scaled} | {rate:,.0f} | "
            f"{self.peak_gb:.2f} GB{self.scaled} |"
        )


def make_table(path: Path, rows: int) -> None:
    """Write the table; always the same for the same number of rows."""
    import duckdb

    kind = "csv" if path.suffix == ".csv" else "parquet"
    with duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(path.parent / "spill")}) as connection:
        connection.execute(f"COPY (SELECT {_COLUMNS} FROM range({rows}) t(i)) TO '{path}' (FORMAT {kind})")


def spec_of(table: Path) -> dict[str, object]:
    """A spec that reads the table; written as an experiment of the working folder."""
    return {
        "defaults": [
            {"override /data": "table"},
            {"override /features": "columns"},
            {"override /model": "tabular_network"},
        ],
        "name": "large",
        "problem": {
            "need": "A benchmark.",
            "owner": "nobody",
            "task": "tabular_classification",
            "classes": ["no", "yes"],
            "target": "booked",
            "success": [{"metric": "auroc", "at_least": 0.5}],
        },
        "data": {
            "path": str(table),
            "row_id": "row_key",
            "split": {"group_by": "customer", "validation": 0.1, "test": 0.1},
            "expectations": {"rows": EXPECTATIONS},
        },
    }


def measured(what: str, rows: int, command: list[str], folder: Path) -> Figure:
    """Run a command to its end."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    environment = {**os.environ, "PIZZERIA_STORE": str(folder / "runs"), "PIZZERIA_CACHE": str(folder / "cache")}
    began = time.perf_counter()
    with open(folder / "output.txt", "w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        output.seek(0)
        said = output.read()
    print(f"  {seconds:.1f} s, {usage.ru_maxrss / 2**20:.2f} GB, exit {process.returncode}", file=sys.stderr)
    problem = ""
    if process.returncode:
        print(said[-3000:], file=sys.stderr)
        problem = f"failed: exit {process.returncode}"
    return Figure(what, rows, seconds, usage.ru_maxrss / 2**20, problem)


def yardstick(path: Path) -> None:
    """pandas reads the table and Great Expectations checks it; run in a process of its own."""
    import warnings

    import pandas as pd

    warnings.simplefilter("ignore")
    import great_expectations as gx

    frame = pd.read_parquet(path)
    frame = frame.rename(columns={"row_key": "row_id"})
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": frame})
    suite = gx.ExpectationSuite("suite")
    for entry in EXPECTATIONS:
        ((name, arguments),) = entry.items()
        suite.add_expectation_configuration(
            gx.expectations.expectation_configuration.ExpectationConfiguration(type=name, kwargs=arguments)
        )
    result = batch.validate(suite)
    print(json.dumps({"success": result.success}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--yardstick-rows", type=int, default=1_000_000, help="0: leave it out")
    parser.add_argument("--folder", type=Path, help="where to work; some 5 GB for 20 million rows")
    parser.add_argument("--csv", action="store_true", help="collect from a CSV instead of Parquet")
    parser.add_argument("--stages", default=",".join((*STAGES, "profile")), help="those to run, between commas")
    parser.add_argument("--yardstick", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.yardstick:
        yardstick(arguments.yardstick)
        return
    with tempfile.TemporaryDirectory(prefix="pizzeria-large-", dir=arguments.folder) as name:
        run(Path(name), arguments)


def run(folder: Path, arguments: argparse.Namespace) -> None:
    """Measure all, and print the table."""
    rows, table = arguments.rows, folder / ("large.csv" if arguments.csv else "large.parquet")
    print(f"making {rows:,} rows ...", file=sys.stderr)
    make_table(table, rows)
    (folder / "conf" / "experiment").mkdir(parents=True)
    spec = yaml.safe_dump(spec_of(table), sort_keys=False)
    (folder / "conf" / "experiment" / "large.yaml").write_text("# @package _global_\n" + spec)
    command = [sys.executable, "-m", "pizzeria.cli"]
    figures = []
    for stage in arguments.stages.split(","):
        if stage == "profile":
            words = [*command, "data", "profile", "conf/experiment/large.yaml", "--out", "learnt.yaml"]
        else:
            words = [*command, "run", "conf/experiment/large.yaml", "--until", stage]
        figures.append(measured(stage, rows, words, folder))
        if figures[-1].problem and stage in ("collect", "split"):
            break
    lines = [figure.line() for figure in figures]
    few = min(arguments.yardstick_rows, rows)
    if few:
        small = folder / "small.parquet"
        make_table(small, few)
        own = [sys.executable, str(Path(__file__).absolute()), "--yardstick", str(small)]
        one = measured("pandas + GX, the same expectations", few, own, folder)
        lines.append(one.line())
        if few < rows and not one.problem:
            factor = rows / few
            lines.append(Figure(one.what, rows, one.seconds * factor, one.peak_gb * factor, scaled=" (scaled)").line())
    size = table.stat().st_size / 1e9
    print(f"\n{rows:,} rows in 13 columns, {size:.2f} GB of {table.suffix[1:]}; {os.cpu_count()} CPU cores\n")
    print("| stage | rows | wall time | rows/s | peak memory |\n|---|---|---|---|---|")
    print("\n".join(lines))
    worst = max(figure.peak_gb for figure in figures)
    print(f"\nHighest peak {worst:.2f} GB; the bar is {BAR_GB:.0f} GB: {'met' if worst <= BAR_GB else 'MISSED'}.")


if __name__ == "__main__":
    main()
