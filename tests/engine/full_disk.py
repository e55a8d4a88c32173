"""Fills a tmpfs, mounts nothing else, and prints how what each library raises on it is told; runs in a mount namespace.

unshare --mount python full_disk.py FOLDER
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from safetensors.numpy import save_file

from pizzeria import atomic
from pizzeria.disk_trouble import trouble_of
from pizzeria.torture.full_disks import Disk

DISK = Path(sys.argv[1])
BYTES = np.random.default_rng(0).integers(0, 255, 3_000_000, dtype=np.uint8)


def write_sqlite() -> None:
    connection = sqlite3.connect(DISK / "s.sqlite")
    with connection:
        connection.execute("create table t(b blob)")
        connection.execute("insert into t values (?)", (BYTES.tobytes(),))


def write_shared_sqlite() -> None:
    """As the ledger: the first thing that it needs is the file that its processes share."""
    DISK.joinpath("ballast").unlink()
    path = DISK / "w.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("pragma journal_mode = wal; create table t(a)")
    Disk(DISK).fill(leave=12_000)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into t values (1)")


def write_duckdb() -> None:
    duckdb.sql(f"copy (select random() a from range(3000000)) to '{DISK}/x.parquet'")


def write_zip() -> None:
    with zipfile.ZipFile(DISK / "z.zip", "w") as stream:
        stream.writestr("a", BYTES.tobytes())


WRITERS: dict[str, Callable[[], object]] = {
    "pizzeria": lambda: atomic.write_bytes(DISK / "a", BYTES.tobytes()),
    "sqlite": write_sqlite,
    "sqlite, shared": write_shared_sqlite,
    "pyarrow": lambda: pq.write_table(pa.table({"a": BYTES}), DISK / "p.parquet"),
    "duckdb": write_duckdb,
    "numpy": lambda: np.save(DISK / "n.npy", BYTES),
    "safetensors": lambda: save_file({"a": BYTES}, DISK / "w.safetensors"),
    "pillow": lambda: Image.fromarray(BYTES.reshape(1000, 1000, 3)).save(DISK / "i.png"),
    "zipfile": write_zip,
}


def main() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "torture", str(DISK)], check=True)
    os.environ["PIZZERIA_STORE"] = str(DISK / "runs")
    disk, told = Disk(DISK), {}
    for name, write in WRITERS.items():
        disk.fill(leave=100_000)
        told["free"] = str(disk.free)
        try:
            write()
            told[name] = "no error"
        except Exception as error:
            trouble = trouble_of(error)
            told[name] = "" if trouble is None else f"{trouble.message}\n{trouble.hint}"
        for path in DISK.iterdir():
            path.unlink()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
