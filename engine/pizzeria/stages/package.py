"""Exports the model into a bundle, and proves that the bundle answers as the trained model does."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pizzeria import atomic, parity, registry
from pizzeria.datasets import open_dataset
from pizzeria.errors import ParityError, PizzeriaError
from pizzeria.examination import answer, reference, sample_of, test_inputs
from pizzeria.inference.bundle import draft_bundle, open_bundle, write_bundle
from pizzeria.inference.predictor import Predictor, usable_cores
from pizzeria.inference.sample import answer_sample
from pizzeria.predictions import Predictions, load_predictions
from pizzeria.spec.spec import Spec
from pizzeria.stages.split import newest_part, test_parts
from pizzeria.stages.stage import Job, Outcome
from pizzeria.tables import read_tables
from pizzeria.tasks import task

if TYPE_CHECKING:
    import pandas as pd

NAME = "package"
INPUTS = ("collect", "split", "features", "train", "evaluate")
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = ParityError

METRIC_TOLERANCE = 0.005
"""How far the main metric of bundle and trained model may lie apart; relative for a metric above 1."""


def reads(spec: Spec) -> dict[str, Any]:
    return {"name": spec.name, "model": spec.model.resolved(), "evaluation": spec.evaluation.resolved()}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("models", spec.model.use), ("evaluators", spec.evaluation.use)]


def run(job: Job) -> Outcome:
    spec, evaluated = job.spec, job.inputs["evaluate"].folder
    dataset = open_dataset(job.inputs["features"].folder)
    calibration = json.loads((evaluated / "calibration.json").read_text())
    description = _describe(job, calibration, dataset.preprocessing)
    job.progress.say("exporting to ONNX")
    model = job.folder / "model.onnx"
    plugin = registry.load("models", spec.model.use)
    weights = job.inputs["train"].folder / "model.safetensors"
    plugin.export(spec.model.options, spec.problem, dataset.preprocessing, weights, model)

    tables = read_tables(job.inputs["collect"].folder)
    inputs = test_inputs(tables, dataset)
    megapixels = spec.serving.max_megapixels
    sample = sample_of(inputs)
    golden = answer_sample(Predictor(draft_bundle(description, model)), sample)
    sha256 = write_bundle(job.folder / "bundle", description, model, sample, golden)

    answered = answer(Predictor(open_bundle(job.folder / "bundle")), inputs, megapixels, job.progress)
    trained, truth = (load_predictions(evaluated / f"{name}.npz").of(tuple(inputs)) for name in ("test", "truth_test"))
    # A steep calibration would blow up the last digits, so probabilities are compared before it.
    raw = answered.predictions()
    if raw.probabilities is not None:
        plain = draft_bundle(description | {"calibration": {**calibration, "method": "none"}}, model)
        raw = answer(Predictor(plain), inputs, megapixels, job.progress).predictions()
    report = dict(parity.compare(spec.problem, trained, raw))
    report["metrics"] = _metrics(spec, trained, raw, truth, calibration)
    report["milliseconds"] = answered.milliseconds
    model.unlink()
    atomic.write_json(job.folder / "parity.json", report)
    whole = with_listings(reference(spec.problem.task, answered, truth), tables.images)
    newest_of(whole, test_parts(job.inputs["split"].folder)).to_parquet(job.folder / "reference.parquet", index=False)
    refusal = None
    if not (report["passed"] and report["metrics"]["passed"]):
        refusal = ParityError(
            f"the exported model does not answer as the trained one does: {json.dumps(atomic.finite(report))}",
            hint="this is a fault of the model plugin's export, not of the spec",
        )
    size = sum(path.stat().st_size for path in (job.folder / "bundle").rglob("*") if path.is_file())
    facts = {"sha256": sha256, "bytes": size, "milliseconds": answered.milliseconds, "cores": usable_cores()}
    return Outcome(facts, refusal)


def with_listings(reference: pd.DataFrame, images: pd.DataFrame | None) -> pd.DataFrame:
    """The records with the listing of each photo, as the service logs it.

    Photos of one listing look alike: a monitor that takes them for so many witnesses calls healthy traffic drifted.

    Args:
        images: The collected images; None for tables.

    Example:
        >>> import pandas as pd
        >>> images = pd.DataFrame({"image_id": [1, 2], "listing_id": ["L7", None]})
        >>> list(with_listings(pd.DataFrame({"input_id": ["2", "1"]}), images)["listing_id"])
        ['', 'L7']
    """
    if images is None or "listing_id" not in images:
        return reference
    listing_of = dict(zip(images["image_id"].astype(str), images["listing_id"].fillna("").astype(str), strict=True))
    listings = [listing_of.get(key, "") for key in reference["input_id"].astype(str)]
    return reference.assign(listing_id=listings)


def newest_of(reference: pd.DataFrame, parts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What traffic is compared with: the newest labelled rows that the model has not learnt, where they are enough.

    After a new model was trained on data of today, its traffic is to be like them, and not like the data of long ago
    that the frozen part of the test split is made of.

    Args:
        reference: Records of the whole test split, with `input_id`.
        parts: Keys of the parts of the test split.
    """
    newest = newest_part(parts, reference["input_id"].tolist())
    return reference[reference["input_id"].isin(newest)].reset_index(drop=True) if newest else reference


def _describe(job: Job, calibration: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    evaluated = job.inputs["evaluate"].folder
    return {
        "name": job.spec.name,
        "task": job.spec.problem.task,
        "classes": list(job.spec.problem.classes),
        "preprocessing": dict(preprocessing),
        "calibration": dict(calibration),
        "metrics": json.loads((evaluated / "metrics.json").read_text())["metrics"],
        "gate": json.loads((evaluated / "gate.json").read_text()),
        "lineage": {name: result.fingerprint for name, result in job.inputs.items()},
        "versions": {name: version(name) for name in ("pizzeria", "numpy", "onnxruntime", "pillow")}
        | {"python": platform.python_version()},
    }


def _metrics(
    spec: Spec, trained: Predictions, served: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """The task's main metric of the trained model beside that of the bundle."""
    evaluator = registry.load("evaluators", spec.evaluation.use)
    name = task(spec.problem.task).MAIN_METRIC
    was, now = (
        float(evaluator.evaluate(spec.evaluation.options, spec.problem, found, truth, calibration)["metrics"][name])
        for found in (trained, served)
    )
    passed = abs(now - was) <= METRIC_TOLERANCE * max(1.0, abs(was))
    return {"metric": name, "trained": was, "served": now, "tolerance": METRIC_TOLERANCE, "passed": passed}
