"""The Ray cluster that a command uses: one that is there, or one of this machine that ends with it."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

from pizzeria.contracts import Progress
from pizzeria.errors import NotFoundError, PizzeriaError

OBJECT_STORE_BYTES = 200 * 2**20
"""Of a cluster on this machine: paths and answers go through it, and no photos."""


@contextlib.contextmanager
def cluster(options: Any, progress: Progress | None = None) -> Iterator[None]:
    """Connect to the cluster, or start one; one that was connected to before is used as it is.

    Raises:
        NotFoundError: Ray is not installed.
        PizzeriaError: it does not answer, or has fewer cores or GPUs than the workers need.
    """
    # Ray asks for it when it is imported.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # A worker imports PyTorch before it is there, which takes a busy machine longer than Ray's minute.
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "600")
    try:
        import ray
    except ImportError as error:
        raise NotFoundError(
            "the runner is ray, and Ray is not installed", hint="pip install 'pizzeria[ray]', or set runner: local"
        ) from error
    mine = not ray.is_initialized()
    with warnings.catch_warnings():
        # Of Ray and what it imports, on its own code.
        warnings.simplefilter("ignore")
        if mine:
            _connect(ray, options)
        try:
            _check(ray.cluster_resources(), options)
            yield
        finally:
            if mine:
                ray.shutdown()


def _connect(ray: Any, options: Any) -> None:
    address = options.address or os.environ.get("RAY_ADDRESS")
    if not address:
        # One more process that imports PyTorch, to hear of machines that are about to be taken away: there is but one.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    there: dict[str, Any] = {"address": address}
    here: dict[str, Any] = {
        "num_cpus": max(options.workers * options.cpus_per_worker, 1),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **(there if address else here))
    except Exception as error:
        told = str(error).strip() or type(error).__name__
        raise PizzeriaError(
            f"no Ray cluster at {address or 'this machine'}: {told.splitlines()[0]}",
            hint="`ray status` shows whether one is up; runner.address or RAY_ADDRESS says where",
        ) from error


def _check(there: dict[str, float], options: Any) -> None:
    for name, each in (("CPU", options.cpus_per_worker), ("GPU", options.gpus_per_worker)):
        if options.workers * each > there.get(name, 0):
            raise PizzeriaError(
                f"{options.workers} workers with {each:g} {name} each are wanted, and the cluster has "
                f"{there.get(name, 0):g} {name} in all",
                hint="lower runner.workers, or let the cluster grow first; one that was started here has this "
                "machine's GPUs",
            )
