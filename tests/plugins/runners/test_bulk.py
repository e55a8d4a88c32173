"""Ray Data predicts what the runner `local` predicts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from pizzeria.bulk import Done, predict_in_bulk
from pizzeria.bulk.work import Work
from pizzeria.errors import PizzeriaError
from pizzeria.progress import PlainProgress
from pizzeria_plugins.runners import local
from pizzeria_plugins.runners import ray as by_ray

from ...engine.bulk import conftest as bulk

make_bundle = bulk.make_bundle
photos = bulk.photos


@dataclass
class Counted:
    """Work that notes each time that it is opened, and where."""

    work: Work
    folder: Path

    def open(self) -> Callable[[str], str]:
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return self.work.open()


@pytest.mark.slow
def test_ray_data_predicts_what_one_process_predicts(
    make_bundle: Any, photos: Path, tmp_path: Path, ray_cluster: Any
) -> None:
    make_bundle("object_detection")
    (tmp_path / "opened").mkdir()

    def by_two(work: Work, items: Sequence[str]) -> Iterator[str]:
        return by_ray.each(by_ray.Options(workers=2), Counted(work, tmp_path / "opened"), items)

    def here(work: Work, items: Sequence[str]) -> Iterator[str]:
        return local.each(local.Options(), work, items)

    for name, each in {"ray": by_two, "local": here}.items():
        done = predict_in_bulk(
            tmp_path / "bundle", 40, [str(photos)], str(tmp_path / name), each, PlainProgress(), part_rows=1
        )
        assert done == Done(rows=11, failed=4, parts=11, stood=0)
    files = sorted(path.name for path in (tmp_path / "local").glob("*.parquet"))
    assert len(files) == 11
    for file in files:
        assert parquet.read_table(tmp_path / "ray" / file).equals(parquet.read_table(tmp_path / "local" / file))
    opened = [path.name.partition("-")[0] for path in (tmp_path / "opened").iterdir()]
    assert 1 <= len(opened) <= 2
    assert len(set(opened)) == len(opened)
    assert str(os.getpid()) not in opened


def test_too_few_cores_are_told(ray_cluster: Any) -> None:
    with pytest.raises(PizzeriaError, match="9 workers with 1 CPU each are wanted, and the cluster has 2 CPU"):
        list(by_ray.each(by_ray.Options(workers=9), Work(Path("none"), 40, "none", None, ()), ["1"]))
