"""A challenger: trained from the same spec, compared with the champion, and put in its place or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import registry
from pizzeria.contracts import Progress
from pizzeria.datasets import open_dataset
from pizzeria.deployments import packed, put_live
from pizzeria.errors import ExpectationError, GateError, LeakageError, PizzeriaError, RolloutError
from pizzeria.examination import answers_of, test_inputs
from pizzeria.execution import execute
from pizzeria.inference.bundle import open_bundle
from pizzeria.maintenance.begun import Begun, save
from pizzeria.maintenance.comparison import decide, speaks_against
from pizzeria.maintenance.decided import Decision
from pizzeria.maintenance.manifest import MANIFEST
from pizzeria.measuring import grouping
from pizzeria.measuring.paired import Compared, compare
from pizzeria.predictions import Predictions, load_predictions
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec
from pizzeria.tables import read_tables

if TYPE_CHECKING:
    import pandas as pd

FROZEN, WINDOW = "frozen", "window"
_SHOWN = 5


def pursue(
    begun: Begun,
    entry: Entry,
    champion_run: Run,
    spec: Spec,
    store: Store,
    progress: Progress,
    on_end: Callable[[Run], object] | None,
) -> Decision:
    """Train and compare what was begun, as far as that is not done yet, and promote it when it may take over.

    Args:
        entry: The champion's.
        spec: The challenger's.

    Raises:
        PizzeriaError: training or deployment failed; the champion stays.
    """
    if begun.phase == "promoting":
        return promote(begun, spec, store, progress)
    try:
        done = execute(spec, store, progress, until="package", on_end=on_end)
    except (GateError, ExpectationError, LeakageError) as error:
        what = {GateError: "the challenger missed the gate", ExpectationError: "the data did not pass"}
        return Decision("refused", f"{what.get(type(error), 'the data leak')}: {error.message}", begun.evidence)
    new = packed(done.run, spec, store)
    seconds = sum(one.seconds for one in done.results.values())
    evidence = {
        **begun.evidence,
        **{"challenger_run": done.run.id, "sha256": new.sha256, "instead_of": entry.sha256, "seconds": seconds},
    }
    if new.sha256 == entry.sha256:
        return Decision("refused", "training gave the champion again", evidence)
    sides = {"champion": champion_run.stage("package") / "bundle", "challenger": new.bundle}
    sets = weigh(sides, champion_run, done.run, spec, begun.parts, progress)
    outcome = decide(spec.maintenance.compare, spec.problem, sets, meaning_changed=begun.meaning_changed)
    evidence |= {name: one.plain() for name, one in sets.items()}
    shown = next((sets[name].main for name in (WINDOW, FROZEN) if name in sets), None)
    if shown is not None:
        evidence |= {"metric": shown.subject, "champion": shown.champion, "challenger": shown.challenger}
    if outcome.passed is not True:
        text = "" if outcome.passed is False else "it cannot be told whether it is better: "
        return Decision("refused", f"{text}{outcome.why}", evidence)
    ready = replace(begun, phase="promoting", run=done.run.id, sha256=new.sha256, evidence=evidence, why=outcome.why)
    turn = _turn(begun, sets, spec)
    if spec.maintenance.approval or turn:
        return Decision("awaiting approval", "; ".join(filter(None, (outcome.why, turn))), evidence)
    return promote(save(ready, spec.name, store), spec, store, progress)


def _turn(begun: Begun, sets: Mapping[str, Compared], spec: Spec) -> str:
    """Why a person must say that the world has turned over: else whoever sends labels could say so.

    Returns:
        Nothing where the frozen test set speaks for the challenger too, where all labels are by sources that are
        trusted, and where `maintenance.trust.on_turn` is believe.
    """
    rule, trust = spec.maintenance.compare, spec.maintenance.trust
    frozen, version = sets.get(FROZEN), begun.evidence.get("version")
    if not begun.meaning_changed or trust.on_turn == "believe" or version is None:
        return ""
    if frozen is not None and not speaks_against(frozen, rule, spec.problem):
        return ""
    said = json.loads((Path(version["folder"]) / MANIFEST).read_text())["counts"]["by_source"]
    strangers = sorted(set(said) - set(trust.trusted))
    if not strangers:
        return ""
    named = ", ".join(strangers[:_SHOWN]) + (" ..." if len(strangers) > _SHOWN else "")
    return f"that inputs mean something else is said by {named}, not in maintenance.trust.trusted, so a person decides"


def promote(begun: Begun, spec: Spec, store: Store, progress: Progress) -> Decision:
    """Let a challenger that passed take over, with the target's roll-out; nothing happens where it has already.

    Raises:
        DeploymentError: it did not come up; the champion stays.
    """
    live = Ledger(store.root).champion(spec.name)
    if live is None or live.sha256 != begun.sha256:
        new = packed(store.run(begun.run), spec, store)
        try:
            put_live(spec, new.run, new.bundle, new.sha256, store, progress)
        except RolloutError as error:
            return Decision("refused", f"{begun.why}, but {error.message}", begun.evidence)
    return Decision("promoted", begun.why, begun.evidence)


def weigh(
    bundles: Mapping[str, Path], old: Run, new: Run, spec: Spec, parts: str, progress: Progress
) -> dict[str, Compared]:
    """Compare the bundles `champion` and `challenger` on what neither learnt from.

    Args:
        parts: Parquet with `key` and `part` of the challenger's test rows. Without it those that are the champion's
            test rows too are the frozen set, and those that its data did not have are the window.

    Returns:
        `frozen` and `window`, where there are such rows.
    """
    dataset = open_dataset(new.stage("features"))
    tables = read_tables(new.stage("collect"))
    inputs = test_inputs(tables, dataset)
    part_of = _parts(Path(parts)) if parts else _by_the_champion(old, list(inputs))
    inputs = {key: value for key, value in inputs.items() if part_of.get(key)}
    if not inputs:
        return {}
    truth = load_predictions(new.stage("evaluate") / "truth_test.npz").of(tuple(inputs))
    progress.say(f"comparing both models on {len(inputs)} rows that neither has learnt from")
    sides = {side: answers_of(open_bundle(folder), inputs, spec, progress) for side, folder in bundles.items()}
    names, _ = grouping.groups(tables, list(inputs), spec)
    groups = None if names is None else dict(zip(inputs, names, strict=True))
    evaluator = registry.load("evaluators", spec.evaluation.use)

    def evaluate(said: Predictions, true: Predictions, calibration: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = evaluator.evaluate(spec.evaluation.options, spec.problem, said, true, calibration)
        return found

    out = {}
    for part in (FROZEN, WINDOW):
        keys = [key for key in inputs if part_of[key] == part]
        if keys:
            pair = [replace(one, predictions=one.predictions.of(keys)) for one in sides.values()]
            own = None if groups is None else [groups[key] for key in keys]
            rule = spec.maintenance.compare
            out[part] = compare(rule, spec.problem, pair[0], pair[1], truth.of(keys), own, evaluate=evaluate)
    return out


def _parts(path: Path) -> dict[str, str]:
    import pandas as pd

    found = pd.read_parquet(path, columns=["key", "part"])
    found = found[found["part"].notna()]
    return dict(zip(found["key"].astype(str), found["part"].astype(str), strict=True))


def _by_the_champion(old: Run, keys: Sequence[str]) -> dict[str, str]:
    index: pd.DataFrame = open_dataset(old.stage("features")).index
    name = "image_id" if "image_id" in index else "row_id"
    side = dict(zip(index[name].astype(str), index["split"], strict=True))
    part = {"test": FROZEN, None: WINDOW}
    return {key: part[side.get(key)] for key in keys if side.get(key) in part}


def said_of(error: PizzeriaError) -> str:
    """What a failure was, with its hint, on one line."""
    return " ".join(f"{error.message} {f'({error.hint})' if error.hint else ''}".split())
