"""How often each value of a column is there: exact, in an order that rows do not decide, and in bounded memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import duckdb

_MOST = 200_000
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "256MB", "threads": 2}


class ValueCounts:
    """Counts texts; beyond 200,000 different ones they go to a DuckDB file.

    Args:
        folder: Where that file may be; it goes when this is closed.
        most: Different texts that are held in memory.

    Example:
        >>> with ValueCounts(Path("."), 9) as counts:
        ...     counts.add({"mon": 1, "tue": 2})
        ...     counts.add({"mon": 1, "sun": 1})
        ...     counts.top(2)
        [('mon', 2), ('tue', 2)]
    """

    def __init__(self, folder: Path, most: int = _MOST) -> None:
        self._path, self._most = folder / "counts.duckdb", most
        self._counts: Counter[str] = Counter()
        self._spilt: duckdb.DuckDBPyConnection | None = None

    def add(self, counts: dict[str, int]) -> None:
        """Add to what was counted."""
        self._counts.update(counts)
        if len(self._counts) > self._most:
            self._spill()

    def top(self, most: int) -> list[tuple[str, int]]:
        """The most frequent values with their counts; those that are as frequent, by name."""
        if self._spilt is None:
            return sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        self._spill()
        # DuckDB compares texts by their UTF-8, which gives the order of Python.
        query = "SELECT name, sum(count)::BIGINT FROM counts GROUP BY name ORDER BY 2 DESC, 1 LIMIT ?"
        return [(str(name), int(count)) for name, count in self._spilt.execute(query, [most]).fetchall()]

    def _spill(self) -> None:
        import duckdb
        import pyarrow as pa

        if self._spilt is None:
            self._spilt = duckdb.connect(self._path, config=_SETTINGS)
            self._spilt.execute("CREATE TABLE counts (name VARCHAR, count BIGINT)")
        part = pa.table({"name": pa.array(self._counts.keys(), pa.string()), "count": list(self._counts.values())})
        self._spilt.register("part", part)
        self._spilt.execute("INSERT INTO counts SELECT * FROM part")
        self._spilt.unregister("part")
        self._counts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spilt is not None:
            self._spilt.close()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()
