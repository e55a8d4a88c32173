"""Cuts trainings off at random points, resumes them, and compares how they end with one that was left alone.

    python tests/benchmarks/kills.py [--tries 50] [--signal kill|term] [--seed 0] [--quick]

Weights, curves and facts must be the same bit for bit, except for what is a time. Each try is a training of its own,
in a process forked from this one, which has imported everything and used nothing: a kill hits training, validation and
checkpoints, not the loading of libraries. `--quick` trains a smaller network.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "plugins" / "trainers"))

import synthetic
import torch
from synthetic import Recorder, write_photos

from pizzeria.contracts import TrainJob
from pizzeria.errors import Terminated
from pizzeria_plugins.models import timm_classifier, timm_detector
from pizzeria_plugins.trainers import lightning, training

TIMES = ("seconds", "items_per_second")
TERMINATED = 143


def job_in(root: Path, *, quick: bool) -> TrainJob:
    """A training that uses everything that has a state: augmentation, dropout, averaged weights, batch norm, AdamW."""
    options = {"batch_size": 8, "augmentation": "standard", "ema_decay": 0.9, "accelerator": "cpu"}
    if quick:
        task, model = "image_classification", timm_classifier
        model_options: Any = timm_classifier.Options(backbone="test_resnet", image_size=64, dropout=0.2)
        settings = lightning.Options(**options, max_epochs=3, learning_rate=3e-3)
    else:
        task, model = "object_detection", timm_detector
        model_options = timm_detector.Options(image_size=64, strides=(8, 16), fpn_channels=32, head_convs=1)
        settings = lightning.Options(**options, max_epochs=4, learning_rate=3e-3)
    return TrainJob(
        problem=synthetic.problem(task),
        model=model,
        model_options=model_options,
        options=settings,
        seed=0,
        features=root / "features",
        folder=root,
        progress=Recorder(),
    )


def terminate(_signal: int, _frame: FrameType | None) -> None:
    """What the command does of SIGTERM wherever nothing else is done of it."""
    raise Terminated


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a process of its own; returns its process id."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGTERM, terminate)
    try:
        work()
    except Terminated:
        os._exit(TERMINATED)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def ended(child: int) -> int:
    """Wait for it; returns its exit code, or minus the signal that it died of."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def lives(child: int, seconds: float) -> bool:
    """Whether it is still at work after so many seconds; returns at once when it ends."""
    handle = os.pidfd_open(child)
    try:
        return not select.select([handle], [], [], seconds)[0]
    finally:
        os.close(handle)


def train_in(job: TrainJob, folder: Path) -> None:
    """Train, and leave the facts too."""
    folder.mkdir(exist_ok=True)
    facts = training.run(replace(job, folder=folder))
    (folder / "facts.json").write_text(json.dumps(facts))


def outcome(folder: Path) -> dict[str, Any]:
    """All that a training leaves, without times."""
    with open(folder / "curves.csv") as stream:
        curves = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(stream)]
    facts = json.loads((folder / "facts.json").read_text())
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return {"weights": weights, "curves": curves, "facts": {k: v for k, v in facts.items() if k not in TIMES}}


def stands_at(folder: Path) -> str:
    """The newest checkpoint, in words."""
    found = sorted(path.name for path in folder.glob("checkpoints/epoch-*"))
    if not found:
        return "before the first checkpoint"
    return "within an epoch" if "step" in found[-1] else f"after epoch {int(found[-1][6:])}"


def one_try(job: TrainJob, folder: Path, after: float, how: signal.Signals) -> str | None:
    """Cut a training off and resume it. Returns where it was cut off, or None where it had ended before."""
    shutil.rmtree(folder, ignore_errors=True)
    child = forked(lambda: train_in(job, folder))
    if lives(child, after):
        os.kill(child, how)
    code = ended(child)
    if code == 0:
        return None
    if code != (TERMINATED if how == signal.SIGTERM else -how):
        raise SystemExit(f"a training that got {how.name} after {after:.3f} s ended with {code}")
    where = stands_at(folder)
    code = ended(forked(lambda: train_in(job, folder)))
    if code:
        raise SystemExit(f"a training that was cut off {where} could not be resumed: it ended with {code}")
    return where


def main() -> int:
    """Print what was seen; 1 when a training did not end as the one that was left alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--signal", choices=["kill", "term"], default="kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    how = signal.SIGKILL if arguments.signal == "kill" else signal.SIGTERM
    draw = random.Random(arguments.seed)
    torch.set_num_threads(1)  # no thread may live here when a process is forked off
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        job = job_in(root, quick=arguments.quick)
        counts = (40, 8, 8) if arguments.quick else (64, 16, 16)
        assert ended(forked(lambda: write_photos(job.features, job.problem.task, counts))) == 0
        begun = time.perf_counter()
        assert ended(forked(lambda: train_in(job, root / "whole"))) == 0
        whole, seconds = outcome(root / "whole"), time.perf_counter() - begun
        seen: Counter[str] = Counter()
        different = 0
        while seen.total() < arguments.tries:
            begun = time.perf_counter()
            where = one_try(job, root / "cut", draw.uniform(0, seconds), how)
            if where is None:
                # The machine had other work when the first was timed: most moments would lie after the end.
                seconds = min(seconds, time.perf_counter() - begun)
                continue
            seen[where] += 1
            different += outcome(root / "cut") != whole
    print(f"{arguments.tries} trainings of {seconds:.1f} s cut off by {how.name}: {different} ended differently")
    for where, count in sorted(seen.items()):
        print(f"  {count:3} {where}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
