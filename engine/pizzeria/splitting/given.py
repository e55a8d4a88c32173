"""Sides that the data, or lists of somebody, say: a column, or files of ids and file names."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pizzeria.errors import DataError, nearest
from pizzeria.spec.split import Files
from pizzeria.splitting.row_store import types
from pizzeria.sql_text import quoted

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_SHOWN = 5
_STEPS = 6
_MANY = 20_000


def side_of_column(connection: duckdb.DuckDBPyConnection, column: str) -> str:
    """SQL for the side that a column of `source` says; NULL where it is empty.

    Raises:
        DataError: there is no such column, or it holds another word.
    """
    there = types(connection)
    if column not in there:
        raise DataError(f"the data have no column {column!r} to split by", hint=nearest(column, there))
    word = f"lower(trim(CAST({quoted(column)} AS VARCHAR)))"
    known = {word: side for side, words in WORDS.items() for word in words}
    odd = connection.execute(
        f"SELECT DISTINCT {word} AS w FROM source WHERE w NOT IN ({', '.join(map(repr, known))}, '') ORDER BY w LIMIT 6"
    ).fetchall()
    if odd:
        raise DataError(
            f"column {column!r} says {_listed(str(w) for (w,) in odd)}, which is no side of a split",
            hint=f"it may say {', '.join(known)}, or nothing",
        )
    cases = " ".join(f"WHEN {word} IN ({', '.join(map(repr, words))}) THEN '{side}'" for side, words in WORDS.items())
    return f"CASE {cases} END"


def lists_of(files: Files) -> dict[str, list[str]]:
    """The names in each list.

    Raises:
        DataError: a file is not there, or is no text.
    """
    return {side: _names(getattr(files, side), side) for side in WORDS if getattr(files, side) is not None}


def sides_of_lists(
    lists: Mapping[str, Sequence[str]], keys: pd.DataFrame | None, known: Iterable[str]
) -> dict[str, str]:
    """Key to side, as the lists say.

    Args:
        keys: Photos, whose `image_id`, or `path` or an end of it, with or without the file's ending, may be named.
        known: Those of the names that are keys of rows, which are named as they are; of no use with photos.

    Raises:
        DataError: a name is unknown, means several photos, or stands in two lists; each is named.
    """
    meaning = _photos(keys) if keys is not None else {key: {key} for key in known}
    found: dict[str, str] = {}
    unknown: list[str] = []
    twice: list[str] = []
    several: list[str] = []
    for side, names in lists.items():
        for name in names:
            means = meaning.get(name) or meaning.get(name.removeprefix("./")) or set()
            if not means:
                unknown.append(f"{name} ({side})")
            elif len(means) > 1:
                several.append(f"{name} ({side}) is {_listed(sorted(means))}")
            elif found.setdefault(key := next(iter(means)), side) != side:
                twice.append(f"{name} ({found[key]} and {side})")
    if unknown:
        hint = "write values of row_id"
        if keys is not None:
            few = len(meaning) < _MANY
            hint = nearest(unknown[0].rpartition(" (")[0], meaning) if few else "write ids or file names"
        raise DataError(f"data.split.files name what the data do not have: {_listed(unknown)}", hint=hint)
    if several:
        raise DataError(f"data.split.files: a name means several: {_listed(several)}", hint="write more of the path")
    if twice:
        raise DataError(f"data.split.files: named in two lists: {_listed(twice)}", hint="a row has one side")
    return found


def _names(given: Path | tuple[str, ...], side: str) -> list[str]:
    if isinstance(given, tuple):
        return list(given)
    try:
        lines = given.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError(
            f"data.split.files.{side}: there is no {given}", hint="one id or file name in each line"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data.split.files.{side}: {given} cannot be read: {error}", hint="write it in UTF-8") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _photos(images: pd.DataFrame) -> dict[str, set[str]]:
    """What each name means: an id means one photo; the end of a path may mean several."""
    out: dict[str, set[str]] = {}
    ids = images["image_id"].astype(str).tolist()
    for key, path in zip(ids, images["path"].astype(str), strict=True):
        parts = PurePosixPath(path.replace("\\", "/")).parts
        for n in range(1, min(len(parts), _STEPS) + 1):
            end = PurePosixPath(*parts[-n:])
            out.setdefault(str(end), set()).add(key)
            out.setdefault(str(end.with_suffix("")), set()).add(key)
        out.setdefault(path, set()).add(key)
    for key in ids:
        out[key] = {key}
    return out


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return ", ".join([*found[:_SHOWN], *more])
