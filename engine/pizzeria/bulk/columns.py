"""Columns of predictions in bulk: where photos stand in the input, and what the output has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DataError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

    from pizzeria.inference.bundle import Bundle

PHOTO_NAMES = ("photo", "image", "path", "file_name")
"""Columns that photos are looked for in, the first of them that is there."""
BOX = ("class", "confidence", "score", "x_min", "y_min", "x_max", "y_max")


def photo_column(schema: pa.Schema, wanted: str | None) -> str:
    """The column with the photos: their bytes, their paths or addresses, or `{bytes, path}` as other tools write it.

    Raises:
        DataError: there is none.
    """
    import pyarrow as pa

    names = [wanted] if wanted is not None else [name for name in PHOTO_NAMES if name in schema.names][:1]
    if not names or names[0] not in schema.names:
        raise DataError(
            f"there is no column {wanted or ' or '.join(PHOTO_NAMES)} in the input; it has {', '.join(schema.names)}",
            hint=nearest(wanted, schema.names) if wanted else "name the one with the photos: --column NAME",
        )
    kind = schema.field(names[0]).type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if not (any(one(kind) for one in texts) or pa.types.is_struct(kind)):
        raise DataError(
            f"the column {names[0]} is {kind}", hint="photos are bytes, or paths as text: --column NAME names another"
        )
    return names[0]


def check_rows(schema: pa.Schema, wanted: frozenset[str]) -> None:
    """See that a table has the columns that a model reads.

    Raises:
        DataError: it lacks some.
    """
    lacking = sorted(wanted - set(schema.names))
    if lacking:
        raise DataError(
            f"the input lacks the columns {', '.join(lacking)}, which the model reads; it has "
            f"{', '.join(schema.names)}",
            hint="rename or add them",
        )


def output_schema(bundle: Bundle, source: pa.Schema, keep: Sequence[str]) -> pa.Schema:
    """Columns of the output: `input` and `row` say of which row of which file, then those that are kept, the answer as
    on the wire with a dot between its levels, and `error` where there is none.

    Raises:
        DataError: a column that shall be kept is not there, or has the name of one of the others.
    """
    import pyarrow as pa

    answer = [pa.field(name, kind) for name, kind in _answer(bundle, pa)]
    own = {"input", "row", "error", *(field.name for field in answer)}
    for name in keep:
        if name not in source.names:
            raise DataError(f"--keep {name}: there is no such column", hint=nearest(name, source.names))
        if name in own:
            raise DataError(
                f"--keep {name}: the predictions have a column of that name", hint="rename it in the input first"
            )
    head = [pa.field("input", pa.string()), pa.field("row", pa.int64()), *(source.field(name) for name in keep)]
    return pa.schema([*head, *answer, pa.field("error", pa.string())])


def flat(wire: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with a dot between its levels; lists stay.

    Example:
        >>> flat({"presence": {"bed": {"present": True}}, "boxes": []})
        {'presence.bed.present': True, 'boxes': []}
    """
    out: dict[str, Any] = {}
    for name, value in wire.items():
        if isinstance(value, Mapping):
            out |= {f"{name}.{key}": item for key, item in flat(value).items()}
        else:
            out[name] = value
    return out


def _answer(bundle: Bundle, pa: Any) -> list[tuple[str, Any]]:
    number, text = pa.float64(), pa.string()
    if bundle.task == "tabular_regression":
        return [("value", number)]
    if bundle.judges_presence:
        boxes = pa.list_(pa.struct([(name, text if name == "class" else number) for name in BOX]))
        found = [("boxes", boxes)] if bundle.task == "object_detection" else []
        for name in bundle.classes:
            found += [(f"presence.{name}.probability", number), (f"presence.{name}.present", pa.bool_())]
    else:
        found = [("class", text), ("probability", number)]
        found += [(f"probabilities.{name}", number) for name in bundle.classes]
    size = [("width", pa.int64()), ("height", pa.int64()), ("model", text)]
    return found + (size if bundle.takes_photos else [])
