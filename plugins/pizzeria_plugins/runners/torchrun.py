"""Runner `torchrun`: one process for each device of this machine, or of several, by PyTorch's own launcher.

On one machine nothing else is to be done. On several, the first runs `pizzeria run`, which says what to type on each of
the others; all of them see the store by the same path, and have the same Pizzeria and the same plugins.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from pizzeria.contracts import BulkWork, Trainer, TrainJob
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.runners import local

_MEMBER = "pizzeria_plugins.runners.member"
_DIES_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux."""


class Options(PluginOptions):
    """Options of `torchrun`."""

    devices: int = Field(default=2, ge=1, le=1024, description="Processes on each machine: one for each of its GPUs.")
    nodes: int = Field(default=1, ge=1, le=4096, description="Machines.")
    rendezvous: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+:\d{1,5}$",
        description="Several machines: name and port of this one, where they meet, such as trainer-0:29500.",
    )
    strategy: Literal["ddp", "ddp_find_unused_parameters_true"] = Field(
        default="ddp", description="Lightning's strategy; the second lets parameters be without a gradient in a step."
    )
    restarts: int = Field(default=0, ge=0, description="How often all are started again when one of them dies.")

    @model_validator(mode="after")
    def _they_meet(self) -> Options:
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError(f"{self.nodes} machines must meet somewhere; set runner.rendezvous: <this machine>:29500")
        return self


def processes(options: Options) -> int:
    """How many train together."""
    return options.devices * options.nodes


def train(options: Options, trainer: Trainer, job: TrainJob) -> Mapping[str, Any]:
    """Start torchrun, and wait for it.

    Raises:
        PizzeriaError: what ended one of the processes.
        TrainingError: one of them died.
    """
    from pizzeria_plugins.runners.together import train_together

    def launch(path: Path) -> str:
        command = torchrun_command(options, path)
        if options.nodes > 1:
            job.progress.say(f"type this on each of the {options.nodes - 1} other machines: {shlex.join(command)}")
        log = path.with_name("torchrun.log")
        # A session of its own would keep Ctrl-C from it; a signal of the kernel ends it when this process is killed.
        with (
            open(log, "wb") as said,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=partial(_die_with, os.getpid())
            ) as process,
        ):
            try:
                code = process.wait()
            except BaseException:
                process.send_signal(signal.SIGTERM)
                process.wait()
                raise
        return f"torchrun ended with {code}; {log} says more" if code else ""

    return train_together(trainer, job, launch)


def each(options: Options, work: BulkWork, items: Sequence[str]) -> Iterator[str]:
    """As the runner `local`: torchrun knows no work but training."""
    return local.each(local.Options(), work, items)


def torchrun_command(options: Options, path: Path) -> list[str]:
    """What each machine runs.

    Example:
        >>> torchrun_command(Options(devices=8), Path("/shared/runs/job.json"))[2:5]
        ['torch.distributed.run', '--nproc-per-node=8', '--max-restarts=0']
    """
    meeting = ["--standalone"]
    if options.nodes > 1:
        meeting = [f"--nnodes={options.nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={options.rendezvous}"]
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *(f"--nproc-per-node={options.devices}", f"--max-restarts={options.restarts}"),
        *meeting,
        *("-m", _MEMBER, str(path), options.strategy),
    ]


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended before; a parent that is the first process of a container has not
            os._exit(1)  # no signal, for which the parent's own handler may be in force
