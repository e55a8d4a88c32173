"""A training by several processes: sent to them as plain data, done by each, and gathered from what they leave.

All machines that take part must see the store (`PIZZERIA_STORE`), by the same path: an NFS share, FSx, Filestore ...
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pizzeria import registry
from pizzeria.atomic import write_json
from pizzeria.contracts import Trainer, TrainJob, World
from pizzeria.errors import PizzeriaError, TrainingError
from pizzeria.spec.problem import Problem
from pizzeria_plugins.runners.relay import Silent, Told, fail, failure, retold

_RELAY = "together"
"""Folder beside the checkpoints while a training is under way."""
_LOCK = "together.lock"
"""Held by each of the processes; whoever was killed lets go of it."""
_PATIENCE_S = 90.0


def train_together(trainer: Trainer, job: TrainJob, launch: Callable[[Path], str]) -> Mapping[str, Any]:
    """Let several processes train, and return what rank 0's trainer did.

    Args:
        launch: Starts the processes, each of which calls `take_part` with the path that it is given, and waits for
            their end. Returns what went wrong, for where no process could tell it; empty when nothing did.

    Raises:
        PizzeriaError: what ended one of the processes.
        TrainingError: one of them died, or they could not be started.
    """
    folder = job.folder / _RELAY
    packed = _packed(trainer, job)
    _wait_for_the_last(job)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "job.json", packed)
    with retold(folder, job.progress):
        wrong = launch(folder / "job.json")
    error = failure(folder)
    if error is not None:
        raise error
    facts = folder / "facts.json"
    if wrong or not facts.exists():
        raise TrainingError(
            f"the processes that trained together ended early: {wrong or 'none of them says why'}",
            hint="run the same again: it goes on from the last whole epoch",
        )
    found: Mapping[str, Any] = json.loads(facts.read_text())
    shutil.rmtree(folder)
    (job.folder / _LOCK).unlink(missing_ok=True)
    return found


def take_part(path: str, rank: int, size: int, launcher: Any, strategy: str = "ddp") -> None:
    """What each of the processes does.

    Args:
        path: The `job.json` of `train_together`.

    Raises:
        PizzeriaError: the training ended; it has been told to the process that waits.
    """
    file = Path(path)
    if not file.exists():
        raise TrainingError(
            f"{socket.gethostname()} does not see {file}",
            hint="keep the store on a file system that all machines share: export PIZZERIA_STORE=/shared/runs",
        )
    if failure(file.parent) is not None:
        return  # started again, and there is nothing to go on with
    told = json.loads(file.read_text())
    os.chdir(told["cwd"])
    world = World(rank, size, launcher, strategy)
    try:
        trainer, job = _unpacked(told, world, Told(file.parent) if rank == 0 else Silent())
        with open(job.folder / _LOCK, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            facts = trainer.train(job)
    except PizzeriaError as error:
        fail(file.parent, rank, error)
        raise
    if rank == 0:
        write_json(file.parent / "facts.json", facts)


def _wait_for_the_last(job: TrainJob) -> None:
    """See that nobody writes here any more: when a command is killed, its processes are told, and take a moment.

    Raises:
        TrainingError: they are at it still.
    """
    deadline, told = time.monotonic() + _PATIENCE_S, False
    with open(job.folder / _LOCK, "a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not told:
                    job.progress.say("waiting for the processes of an earlier try to end")
                elif time.monotonic() > deadline:
                    raise TrainingError(
                        f"processes of an earlier try are still training in {job.folder}",
                        hint="end them (pizzeria_plugins.runners.member, or Ray's workers), and run it again",
                    ) from None
            told = True
            time.sleep(0.5)


def _packed(trainer: Trainer, job: TrainJob) -> dict[str, Any]:
    """The job as plain data; plugins by their names, since the other processes load them themselves."""
    told = {one.name: getattr(job, one.name) for one in fields(job) if one.name not in ("progress", "world")}
    told |= {"trainer": _name("trainers", trainer), "model": _name("models", job.model), "cwd": str(Path.cwd())}
    for name in ("problem", "model_options", "options"):
        told[name] = told[name].model_dump(mode="json", by_alias=True)
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in told.items()}


def _unpacked(told: Mapping[str, Any], world: World, progress: Any) -> tuple[Trainer, TrainJob]:
    # Without the guard, which would make a plugin's fault of another process's death.
    trainer = registry.load("trainers", told["trainer"]).plugin
    model = registry.load("models", told["model"])
    known = {
        "problem": Problem.model_validate_json(json.dumps(told["problem"]), strict=True),
        "model": model,
        "model_options": model.Options.model_validate_json(json.dumps(told["model_options"]), strict=True),
        "options": trainer.Options.model_validate_json(json.dumps(told["options"]), strict=True),
        "features": Path(told["features"]),
        "folder": Path(told["folder"]),
        "start": None if told["start"] is None else Path(told["start"]),
        "progress": progress,
        "world": world,
    }
    rest = {one.name: told[one.name] for one in fields(TrainJob) if one.name not in known}
    return trainer, TrainJob(**known, **rest)


def _name(kind: str, plugin: Any) -> str:
    if not isinstance(name := getattr(plugin, "name", None), str) or name not in registry.find(kind):
        raise PizzeriaError(
            f"{plugin!r} cannot be sent to other processes", hint=f"name it as one of the {kind} that are installed"
        )
    return name
