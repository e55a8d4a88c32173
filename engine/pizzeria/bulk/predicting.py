"""Predictions in bulk, from the side that waits for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pizzeria.bulk.columns import check_rows, output_schema, photo_column
from pizzeria.bulk.parts import cut, find_tables
from pizzeria.bulk.work import Work, answers_of, failed_of
from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.fetching.place import Place

PLAN = "_plan.json"
"""Of what the parts in the folder are; readers of Parquet pass over names that begin so."""
_AT_ONCE = 8


@dataclass(frozen=True)
class Done:
    """What came of it.

    Attributes:
        rows: Inputs, of which each is one row of the output.
        failed: Of those, how many have an `error` instead of an answer.
        parts: Files in the folder.
        stood: Of those, how many an earlier try had made.
    """

    rows: int
    failed: int
    parts: int
    stood: int


def predict_in_bulk(
    bundle: Path,
    max_megapixels: float,
    inputs: Sequence[str],
    out: str,
    each: Callable[[Work, Sequence[str]], Iterator[str]],
    progress: Progress,
    *,
    part_rows: int,
    column: str | None = None,
    keep: Sequence[str] = (),
) -> Done:
    """Let a bundle answer all rows of Parquet files, in parts; parts that an earlier try has made stay.

    Args:
        bundle: Folder.
        inputs: Paths or addresses of Parquet files, or of folders of them.
        out: Path or address of the folder for the predictions.
        each: `each` of a runner, with its options.
        part_rows: Most rows in one part.
        column: With the photos; see `pizzeria.bulk.columns.photo_column`.
        keep: Columns of the input that are taken over.

    Raises:
        DataError: the input cannot be read or does not fit the model; or `out` has predictions of something else.
    """
    tables, schema = find_tables(inputs)
    model, columns = answers_of(bundle, max_megapixels)
    if model.takes_photos:
        column = photo_column(schema, column)
    else:
        check_rows(schema, columns)
    output_schema(model, schema, keep)
    place = Place.open(out if "://" in out else str(Path(out).absolute()))
    parts = cut(tables, part_rows)
    plan = {
        "model": model.sha256,
        "inputs": [[table.address, table.mark, table.rows] for table in tables],
        "part_rows": part_rows,
        "column": column,
        "keep": list(keep),
    }
    _agree(place, plan)
    there = set(place.names(".parquet"))
    stood = [part for part in parts if part.name in there]
    todo = [part for part in parts if part.name not in there]
    if stood and todo:
        progress.say(f"{len(stood)} of {len(parts)} parts are there already")
    work = Work(bundle.absolute(), max_megapixels, place.address, column, tuple(keep))
    failed = 0
    for done, text in enumerate(each(work, [part.text() for part in todo]), start=1):
        told = json.loads(text)
        if "fault" in told:
            raise DataError(told["fault"], hint=told["hint"])
        failed += told["failed"]
        progress.update("predicting parts", len(stood) + done, len(parts))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failed += sum(pool.map(lambda part: failed_of(place, part), stood))
    return Done(sum(table.rows for table in tables), failed, len(parts), len(stood))


def _agree(place: Place, plan: Mapping[str, object]) -> None:
    """See that the parts in the folder are of this very prediction, or note what they will be of."""
    if place.size(PLAN) is None:
        place.write(PLAN, json.dumps(plan, indent=1).encode())
        return
    found = json.loads(place.read(PLAN))
    other = [name for name, value in plan.items() if found.get(name) != json.loads(json.dumps(value))]
    if other:
        raise DataError(
            f"{place.address} has predictions that were made otherwise: {', '.join(other)} differ",
            hint="choose another --out, or remove what is there",
        )
