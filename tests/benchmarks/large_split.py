"""Seconds and memory to split a table of millions of rows, and to look for leaks in it.

    python tests/benchmarks/large_split.py [--rows 20000000] [--only group_by]

Each way of splitting runs in a process of its own, so that the memory (resident, at its highest) is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS: dict[str, dict[str, object]] = {
    "by hash": {},
    "group_by": {"group_by": "customer"},
    "stratify_by": {"stratify_by": "kind"},
    "stratified groups": {"group_by": "customer", "stratify_by": "kind"},
    "order_by with a gap": {"order_by": "at", "gap": "1h"},
    "groups in order": {"order_by": "at", "group_by": "customer"},
    "folds": {"folds": 5, "fold": 3},
}
LEAKAGE = "leakage"


def make(path: Path, rows: int) -> None:
    """Customers of about 66 rows, nine kinds, a time with equal values, three numbers and a target."""
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(path.parent)}) as connection:
        connection.execute(
            f"""COPY (SELECT i::VARCHAR AS row_id,
            TIMESTAMP '2013-01-01' + to_seconds((i * 2 + hash(i) % 3000)::BIGINT) AS at,
            'c' || (hash(i * 7) % {max(rows // 66, 10)}) AS customer, 'k' || (hash(i * 3) % 9) AS kind,
            (hash(i * 5) % 100000) / 100000.0 AS a, (hash(i * 11) % 100000) / 100000.0 AS b,
            (hash(i * 13) % 1000) / 10.0 AS price, ((hash(i * 17) % 20 = 0)::INT)::VARCHAR AS label
            FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)"""
        )


def one_way(way: str, path: Path) -> None:
    from pizzeria.leakage.same_things import row_leaks
    from pizzeria.leakage.targets import target_leaks
    from pizzeria.spec.leakage import Leakage
    from pizzeria.spec.problem import Problem
    from pizzeria.spec.split import Split
    from pizzeria.splitting import assign
    from pizzeria.splitting.row_store import opened
    from pizzeria.tables import Tables

    splits = path.with_name("splits.parquet")
    clock = time.perf_counter()
    if way == LEAKAGE:
        problem = Problem.model_validate(
            {
                "need": "n",
                "owner": "o",
                "task": "tabular_classification",
                "classes": ["0", "1"],
                "target": "label",
                "success": [{"metric": "auroc", "at_least": 0.5}],
            }
        )
        with opened(path, path.parent) as connection:
            connection.execute(f"CREATE VIEW sides AS FROM read_parquet('{splits}')")
            assert not row_leaks(connection, "row_id", 0.01)
            assert not target_leaks(connection, "row_id", problem, None, Leakage())[0]
        counts: object = "none found"
    else:
        with assign(Tables(rows=path), Split.model_validate(WAYS[way]), folder=path.parent) as found:
            found.write(splits)
            counts = {**found.counts, **found.left_out}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{way:22} {time.perf_counter() - clock:7.1f} s {peak:7.0f} MB  {counts}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--only")
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.path is not None:
        one_way(given.only, given.path)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        make(path, given.rows)
        print(f"{given.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
        for way in [*WAYS, LEAKAGE] if given.only is None else [given.only]:
            subprocess.run([sys.executable, __file__, "--only", way, "--path", path], check=True)


if __name__ == "__main__":
    main()
