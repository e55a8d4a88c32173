"""Predictions in bulk through Ray Data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pizzeria.contracts import BulkWork


def answers(options: Any, work: BulkWork, items: Sequence[str]) -> Iterator[str]:
    """What the work returns for each item, as it comes.

    Args:
        options: Of the runner `ray`; the cluster is connected.
        work: Opened once in each actor.
        items: Small texts: Ray Data hands them out, and the actors fetch what they name.
    """
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells each step of its plan
    DataContext.get_current().enable_progress_bars = False
    made = ray.data.from_items([{"item": item} for item in items], override_num_blocks=len(items)).map_batches(
        Answers,
        fn_constructor_args=(work,),
        batch_size=1,
        compute=ActorPoolStrategy(size=min(options.workers, len(items))),
        num_cpus=options.cpus_per_worker,
        num_gpus=options.gpus_per_worker or None,
        max_restarts=options.restarts,
        max_task_retries=options.restarts,
    )
    for row in made.iter_rows():
        yield row["answer"]


class Answers:
    """The actor.

    Args:
        work: What it does.
    """

    def __init__(self, work: BulkWork) -> None:
        self._answer: Callable[[str], str] = work.open()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Batches of one: `item` to `answer`."""
        return {"answer": [self._answer(str(item)) for item in batch["item"]]}
