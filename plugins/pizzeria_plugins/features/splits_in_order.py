"""The split of each row, looked up in pieces, and `index.parquet`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pizzeria.datasets import SPLITS
from pizzeria.errors import DataError
from pizzeria_plugins.features.column_choice import KEY
from pizzeria_plugins.features.naming import listed
from pizzeria_plugins.features.row_pieces import Pieces, texts

if TYPE_CHECKING:
    import pandas as pd


def write_index(pieces: Pieces, splits: pd.Series[str], path: Path) -> NDArray[np.int8]:
    """Write `index.parquet`: row_id and split of each row.

    Args:
        splits: By row_id. In the order of the rows it takes no memory to look up; any other order takes an index.

    Returns:
        int8 [N], the position of each row's split in `SPLITS`.

    Raises:
        DataError: a row is in none of the splits; names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = np.empty(pieces.count, np.int8)
    schema = pa.schema([(KEY, pa.string()), ("split", pa.dictionary(pa.int8(), pa.string()))])
    names = pa.array(SPLITS, pa.string())
    with pq.ParquetWriter(path, schema) as writer:
        for at, keys, codes in _looked_up(pieces, splits):
            if (codes < 0).any():
                odd = [keys[row] for row in np.flatnonzero(codes < 0)]
                raise DataError(
                    f"in none of the splits {', '.join(SPLITS)}: {listed(odd)}", hint="split the data again"
                )
            out[at : at + len(codes)] = codes
            split = pa.DictionaryArray.from_arrays(pa.array(codes), names)
            writer.write_batch(pa.record_batch([pa.array(keys, pa.string()), split], schema=schema))
    return out


def _looked_up(pieces: Pieces, splits: pd.Series[str]) -> Iterator[tuple[int, list[str | None], NDArray[np.int8]]]:
    import pandas as pd

    by_key: pd.Series[int] | None = None
    for at, piece in pieces.read([KEY]):
        keys = texts(piece[KEY])
        here = slice(at, at + len(keys))
        if by_key is None and splits.index[here].tolist() == keys:
            yield at, keys, _codes(splits.iloc[here])
            continue
        if by_key is None:
            by_key = pd.Series(_codes(splits), index=splits.index)
        yield at, keys, np.asarray(by_key.reindex(keys, fill_value=-1), np.int8)


def _codes(splits: pd.Series[str]) -> NDArray[np.int8]:
    codes = {name: code for code, name in enumerate(SPLITS)}
    return np.array([codes.get(name, -1) for name in splits.tolist()], np.int8)
