"""Which columns go in, and as what: by the options, and by type where they say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DataError, nearest
from pizzeria_plugins.features.row_pieces import is_number, is_text, is_time

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "row_id"


@dataclass(frozen=True)
class Chosen:
    """Names of the columns by kind, in the table's order; `left_out` are those that nobody named and no type claims."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    dates: tuple[str, ...]
    texts: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All that go in."""
        return (*self.numeric, *self.categorical, *self.dates, *self.texts)


def choose(schema: pa.Schema, options: Any, target: str) -> Chosen:
    """What the options of `columns` make of a table.

    Raises:
        DataError: a name is no column, stands twice or does not fit the column's type, or no column is left.
    """
    there = [str(name) for name in schema.names if name not in (KEY, target)]
    named = {kind: getattr(options, kind) or () for kind in ("numeric", "categorical", "dates", "text", "drop")}
    for option, names in named.items():
        for name in names:
            if name not in there:
                message = "is the target" if name == target else "is no column of the data"
                raise DataError(f"features.{option}: {name!r} {message}", hint=nearest(name, there))
            _check_type(option, name, schema.field(name).type)
    claimed = [name for names in named.values() for name in names]
    twice = sorted({name for name in claimed if claimed.count(name) > 1})
    if twice:
        raise DataError(
            f"features: {', '.join(twice)} named twice",
            hint="numeric, categorical, dates, text and drop exclude each other",
        )
    kinds = {name: option for option, names in named.items() for name in names}
    left_out = []
    for name in (name for name in there if name not in kinds):
        kind = _by_type(schema.field(name).type)
        if kind is None or getattr(options, kind) is not None:
            left_out += [name] if kind is None else []
        else:
            kinds[name] = kind
    numeric, categorical, dates, texts = (
        tuple(name for name in there if kinds.get(name) == kind) for kind in ("numeric", "categorical", "dates", "text")
    )
    if not (numeric or categorical or dates or texts):
        raise DataError("no column is left to learn from", hint=f"the data have {', '.join(there) or 'none'}")
    return Chosen(numeric, categorical, dates, texts, tuple(left_out))


def _by_type(kind: pa.DataType) -> str | None:
    kind = _value_type(kind)
    if is_number(kind):
        return "numeric"
    return "categorical" if is_text(kind) else None


def _check_type(option: str, name: str, kind: pa.DataType) -> None:
    kind = _value_type(kind)
    if option == "drop":
        return
    if is_time(kind):
        if option in ("categorical", "text"):
            raise DataError(f"features.{option}: {name!r} holds times", hint="name it under dates, or drop it")
        return
    if option == "dates":
        raise DataError(f"features.dates: {name!r} holds no times but {kind}", hint="read it as a time, or drop it")
    if not is_text(kind):
        raise DataError(f"features.{option}: {name!r} holds {kind}", hint=f"features.drop: [{name}]")


def _value_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind
