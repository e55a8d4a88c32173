"""A prediction log of millions of records: reading it in pieces, and monitoring it, beside NannyML called directly.

    python tests/benchmarks/large_log.py [--rows 20000000] [--yardstick-rows 1000000] [--folder FOLDER] [--log parquet]

Makes a log of a binary model with 12 feature columns, and labels for one prediction in twenty. Each figure is that of a
process of its own: its seconds, and the highest memory of it and all that it started (the sum of their proportional
set sizes, so that shared pages count once) and their CPU time, sampled five times a second; CPU time, since a machine
is seldom quiet. The yardstick is what one does without
Pizzeria: pandas reads all records, and NannyML's calculators get the frame. It is measured at its own number of rows.
What goes to standard output is a Markdown table, for docs/monitoring/scale.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

BAR_GB = 1.5
PART = 50_000
"""Rows of a part: what a service writes that answers 1,700 a second."""
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=390)
"""Between two predictions: 20 million take 90 days."""
BUNDLE = "ab" * 32
NUMBERS = [f"feature:n{i}" for i in range(8)]
TEXTS = ["feature:city", "feature:kind", "feature:device"]
LABELLED = 20


def columns_of(first: int, rows: int, shift: float = 0.0) -> dict[str, Any]:
    """Columns of records number `first` and following; always the same for the same numbers."""
    random = np.random.default_rng((7, first))
    numbers = random.normal(shift, 1, (rows, len(NUMBERS)))
    logit = numbers[:, 0] + 0.5 * numbers[:, 1] + random.normal(0, 0.1, rows)
    yes = 1 / (1 + np.exp(-logit))
    truth = random.random(rows) < yes
    out: dict[str, Any] = {name: numbers[:, i].round(4) for i, name in enumerate(NUMBERS)}
    out["feature:rooms"] = random.integers(1, 6, rows)
    for name, count in zip(TEXTS, (50, 8, 3), strict=True):
        out[name] = np.array([f"{name[8:]} {i}" for i in range(count)])[random.integers(0, count, rows)]
    out["p:no"], out["p:yes"] = (1 - yes).round(6), yes.round(6)
    out["pred"] = np.where(yes >= 0.5, "yes", "no")
    return out | {"true": np.where(truth, "yes", "no")}


def table(first: int, rows: int) -> Any:
    """The part with these records, as the log writes it."""
    import pyarrow as pa

    columns = columns_of(first, rows)
    columns.pop("true")
    step = int(STEP / timedelta(microseconds=1))
    start = int((START - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    times = start + step * np.arange(first, first + rows, dtype=np.int64)
    return pa.table(
        {
            "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "sha256": pa.array([BUNDLE] * rows, pa.string()),
            "prediction_id": pa.array(names(first, rows), pa.string()),
            "input_id": pa.array([f"row-{i}" for i in range(first, first + rows)], pa.string()),
            "listing_id": pa.array([""] * rows, pa.string()),
            "latency_ms": pa.array(np.full(rows, 3.5)),
            **{name: pa.array(values) for name, values in columns.items()},
        }
    )


def names(first: int, rows: int) -> list[str]:
    """Prediction ids: UUIDs that sort by time, as the service makes them."""
    milliseconds = int(START.timestamp() * 1000)
    step = STEP / timedelta(milliseconds=1)
    return [
        f"{(at := milliseconds + int(i * step)) >> 16:08x}-{at & 0xFFFF:04x}-7000-8000-{i:012x}"
        for i in range(first, first + rows)
    ]


def make_log(folder: Path, first: int, last: int) -> None:
    """Write records [first, last) and their labels, in pieces."""
    from pizzeria.inference.truth import Label
    from pizzeria_plugins.prediction_logs import parquet
    from pizzeria_plugins.prediction_logs.parts import Store, part_name, to_bytes

    options, store = parquet.Options(), Store.open("records", folder)
    for at in range(first, last, PART):
        rows = min(PART, last - at)
        one = table(at, rows)
        newest = START + STEP * (at + rows - 1)
        store.put("predictions", part_name(newest, [str(at)]), to_bytes(one, compression="zstd"))
        truth = columns_of(at, rows)["true"]
        ids = names(at, rows)
        said = (newest + timedelta(days=1)).isoformat(timespec="microseconds")
        labels = [
            Label("prediction_id", ids[i], json.dumps({"class": str(truth[i])}, separators=(",", ":")), said)
            for i in range(0, rows, LABELLED)
        ]
        parquet.add_labels(options, folder, labels)


def copy_to_sqlite(folder: Path, target: Path) -> None:
    """The same records in a SQLite log, by its own writer."""
    from pizzeria_plugins.prediction_logs import parquet, sqlite

    write = sqlite.writer(sqlite.Options(), target)
    for frame in parquet.batches(parquet.Options(), folder, columns=None):
        frame = frame.drop(columns=["true", "embedding"], errors="ignore")
        frame["timestamp"] = [at.isoformat() for at in frame["timestamp"]]
        for at in range(0, len(frame), 1000):
            write(frame.iloc[at : at + 1000].to_dict("records"))


def traffic_of(folder: Path, log: str) -> Any:
    from pizzeria import registry
    from pizzeria.monitoring.traffic import LoggedTraffic

    plugin = registry.load("prediction_logs", log)
    return LoggedTraffic(plugin, plugin.Options(), folder, BUNDLE)


def read_all(folder: Path, log: str, columns: list[str] | None) -> dict[str, Any]:
    rows = pieces = 0
    for frame in traffic_of(folder, log).batches(columns=columns):
        rows += len(frame)
        pieces += 1
    return {"rows": rows, "pieces": pieces}


def count_all(folder: Path, log: str, rows: int, chunk: int) -> dict[str, Any]:
    edges = [START + STEP * at for at in range(0, rows + chunk, chunk)]
    return {"rows": int(sum(traffic_of(folder, log).counts(edges)))}


def reference_frame(rows: int = 50_000) -> Any:
    """Records of the same world that are in no log, with the truth."""
    import pandas as pd

    return pd.DataFrame(columns_of(10**12, rows))


def problem() -> Any:
    from pizzeria.spec.problem import Problem

    return Problem.model_validate(
        {
            "need": "A benchmark.",
            "owner": "nobody",
            "task": "tabular_classification",
            "classes": ["no", "yes"],
            "target": "booked",
            "success": [{"metric": "auroc", "at_least": 0.5}],
        }
    )


def judge(folder: Path, log: str, chunk: int, workers: int | None) -> dict[str, Any]:
    """One monitoring pass, as `pizzeria monitor` makes it."""
    from pizzeria import registry
    from pizzeria.conformance.asking import Quiet
    from pizzeria.spec.monitoring import Monitoring

    plugin = registry.load("monitors", "nannyml")
    monitoring = Monitoring.model_validate({"chunk": {"size": chunk}, "workers": workers}, strict=False)
    memory = folder / f"memory-{log}-{chunk}"
    memory.mkdir(exist_ok=True)
    traffic = traffic_of(folder, log)
    verdict = plugin.judge(plugin.Options(), monitoring, problem(), reference_frame(), traffic, memory, Quiet())
    plugin.kept(memory)
    return {
        "rows": verdict.judged,
        "chunks": len(verdict.chunks),
        "stood": verdict.stood,
        "alerts": len(verdict.alerts),
        "undecided": len(verdict.undecided),
    }


def yardstick(folder: Path, rows: int, chunk: int) -> dict[str, Any]:
    """NannyML's own calculators on a frame, in one process, by the metric and methods of the monitor."""
    import warnings

    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it calls a server otherwise
    import nannyml as nml
    import pandas as pd
    from pyarrow import parquet as pq

    began = time.perf_counter()
    warnings.simplefilter("ignore")
    paths = sorted((folder / "records" / "predictions").glob("*.parquet"))[: -(-rows // PART)]
    wanted = ["timestamp", "prediction_id", *NUMBERS, "feature:rooms", *TEXTS, "p:no", "p:yes", "pred"]
    frame = pd.concat([pq.read_table(path, columns=wanted).to_pandas() for path in paths], ignore_index=True)[:rows]
    read_s = time.perf_counter() - began
    reference = reference_frame()
    for one in (frame, reference):
        one["pred"] = (one["pred"] == "yes").astype(int)
    reference["true"] = (reference["true"] == "yes").astype(int)
    columns = [*NUMBERS, "feature:rooms", *TEXTS, "p:no", "p:yes", "pred"]
    for one in (frame, reference):
        one[["pred", *TEXTS]] = one[["pred", *TEXTS]].astype("category")
    size = {"chunk_size": chunk}
    own = [
        nml.CBPE(problem_type="classification_binary", y_pred_proba="p:yes", y_pred="pred", y_true="true",
                 metrics=["f1"], **size),
        nml.UnivariateDriftCalculator(columns, continuous_methods=["jensen_shannon"],
                                      categorical_methods=["jensen_shannon"], **size),
        nml.DataReconstructionDriftCalculator([*NUMBERS, "feature:rooms", *TEXTS], **size),
        nml.MissingValuesCalculator(columns, normalize=True, **size),
        nml.UnseenValuesCalculator(TEXTS, normalize=True, **size),
        nml.NumericalRangeCalculator([*NUMBERS, "feature:rooms"], normalize=True, **size),
    ]  # fmt: skip
    spent = {"read": read_s}
    for calculator in own:
        began = time.perf_counter()
        numeric = isinstance(calculator, nml.CBPE)
        pair = [one.assign(pred=one["pred"].astype(int)) if numeric else one for one in (reference, frame)]
        calculator.fit(pair[0])
        (calculator.estimate if numeric else calculator.calculate)(pair[1])
        spent[type(calculator).__name__] = time.perf_counter() - began
    return {"rows": len(frame), "spent": {name: round(seconds, 2) for name, seconds in spent.items()}}


@dataclass(frozen=True)
class Figure:
    """What one process took."""

    what: str
    seconds: float
    cpu_s: float
    peak_gb: float
    told: dict[str, Any]

    def line(self) -> str:
        rows = self.told.get("rows") or 0
        each = f"{1e6 * self.cpu_s / rows:.1f}" if rows else ""
        took = f"{self.seconds:.0f} s | {self.cpu_s:.0f} s"
        return f"| {self.what} | {rows:,} | {took} | {each} | {self.peak_gb:.2f} GB |"


def measured(what: str, folder: Path, *words: str) -> Figure:
    """Run one of the above in a process of its own."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    began = time.perf_counter()
    command = [sys.executable, __file__, "--folder", str(folder), "--do", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak, spent = 0.0, dict[int, float]()
    while process.poll() is None:
        family = list(_family(process.pid))
        peak = max(peak, sum(map(_pss_gb, family)))
        spent |= {one: max(_cpu_s(one), spent.get(one, 0.0)) for one in family}
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    assert process.stdout is not None
    said = process.stdout.read()
    assert process.returncode == 0, said
    told = json.loads(said.splitlines()[-1])
    print(f"  {seconds:.1f} s, {peak:.2f} GB, {told}", file=sys.stderr, flush=True)
    return Figure(what, seconds, sum(spent.values()), peak, told)


def _family(root: int) -> Iterator[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parents.setdefault(int((path / "stat").read_text().rpartition(")")[2].split()[1]), []).append(
                    int(path.name)
                )
    waiting = [root]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += parents.get(one, [])


def _pss_gb(process: int) -> float:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 2**20
    return 0.0


def _cpu_s(process: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--yardstick-rows", type=int, default=1_000_000, help="0: leave it out")
    parser.add_argument("--folder", type=Path, help="where to work; some 5 GB for 20 million rows")
    parser.add_argument("--log", choices=("parquet", "sqlite"), default="parquet")
    parser.add_argument("--chunk", type=int, default=100_000)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--do", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.do:
        print(json.dumps(done(arguments.folder, *arguments.do)))
        return
    with tempfile.TemporaryDirectory(prefix="pizzeria-log-", dir=arguments.folder) as name:
        run(Path(name), arguments)


def done(folder: Path, what: str, *words: str) -> dict[str, Any]:
    match what, *words:
        case "make", first, last:
            make_log(folder, int(first), int(last))
            return {"rows": int(last) - int(first)}
        case "copy", target:
            copy_to_sqlite(folder, Path(target))
            return {}
        case "read", log, kind:
            columns = {"all": None, "time": ["timestamp"], "numbers": ["timestamp", *NUMBERS]}[kind]
            return read_all(folder, log, columns)
        case "count", log, rows, chunk:
            return count_all(folder, log, int(rows), int(chunk))
        case "judge", log, chunk, workers:
            return judge(folder, log, int(chunk), int(workers) or None)
        case "yardstick", rows, chunk:
            return yardstick(folder, int(rows), int(chunk))
    raise ValueError(what)


def run(folder: Path, arguments: argparse.Namespace) -> None:
    """Measure all, and print the table."""
    rows, chunk, log = arguments.rows, str(arguments.chunk), arguments.log
    workers = str(arguments.workers or 0)
    measured("make", folder, "make", "0", str(rows))
    place = folder
    if log == "sqlite":
        place = folder / "sqlite"
        place.mkdir()
        measured("copy to sqlite", folder, "copy", str(place))
    figures = [
        measured(f"{log}: {what} in pieces", place, "read", log, kind)
        for kind, what in (("time", "times"), ("numbers", "8 columns of numbers"), ("all", "all, with labels"))
    ]
    figures.append(measured(f"{log}: counts, the first time", place, "count", log, str(rows), chunk))
    figures.append(measured(f"{log}: counts again", place, "count", log, str(rows), chunk))
    if arguments.yardstick_rows:
        few = str(min(arguments.yardstick_rows, rows))
        figures.append(measured("NannyML called directly, one process", folder, "yardstick", few, chunk))
    figures.append(measured("a pass over all", place, "judge", log, chunk, workers))
    figures.append(measured("a pass, nothing new", place, "judge", log, chunk, workers))
    if log == "parquet":
        measured("make 1 % more", folder, "make", str(rows), str(rows + rows // 100))
        figures.append(measured("a pass, 1 % new and labelled", place, "judge", log, chunk, workers))
    print(f"\n{rows:,} rows; {len(os.sched_getaffinity(0))} CPU cores; chunks of {arguments.chunk:,}\n")
    print("| what | rows | wall time | CPU time | µs of CPU a row | peak memory |\n|---|---|---|---|---|---|")
    print("\n".join(figure.line() for figure in figures))
    worst = max(figure.peak_gb for figure in figures if "NannyML" not in figure.what)
    print(f"\nHighest peak {worst:.2f} GB; the bar is {BAR_GB} GB: {'met' if worst <= BAR_GB else 'MISSED'}.")


if __name__ == "__main__":
    main()
