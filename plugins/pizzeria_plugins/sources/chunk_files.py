"""Rows that come in chunks from a database, kept as Parquet until the type of each column is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pizzeria_plugins.sources.column_kinds import SQL, as_array, kind_of, widest
from pizzeria_plugins.sources.row_file import escaped, literal, name


@dataclass
class ChunkFiles:
    """Chunks as Parquet, a new file whenever a column's kind widens."""

    folder: Path
    names: list[str]
    count: int = 0
    kinds: dict[str, str] = field(default_factory=dict)
    mixed: dict[str, str] = field(default_factory=dict)
    """Columns with values of several types, and where that was seen."""
    _writer: Any = None
    _files: list[Path] = field(default_factory=list)

    def add(self, chunk: Sequence[Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not chunk:
            return
        columns = list(zip(*chunk, strict=True))
        before = dict(self.kinds)
        for one, values in zip(self.names, columns, strict=True):
            old, new = self.kinds.get(one, "none"), kind_of(values)
            self.kinds[one] = widest(old, new)
            types = {type(value) for value in values} - {type(None)}
            widened = self.kinds[one] == "text" and old not in ("none", "text")
            other = old == "text" and new not in ("none", "text")
            if widened or other or (new == "text" and len(types) > 1):
                self.mixed.setdefault(one, f"row {self.count} or a later one")
        # Columns go by number: two may have the same name until that is refused.
        arrays = [as_array(values, self.kinds[one]) for one, values in zip(self.names, columns, strict=True)]
        table = pa.Table.from_arrays(arrays, names=[f"c{at}" for at in range(len(arrays))])
        if self._writer is None or before != self.kinds:
            self.close()
            self._files.append(self.folder / f"{len(self._files)}.parquet")
            self._writer = pq.ParquetWriter(self._files[-1], table.schema)
        self._writer.write_table(table)
        self.count += len(chunk)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def relation(self) -> str:
        """SQL of all rows, in the final types."""
        shown = ", ".join(f"CAST(c{at} AS {SQL[self.kinds[one]]}) AS {name(one)}" for at, one in enumerate(self.names))
        parts = (f"SELECT {shown} FROM read_parquet({literal(escaped(file))})" for file in self._files)  # noqa: S608 - names are quoted, texts escaped
        return f"({' UNION ALL '.join(parts)})"
