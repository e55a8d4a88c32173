"""Which files make a table: one, the parts in a folder, or those that a pattern finds; all of one format."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pizzeria.errors import DataError

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
}
_NO_PARTS = ("SHA256SUMS",)


@dataclass(frozen=True)
class Parts:
    """The files of a table, in the order of their names, and what they are.

    Attributes:
        aside: Files of the folder that are no part.
        partitioned: Whether columns stand in the names of folders, as in `year=2024/1.parquet`.
    """

    files: tuple[Path, ...]
    format: str
    aside: tuple[str, ...] = ()
    partitioned: bool = False


def format_of(path: Path) -> str | None:
    """The format by a file's name; `.gz` at its end does not count.

    Example:
        >>> format_of(Path("a.CSV.gz")), format_of(Path("a.xlsx"))
        ('csv', None)
    """
    return FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def matches(pattern: Path) -> list[Path]:
    """The files that a pattern finds, by name; the one of that very name, where there is one."""
    if pattern.exists():
        return [pattern]
    return [Path(found) for found in sorted(glob.glob(str(pattern), recursive=True)) if Path(found).is_file()]  # noqa: PTH207


def parts_of(path: Path, wanted: str | None) -> Parts:
    """The parts that lie at a path.

    Args:
        wanted: Their format, where their names do not say it.

    Raises:
        DataError: there is none, or they are of several formats.
    """
    if path.is_dir():
        inside = [one for one in sorted(path.rglob("*")) if one.is_file()]
        files = [one for one in inside if _counts(one.relative_to(path)) and (wanted or format_of(one))]
        aside = tuple(str(one.relative_to(path)) for one in inside if one not in set(files))
        if not files:
            raise DataError(f"{path} is a folder without a table", hint=f"parts end in {', '.join(FORMATS)}")
        partitioned = any("=" in folder for one in files for folder in one.relative_to(path).parts[:-1])
        return Parts(tuple(files), _single(files, wanted, path), aside, partitioned)
    files = matches(path)
    if not files:
        if wanted is None and format_of(path) is None:
            raise _no_table(path)
        raise DataError(f"{path} is not a file", hint="set data.path to the table's file")
    return Parts(tuple(files), _single(files, wanted, path))


def _counts(path: Path) -> bool:
    """What Spark and others leave beside parts begins with a dot or an underscore."""
    return not any(part.startswith((".", "_")) for part in path.parts) and path.name not in _NO_PARTS


def _single(files: Sequence[Path], wanted: str | None, where: Path) -> str:
    if wanted is not None:
        return wanted
    first = {found: file for file in reversed(files) if (found := format_of(file)) is not None}
    if len(first) > 1:
        names = " and ".join(sorted(file.name for file in first.values()))
        raise DataError(
            f"{where} holds tables of several formats: {names}", hint="name those of one: data.path=.../*.csv"
        )
    if not first:
        raise _no_table(files[0])
    return next(iter(first))


def _no_table(path: Path) -> DataError:
    return DataError(
        f"{path} is not a table that can be read",
        hint=f"its name ends in {', '.join(FORMATS)} (or that and .gz); else data.format says what it is",
    )
