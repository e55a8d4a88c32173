"""The table of docs/results.md: `python tests/benchmarks/listings.py [RECIPE ...] [--data ../shared/data/listings]`.

Each recipe is the shipped spec `listings` with the overrides that stand below, run up to the bundle by the command
itself, in a store of its own. Figures are kept in `--work` as they come, and the page shows all that are there; a
recipe is run again when it is named. The hour of the best recipe is that of two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from serving_page import circumstances, write_section

from pizzeria.runs.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "results.md"
SHARED = Path(__file__).parents[3] / "shared" / "data"
NO_GATE = "problem.success=[{metric: map_50, at_least: 0}]"
MOBILENET = SHARED / "weights" / "mobilenetv2_100.safetensors"

RECIPES: dict[str, tuple[str, ...]] = {
    "shipped": (),
    "at_320": ("model.image_size=320",),
    "random_weights": ("model.image_size=320", "model.weights=null"),
    "mobilenetv2": ("model.image_size=320", "model.backbone=mobilenetv2_100", f"model.weights={MOBILENET}"),
    "retinanet": ("model.head=retinanet",),
    "best": (
        "model.fpn_channels=96",
        "training.max_epochs=28",
        "training.unfreeze_after=6",
        "training.backbone_rate=0.3",
        "training.batch_size=8",
        "training.learning_rate=2.0e-3",
        "training.sampling=repeat_factor",
        "training.validate_every=4",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help=f"of {', '.join(RECIPES)}; all by default")
    parser.add_argument("--data", type=Path, default=SHARED / "listings")
    parser.add_argument("--only-page", action="store_true", help="run nothing: write what is there")
    parser.add_argument("--work", type=Path, default=Path("/tmp/listings-results"))
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    for name in [] if asked.only_page else asked.recipes or RECIPES:
        figures = run(name, asked.data.resolve(), asked.work)
        (asked.work / f"{name}.json").write_text(json.dumps(figures, indent=1))
        print(name, json.dumps(figures["metrics"]), flush=True)
    found = {name: path for name in RECIPES if (path := asked.work / f"{name}.json").exists()}
    write_section(PAGE, "listings", page({name: json.loads(path.read_text()) for name, path in found.items()}))


def run(name: str, data: Path, work: Path) -> dict[str, Any]:
    """Run one recipe; returns its figures."""
    store = work / "runs"
    load, before, started = os.getloadavg()[0], _cpu_seconds(), time.perf_counter()
    command = [sys.executable, "-m", "pizzeria.cli", "run", "experiment=listings", f"data.root={data}", NO_GATE]
    subprocess.run(
        [*command, f"name={name.replace('_', '-')}", *RECIPES[name], "--until", "package"],
        check=True,
        env=os.environ | {"PIZZERIA_STORE": str(store)},
    )
    wall, cpu = time.perf_counter() - started, _cpu_seconds() - before
    found = Store(store).run(name.replace("_", "-"))
    results = {stage: json.loads((found.stage(stage) / "result.json").read_text()) for stage in ("train", "package")}
    evaluation = json.loads((found.stage("evaluate") / "metrics.json").read_text())
    facts = results["train"]["facts"]
    model = yaml.safe_load((found.folder / "spec.yaml").read_text())["model"]
    return {
        "backbone": model["backbone"],
        "weights": "ImageNet" if model["weights"] else "random",
        "size": model["image_size"],
        "overrides": list(RECIPES[name]),
        "train_minutes": results["train"]["seconds"] / 60,
        "run_minutes": wall / 60,
        "cpu_minutes": cpu / 60,
        "load": load,
        "precision": facts["precision"],
        "threads": facts["cores"],
        "parameters": facts["parameters"],
        "onnx_ms": results["package"]["facts"]["milliseconds"],
        "metrics": {key: evaluation["metrics"][key] for key in ("map_50", "map", "presence_f1")},
        "interval": (evaluation.get("intervals") or {}).get("map_50"),
        "per_class": {name: values["map_50"] for name, values in evaluation["per_class"].items()},
        "circumstances": circumstances(("torch", "timm", "onnxruntime"), wrk=False),
    }


def page(found: dict[str, dict[str, Any]]) -> str:
    """The tables."""
    head = ["recipe", "backbone", "weights", "px", "AP50 (95% interval)", "mAP", "presence F1"]
    head += ["minutes of training", "CPU minutes of the run", "threads", "load before", "million parameters", "ONNX ms"]
    lines = [_row(head), _row(["---"] * 3 + ["---:"] * (len(head) - 3))]
    for name, one in found.items():
        metrics, interval = one["metrics"], one["interval"]
        between = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        cells = [name, one["backbone"], one["weights"], one["size"], f"{metrics['map_50']:.3f}{between}"]
        cells += [f"{metrics[key]:.3f}" for key in ("map", "presence_f1")]
        cells += [f"{one[key]:.1f}" for key in ("train_minutes", "cpu_minutes")] + [
            one["threads"],
            f"{one['load']:.1f}",
        ]
        lines.append(_row([*cells, f"{one['parameters'] / 1e6:.1f}", f"{one['onnx_ms']:.1f}"]))
    classes = list(next(iter(found.values()))["per_class"])
    lines += ["", "AP50 by class:", "", _row(["recipe", *classes]), _row(["---", *["---:"] * len(classes)])]
    for name, one in found.items():
        lines.append(_row([name, *(f"{one['per_class'][label]:.2f}" for label in classes)]))
    lines += ["", "What each recipe changes in the spec:", ""]
    for name, one in found.items():
        lines.append(f"- {name}: {', '.join(f'`{override}`' for override in one['overrides']) or 'nothing'}")
    lines += ["", *dict.fromkeys(one["circumstances"] for one in found.values())]
    return "\n".join(lines)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
