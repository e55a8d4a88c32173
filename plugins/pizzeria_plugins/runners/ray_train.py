"""A training through Ray Train."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any


def launch(options: Any, path: Path) -> str:
    """Start the workers and wait for their end; `path` is the job's.

    Returns:
        What went wrong; empty when nothing did.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    wanted = {"CPU": options.cpus_per_worker}
    trainer = TorchTrainer(
        _work,
        train_loop_config={"path": str(path)},
        torch_config=TorchConfig(backend="nccl" if options.gpus_per_worker else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=options.workers,
            use_gpu=options.gpus_per_worker > 0,
            resources_per_worker=wanted | ({"GPU": options.gpus_per_worker} if options.gpus_per_worker else {}),
        ),
        # The checkpoints are our own, beside the job; what Ray keeps of a run goes with it.
        run_config=RunConfig(
            name="ray",
            storage_path=str(path.parent),
            failure_config=FailureConfig(max_failures=options.restarts),
        ),
    )
    before = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit()
    except TrainingFailedError as error:
        return str(error).strip().splitlines()[-1]
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)  # Ray leaves its own, which takes no Ctrl-C for an end
    return ""


def _work(config: dict[str, Any]) -> None:
    """In each worker. An error of Pizzeria's ends the training for good, so that Ray must not see it as a failure."""
    import ray.train
    from torch import distributed

    from pizzeria.errors import PizzeriaError
    from pizzeria_plugins.runners.together import take_part

    context = ray.train.get_context()
    try:
        take_part(config["path"], context.get_world_rank(), context.get_world_size(), "ray")
    except PizzeriaError:
        # The others may wait for this one's gradients; this tells them that none will come.
        distributed.destroy_process_group()
