"""The same torture for what others use: safetensors, torch, Lightning, the stores of BentoML and MLflow, OmegaConf.

    .venv/bin/python tests/benchmarks/torture_peers.py [--only NAME]... [--seed 0]

Prints a table, and a whole run writes it into docs/reliability.md, beside what `pizzeria torture` finds of Pizzeria.
Each try that is killed is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_ALLOW_FILE_STORE": "true"}

from serving_page import circumstances, write_section

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
Found = tuple[int, int, str]
"""How many tries held, of how many, and what happened otherwise."""


def flips(save: Callable[[dict[str, Any], Path], None], load: Callable[[Path], Any]) -> Callable[..., Found]:
    """How many changed bytes of a file of weights are found when it is loaded."""

    def tried(folder: Path, draw: random.Random) -> Found:
        import torch

        torch.manual_seed(0)
        path, tries, noticed = folder / "weights", 200, 0
        save({f"layer{i}": torch.randn(64, 64) for i in range(8)}, path)
        whole = path.read_bytes()
        for _ in range(tries):
            changed = bytearray(whole)
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
            path.write_bytes(changed)
            try:
                load(path)
            except Exception:
                noticed += 1
        return noticed, tries, "loaded without a word"

    return tried


def _save_safetensors(weights: dict[str, Any], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(weights, path)


def _load_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _save_torch(weights: dict[str, Any], path: Path) -> None:
    import torch

    torch.save(weights, path)


def _load_torch(path: Path) -> Any:
    import torch

    return torch.load(path, weights_only=True)


def lightning_checkpoints(folder: Path, draw: random.Random) -> Found:
    """Kills while `trainer.save_checkpoint` replaces last.ckpt over and over; is there one that loads?"""
    import torch

    tries, held = 16, 0
    for i in range(tries):
        place = folder / str(i)
        place.mkdir()
        _killed(_save_forever, place, draw.uniform(0.05, 0.5))
        try:
            torch.load(place / "last.ckpt", weights_only=False)
            held += 1
        except Exception:
            continue
    return held, tries, "last.ckpt was gone or did not load"


def _save_forever(folder: Path) -> None:
    import torch
    from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

    state = {"state_dict": {f"layer{i}": torch.randn(256, 1024) for i in range(16)}}
    plugin, path = TorchCheckpointIO(), folder / "last.ckpt"
    plugin.save_checkpoint(state, path)
    (folder / "up").touch()
    while True:
        plugin.save_checkpoint(state, path)


def bentoml_store(folder: Path, draw: random.Random) -> Found:
    """Kills while models are put into BentoML's store; can all of them be listed and opened afterwards?"""
    tries, held = 15, 0
    for i in range(tries):
        place = folder / str(i)
        place.mkdir()
        _killed(_create_forever, place, draw.uniform(0.05, 0.5))
        program = "import bentoml\nfor m in bentoml.models.list(): bentoml.models.get(m.tag).path_of('w')"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"BENTOML_HOME": str(place)},
            capture_output=True,
            check=False,
        )
        held += done.returncode == 0
    return held, tries, "the store could not be listed, or a model not opened"


def _create_forever(folder: Path) -> None:
    os.environ["BENTOML_HOME"] = str(folder)
    import bentoml

    i = 0
    while True:
        with bentoml.models.create(f"m{i % 3}") as model:
            Path(model.path_of("w")).write_bytes(os.urandom(1 << 20))
        (folder / "up").touch()
        i += 1


def mlflow_registry(uri: Callable[[Path], str]) -> Callable[..., Found]:
    """4 processes register 15 versions each of one model."""

    def tried(folder: Path, _draw: random.Random) -> Found:
        from mlflow.tracking import MlflowClient

        address = os.environ["MLFLOW_TRACKING_URI"] = uri(folder)  # or it makes a database in the working folder
        client = MlflowClient(address, address)
        client.create_registered_model("m")
        context = multiprocessing.get_context("spawn")
        with context.Pool(4) as pool:
            failed = sum(pool.starmap(_register, [(address, str(folder))] * 4))
        there = len({one.version for one in client.search_model_versions("name='m'", max_results=1000)})
        return there, 60, f"{failed} calls failed, and {there} of 60 versions are there"

    return tried


def _register(address: str, folder: str) -> int:
    from mlflow.tracking import MlflowClient

    client, failed = MlflowClient(address, address), 0
    for _ in range(15):
        try:
            client.create_model_version("m", f"file://{folder}/artifact")
        except Exception:
            failed += 1
    return failed


def omegaconf_bomb(folder: Path, _draw: random.Random) -> Found:
    """A YAML file of 300 bytes whose aliases multiply: is it read or refused within 10 s?"""
    path = folder / "bomb.yaml"
    path.write_text(BOMB)
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); "
    program += f"from omegaconf import OmegaConf; OmegaConf.load({str(path)!r})"
    try:
        subprocess.run([sys.executable, "-c", program], timeout=10, capture_output=True, check=True)
    except subprocess.TimeoutExpired:
        return 0, 1, "it was still at it after 10 s"
    except subprocess.CalledProcessError as error:
        return 0, 1, error.stderr.decode().strip().splitlines()[-1][:100]
    return 1, 1, ""


def _killed(work: Callable[[Path], None], folder: Path, after: float) -> None:
    """Run `work` in a process, and kill it some time after it said that it is up."""
    child = multiprocessing.get_context("spawn").Process(target=work, args=(folder,))
    child.start()
    until = time.monotonic() + 60
    while not (folder / "up").exists() and child.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(after)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()


PEERS: dict[str, tuple[str, Callable[[Path, random.Random], Found]]] = {
    "safetensors": ("200 changed bytes, found at load", flips(_save_safetensors, _load_safetensors)),
    "torch": ("200 changed bytes, found at load", flips(_save_torch, _load_torch)),
    "Lightning's checkpoint": ("16 kills while it is written anew; one loads", lightning_checkpoints),
    "BentoML's model store": ("15 kills while models are put in; all can be listed and opened", bentoml_store),
    "MLflow's file store": ("4 x 15 registrations at once", mlflow_registry(lambda folder: f"file://{folder}/mlruns")),
    "MLflow's SQLite store": ("4 x 15 registrations at once", mlflow_registry(lambda f: f"sqlite:///{f}/m.db")),
    "OmegaConf": (f"an alias bomb of {len(BOMB)} bytes, read or refused in 10 s", omegaconf_bomb),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], choices=PEERS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    ran = circumstances(("safetensors", "torch", "pytorch-lightning", "bentoml", "omegaconf"), wrk=False)
    lines = ["| what | tried | held | | ", "|---|---|---:|---|"]
    for name, (what, tried) in PEERS.items():
        if arguments.only and name not in arguments.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                held, of, otherwise = tried(Path(folder), random.Random(f"{arguments.seed}:{name}"))
                said = otherwise if held < of else ""
                line = f"| {name} | {what} | {held} of {of} | {said} |"
            except Exception as error:
                line = f"| {name} | {what} | not tried | {type(error).__name__}: {str(error).splitlines()[0][:120]} |"
        print(json.dumps(line)[1:-1], flush=True)
        lines.append(line)
    if not arguments.only:
        write_section(PAGE, "peers", "\n".join([ran, "", *lines]))


if __name__ == "__main__":
    main()
