"""One small Ray cluster for all tests here, and trainings that can be sent to other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pizzeria import registry
from pizzeria.contracts import TrainJob
from pizzeria_plugins.models import tabular_network

from ..trainers import synthetic

_HERE = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100 * 2**20, "log_to_driver": False}
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",  # of 15 by default: beside other tests they would hardly get a turn
}


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    os.environ.update(_ENVIRONMENT)
    ray = pytest.importorskip("ray", reason="Ray is not installed: the runner ray is NOT TESTED")
    ray.init(**_HERE)
    yield ray
    ray.shutdown()


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    """Rows without dropout, so that as many processes as one likes must learn the same."""
    made = synthetic.row_job(tmp_path, "tabular_classification", batch_size=600, learning_rate=0.05)
    return replace(
        made,
        model=registry.load("models", "tabular_network"),
        model_options=tabular_network.Options(hidden=32, blocks=1, dropout=0),
    )
