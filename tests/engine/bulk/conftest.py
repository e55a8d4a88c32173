"""Bundles with real ONNX models, and Parquet files of photos and rows for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from ..fetching import conftest as stores
from ..inference import conftest as bundles

make_bundle = bundles.make_bundle
moto = stores.moto
bucket = stores.bucket


def pictures(count: int) -> list[bytes]:
    """Photos of different colours."""
    return [bundles.photo((level, level // 2, 40)) for level in np.linspace(40, 255, count).astype(int).tolist()]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two files of 7 and 4 photos: bytes, in row groups of 3; the second of each is broken, the third is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, count in enumerate((7, 4)):
        data: list[bytes | None] = [*pictures(count)]
        data[1], data[2] = b"no photo", None
        table = pa.table({"photo_id": [f"{number}-{i}" for i in range(count)], "photo": pa.array(data, pa.binary())})
        parquet.write_table(table, folder / f"{number}.parquet", row_group_size=3)
    return folder
