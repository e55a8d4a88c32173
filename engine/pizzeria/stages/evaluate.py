"""Calibrates on the validation split, measures on the test split, and lets the success criteria decide.

The criteria say what the business needs of today's answers. So where the test split has a part `window`, the newest
labels, and it is large enough (`LEAST_WINDOW`), they are asked of it alone: a challenger in a world whose meaning has
changed could meet them on the frozen part never again. Without such a part, as in every first run, they are asked of
the whole test split. They are so, too, where the window lacks a class that the whole has.

A criterion that asks for a gain over the champion holds only while that champion is live: see `expired`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pizzeria import atomic, gate, registry
from pizzeria.datasets import open_dataset
from pizzeria.errors import GateError, PizzeriaError
from pizzeria.measuring.assessment import assess
from pizzeria.measuring.judged import Answers
from pizzeria.predictions import Predictions, save_predictions
from pizzeria.runs.store import Result, Store
from pizzeria.spec.spec import Spec
from pizzeria.stages import champion
from pizzeria.stages.split import newest_part, test_parts
from pizzeria.stages.stage import Job, Outcome
from pizzeria.stages.train import train_job
from pizzeria.tables import read_tables
from pizzeria.tasks import task

NAME = "evaluate"
INPUTS = ("collect", "split", "features", "train")
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = GateError


def reads(spec: Spec) -> dict[str, Any]:
    problem = spec.problem.model_dump(mode="json")
    return {"problem": {"success": problem["success"]}, "evaluation": spec.evaluation.resolved()}


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return [("evaluators", spec.evaluation.use), ("trainers", spec.training.use), ("models", spec.model.use)]


def run(job: Job) -> Outcome:
    spec, features = job.spec, job.inputs["features"].folder
    trainer = registry.load("trainers", spec.training.use)
    evaluator = registry.load("evaluators", spec.evaluation.use)
    work = train_job(spec, features, job.folder, job.progress)
    weights = job.inputs["train"].folder / "model.safetensors"
    dataset = open_dataset(features)
    found, true = {}, {}
    for split in ("validation", "test"):
        job.progress.say(f"predicting the {split} split")
        found[split] = trainer.predict(work, weights, split)
        true[split] = dataset.truth(split, len(spec.problem.classes))
        save_predictions(found[split], job.folder / f"{split}.npz")
        save_predictions(true[split], job.folder / f"truth_{split}.npz")
    calibration = dict(
        evaluator.calibrate(
            spec.evaluation.calibration,
            spec.problem,
            found["validation"],
            true["validation"],
            spec.evaluation.thresholds,
        )
    )
    for note in _wishes_not_kept(calibration):
        job.progress.say(note)
    listings = _listings(job, found)
    if listings:
        calibration |= evaluator.verdict_bands(
            spec.evaluation.verdicts,
            spec.problem,
            found["validation"],
            true["validation"],
            calibration,
            listings["validation"],
        )
    evaluation = evaluator.evaluate(spec.evaluation.options, spec.problem, found["test"], true["test"], calibration)
    if listings:
        evaluation["verdicts"] = evaluator.verdict_figures(
            spec.problem, found["test"], true["test"], calibration, listings["test"]
        )
    tables = read_tables(job.inputs["collect"].folder)
    answers = Answers(found["test"], calibration)
    evaluation |= assess(spec, answers, true["test"], evaluation, tables, dataset)
    keys = test_parts(job.inputs["split"].folder)
    parts = _parts(job, evaluator, keys, found["test"], true["test"], calibration)
    judged = _judged(keys, found["test"].keys, evaluation, parts)
    if parts:
        atomic.write_json(job.folder / "parts.json", {name: _plain(one, name == judged) for name, one in parts.items()})
    seen, asked = evaluation, true["test"]
    if judged:
        mine = tuple(key for key in keys[judged] if key in set(found["test"].keys))
        answers, asked = Answers(found["test"].of(mine), calibration), true["test"].of(mine)
        seen = parts[judged] | assess(spec, answers, asked, parts[judged], tables, dataset)
    rival = champion.rival(spec, job.store, job.inputs["train"].fingerprint)
    evaluate = partial(evaluator.evaluate, spec.evaluation.options, spec.problem)
    gains = champion.gains(job, rival, answers, asked, tables, dataset, evaluate)
    verdict = gate.judge(spec.problem.success, seen, gains)
    atomic.write_json(job.folder / "calibration.json", calibration)
    atomic.write_json(job.folder / "metrics.json", evaluation)
    atomic.write_json(job.folder / "gate.json", [outcome.plain() for outcome in verdict])
    for note in _no_better(evaluation):
        job.progress.say(note)
    missed = [outcome.text for outcome in verdict if outcome.passed is not True]
    refusal = None
    if not gate.passes(verdict):
        lines = "\n".join(f"  {text}" for text in missed)
        refusal = GateError(
            f"{len(missed)} of {len(verdict)} success criteria not met{_where(parts, judged)}:\n{lines}",
            hint="train longer, bring more data, or change problem.success if less is enough",
        )
    facts = {"metrics": evaluation["metrics"]} | ({} if rival is None else {"champion": rival.sha256})
    return Outcome(facts, refusal)


def expired(spec: Spec, result: Result, store: Store) -> str | None:
    """Why a verdict that was against the champion no longer holds."""
    if not champion.asked(spec):
        return None
    rival = champion.rival(spec, store, result.ingredients["inputs"]["train"])
    if rival is not None and rival.sha256 != result.facts.get("champion"):
        return "the champion is another one now"
    return None


def _no_better(evaluation: Mapping[str, Any]) -> list[str]:
    """A warning for each metric in which a trivial model does as well."""
    trivial, metrics = evaluation["baseline"], evaluation["metrics"]
    return [
        f"warning: {name} is {metrics[name]:.3g}, and a trivial model has {trivial['metrics'][name]:.3g}: "
        f"{trivial['name']}"
        for name in evaluation["not_better"]
    ]


def _parts(
    job: Job,
    evaluator: Any,
    keys: Mapping[str, Sequence[str]],
    found: Predictions,
    true: Predictions,
    calibration: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """The evaluation of each part of the test split, with its rows as `count`; empty where it has none."""
    spec, out = job.spec, {}
    there = set(found.keys)
    for name, own in keys.items():
        mine = tuple(key for key in own if key in there)
        if mine:
            evaluated = evaluator.evaluate(
                spec.evaluation.options, spec.problem, found.of(mine), true.of(mine), calibration
            )
            out[name] = {**evaluated, "count": len(mine)}
    return out


def _judged(
    keys: Mapping[str, Sequence[str]],
    there: Sequence[str],
    evaluation: Mapping[str, Any],
    parts: Mapping[str, Mapping[str, Any]],
) -> str:
    """The part that the criteria are asked of; empty for the whole test split."""
    if not newest_part(keys, there):
        return ""
    lost = set(parts["window"]["classes_never_seen"]) - set(evaluation["classes_never_seen"])
    return "" if lost else "window"


def _wishes_not_kept(calibration: Mapping[str, Any]) -> list[str]:
    """Of which classes the threshold does not do what the spec wishes of it."""
    return [
        f"threshold of {name}: {one['wish']} was wished, and no threshold reaches it in validation"
        for name, one in calibration.get("wishes", {}).items()
        if not one["kept"] and one["wish"] != "max_f1"
    ]


def _plain(part: Mapping[str, Any], judged: bool) -> dict[str, Any]:
    """A part as `parts.json` has it; `gate`: whether the criteria were asked of it alone."""
    return {"count": part["count"], "metrics": part["metrics"], "gate": judged}


def _where(parts: Mapping[str, Mapping[str, Any]], judged: str) -> str:
    return f" on the {parts[judged]['count']} newest labels" if judged else ""


def _listings(job: Job, found: Mapping[str, Predictions]) -> dict[str, list[str]]:
    """The listing of each photo, by split; a photo without one is a listing of its own. Empty for other tasks."""
    if task(job.spec.problem.task).JUDGED != "presence":
        return {}
    images = read_tables(job.inputs["collect"].folder).images
    assert images is not None
    known: dict[str, str] = {}
    if "listing_id" in images:
        named = images[images["listing_id"].notna()]
        known = dict(zip(named["image_id"].astype(str), named["listing_id"].astype(str), strict=True))
    return {split: [known.get(key, f"photo {key}") for key in one.keys] for split, one in found.items()}
