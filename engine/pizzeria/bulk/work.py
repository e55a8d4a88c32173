"""What a worker does: opens the bundle once, and turns each part of the input into one file of predictions."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.answering import BundleAnswers
from pizzeria.bulk.columns import check_rows, flat, output_schema, photo_column
from pizzeria.bulk.parts import Part, open_table, read_part
from pizzeria.errors import DataError, PizzeriaError, RequestError
from pizzeria.examination import plain_rows
from pizzeria.fetching.place import Place
from pizzeria.fetching.store import Store
from pizzeria.inference.bundle import Bundle

if TYPE_CHECKING:
    import pyarrow as pa

FAILED = b"pizzeria_failed"
"""Key in a part's metadata: how many of its inputs have no answer."""


@dataclass(frozen=True)
class Work:
    """A prediction in bulk, as each worker gets it; see `pizzeria.contracts.BulkWork`.

    Attributes:
        bundle: Folder or zip, which every worker sees.
        out: Address of the folder that parts go into.
        column: With the photos; None for the first of `pizzeria.bulk.columns.PHOTO_NAMES`.
        keep: Columns of the input that are taken over.
    """

    bundle: Path
    max_megapixels: float
    out: str
    column: str | None
    keep: tuple[str, ...]

    def open(self) -> Callable[[str], str]:
        """Load the model. What comes back makes one part, and says as JSON how many inputs `failed`, or what went wrong
        with the part as a whole: `fault` and `hint`."""
        try:
            worker = _Worker(self)
        except PizzeriaError as error:
            fault = json.dumps({"fault": error.message, "hint": error.hint})
            return lambda _: fault
        return worker


class _Worker:
    def __init__(self, work: Work) -> None:
        if not work.bundle.exists():
            raise DataError(
                f"{os.uname().nodename} does not see {work.bundle}",
                hint="keep the store on a file system that all machines share: export PIZZERIA_STORE=/shared/runs",
            )
        # Ray says so how many cores the actor has; without it, one prediction takes all.
        threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
        self._answers = BundleAnswers(work.bundle, work.max_megapixels, threads)
        self._place = Place.open(work.out)
        self._work = work

    def __call__(self, text: str) -> str:
        try:
            failed = self._make(Part.of(text))
        except PizzeriaError as error:
            return json.dumps({"fault": error.message, "hint": error.hint})
        return json.dumps({"failed": failed})

    def _make(self, part: Part) -> int:
        from pyarrow import parquet

        table = read_part(part, None)
        bundle, keep = self._answers.bundle, self._work.keep
        schema = output_schema(bundle, table.schema, keep)
        if bundle.takes_photos:
            column = table[photo_column(table.schema, self._work.column)]
            answers = [self._photo(one, part.address) for one in column.to_pylist()]
        else:
            answers = self._rows(table)
        out = _table(schema, part, table.select(list(keep)), answers)
        failed = sum("error" in answer for answer in answers)
        stream = io.BytesIO()
        parquet.write_table(out.replace_schema_metadata({FAILED: str(failed)}), stream)
        self._place.write(part.name, stream.getvalue())
        return failed

    def _photo(self, told: Any, table: str) -> dict[str, Any]:
        """The answer for one photo, or `error`."""
        try:
            data, name = _content(told, table)
            return flat(self._answers.photo(data, name))
        except RequestError as error:
            return {"error": error.message}
        except (OSError, DataError) as error:
            return {"error": f"it cannot be read: {error}"}

    def _rows(self, table: pa.Table) -> list[dict[str, Any]]:
        columns = self._answers.columns()
        check_rows(table.schema, columns)
        frame = table.select([name for name in table.schema.names if name in columns]).to_pandas()
        return self._each(plain_rows(frame))

    def _each(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answers for all that can be answered: rows that are refused together are asked for by halves."""
        try:
            return [flat(answer) for answer in self._answers.rows(rows)] if rows else []
        except RequestError as error:
            if len(rows) == 1:
                return [{"error": error.message.removeprefix("rows[0].")}]
        half = len(rows) // 2
        return [*self._each(rows[:half]), *self._each(rows[half:])]


def _content(told: Any, table: str) -> tuple[bytes, str]:
    """Bytes and name of a photo; a path that is not absolute begins at the folder of its table."""
    if isinstance(told, dict):
        told = told.get("bytes") or told.get("path")
    if told is None:
        raise RequestError(400, "empty_body", "there is no photo in this row")
    if isinstance(told, bytes):
        return told, ""
    address = told if "://" in told or told.startswith("/") else f"{table.rpartition('/')[0]}/{told}"
    store = Store.open(address)
    return bytes(store.files.cat_file(store.root)), address


def _table(schema: pa.Schema, part: Part, kept: pa.Table, answers: Sequence[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    known: dict[str, Any] = {
        "input": pa.array([part.address] * part.rows, pa.string()),
        "row": pa.array(range(part.first, part.first + part.rows), pa.int64()),
        **{name: kept[name] for name in kept.schema.names},
    }
    columns = [
        known[field.name] if field.name in known else pa.array([one.get(field.name) for one in answers], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def failed_of(place: Place, part: Part) -> int:
    """How many inputs of a part that is there have no answer."""
    with open_table(f"{place.address}/{part.name}") as file:
        return int((file.schema_arrow.metadata or {}).get(FAILED, b"0"))


def answers_of(bundle: Path, max_megapixels: float) -> tuple[Bundle, frozenset[str]]:
    """The bundle, and for rows the columns that it reads."""
    answers = BundleAnswers(bundle, max_megapixels, 1)
    return answers.bundle, frozenset() if answers.bundle.takes_photos else answers.columns()
