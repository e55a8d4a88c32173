"""A new version of the data, out of labelled predictions: what a challenger learns from.

    runs/.collected/<name>/
      kept/             all labelled predictions ever seen: see `pizzeria.maintenance.kept`
      <number>/         one version, never changed
        spec.yaml       the champion's spec with these data joined, as resolved
        fixed.parquet   key, split, part, was, content: the side of every row, old and new (`data.split.fixed`)
        parts.parquet   key, part: which test rows are frozen, and which are the window
        examples.parquet    what is kept, as it was then
        rows.parquet, annotations.json or labels.csv, and photos/: what the further source reads
        start/          weights and preprocessing of the champion, with `maintenance.start: warm`
        manifest.json   hashes, and counts by source, class and day

A version is written beside its name and renamed last, so that it is whole or not there. The same labels, champion and
settings are the same version.

Keys are those of the joined data: `<source>:<id>`, with the champion's rows under the name of its own source
(`table:17`), and new ones under the name of the further source with their prediction id (`table-2:019ab3a5-...`).
Where the champion learnt from a version itself, its keys are so already.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import atomic
from pizzeria.contracts import Progress
from pizzeria.errors import LackError
from pizzeria.fingerprint import digest
from pizzeria.labels.served import Served, open_served
from pizzeria.loading import load_resolved
from pizzeria.maintenance import joined_source
from pizzeria.maintenance.champion_rows import DOUBTED, Lineage, lineage
from pizzeria.maintenance.doubts import Known, shown_before
from pizzeria.maintenance.kept import EXAMPLES, PHOTOS, keep
from pizzeria.maintenance.manifest import MANIFEST, describe
from pizzeria.maintenance.poison import Doubted, judge
from pizzeria.maintenance.sides import Rule, settle
from pizzeria.maintenance.together import linked
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

FIXED, PARTS = "fixed.parquet", "parts.parquet"
_FORM = 3
"""Counts up when the same labels would give another version."""


@dataclass(frozen=True)
class Version:
    """Data that a challenger is to learn from.

    Attributes:
        folder: Its files.
        number: From 1 on.
        labels: Labelled examples in it.
        known: These and those that `maintenance.memory` leaves out: it grows with each new label, as `labels` may not.
        new: Those among them that the champion has not learnt from, or whose label has changed since.
        window: Those that are held out.
        spec: The champion's, with these data.
        parts: Parquet of `key` and `part` (`frozen` or `window`), the test rows.
        manifest: See the module.
    """

    folder: Path
    number: int
    labels: int
    known: int
    new: int
    window: int
    spec: Spec
    parts: Path
    manifest: Mapping[str, Any]


def collect_labelled(name: str, spec: Spec, run: Run, store: Store, progress: Progress) -> Version:
    """The newest labels as a version of the data, made when it is not there.

    Killed at any moment, the next call goes on, and loses nothing.

    Args:
        name: Of the deployment.
        spec, run: The champion's (`deployments.champion`).

    Raises:
        LackError: there are too few new labels (`maintenance.least_labels`), or nothing can be learnt from them.
        PoisonError: labels are doubted; says which, and what to do.
        DataError: the log or a part of the champion's run cannot be read.
    """
    root = store.root / ".collected" / name
    root.mkdir(parents=True, exist_ok=True)
    with _alone(root):
        served = open_served(name, store)
        examples = keep(served, root / "kept", progress)
        before = lineage(spec, run, root)
        examples, unusable = _usable(examples, served)
        examples = _fresh(examples, before)
        key = _key(examples, before, spec)
        found = next((read_version(one) for one in _folders(root) if _manifest(one)["key"] == key), None)
        if found is not None:
            return found
        _require_labels(examples, unusable, spec)
        doubted = judge(examples, _known(served, run), spec.maintenance.trust)
        _require_labels(examples[~examples.index.isin(list(doubted.rows))], unusable, spec, doubted.texts)
        return _make(root, key, spec, run, served, before, examples, doubted, unusable, progress)


def versions(root: Path) -> list[Version]:
    """All versions of a deployment, the newest first.

    Args:
        root: `runs/.collected/<name>`.
    """
    return [read_version(folder) for folder in _folders(root)]


def _folders(root: Path) -> list[Path]:
    return sorted((path for path in root.glob("*") if path.name.isdigit()), key=lambda path: -int(path.name))


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return found


def read_version(folder: Path) -> Version:
    """A version that is there."""
    manifest = _manifest(folder)
    counts = manifest["counts"]
    return Version(
        folder=folder,
        number=int(folder.name),
        labels=counts["labels"],
        known=counts["known"],
        new=counts["new"],
        window=counts["window"],
        spec=load_resolved(folder / "spec.yaml"),
        parts=folder / PARTS,
        manifest=manifest,
    )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One at a time; a killed process leaves no lock behind."""
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _usable(examples: pd.DataFrame, served: Served) -> tuple[pd.DataFrame, dict[str, int]]:
    """The examples that a model can learn from, and how many others there are, by reason."""
    unusable: dict[str, int] = {}
    if not served.bundle.takes_photos:
        return examples, unusable

    def leave(which: pd.Series[bool], reason: str) -> None:
        nonlocal examples
        if which.any():
            unusable[reason] = int(which.sum())
            examples = examples[~which]

    leave(examples["file"].isna() | (examples["file"] == ""), "without a photo in the log")
    if served.bundle.task == "object_detection":
        leave(~examples["truth"].str.contains('"boxes"'), "naming classes alone, without boxes")
    return examples, unusable


def _fresh(examples: pd.DataFrame, before: Lineage) -> pd.DataFrame:
    """With `fresh` (the champion has not seen it), `new` (or its label has changed) and `before` (its side then)."""
    ids = examples["prediction_id"].tolist()
    known = [before.truths.get(name) for name in ids]
    return examples.assign(
        fresh=[one is None for one in known],
        new=[one != truth for one, truth in zip(known, examples["truth"], strict=True)],
        before=[before.sides.get(name, "") for name in ids],
    ).reset_index(drop=True)


def _known(served: Served, run: Run) -> Known:
    import pandas as pd

    reference = pd.read_parquet(run.stage("package") / "reference.parquet")
    return Known(served.bundle.task, reference, shown_before(run.stage("collect")))


def _key(examples: pd.DataFrame, before: Lineage, spec: Spec) -> str:
    """What decides a version's content."""
    content = examples[["prediction_id", "truth", "source", "labelled_at"]].to_csv(index=False)
    settings = spec.maintenance.model_dump(mode="json")
    return digest(
        {
            "form": _FORM,
            "examples": hashlib.sha256(content.encode()).hexdigest(),
            "champion": before.fingerprint,
            "spec": {name: settings[name] for name in ("window", "window_most", "memory", "trust", "start")},
            "split": spec.data.split.model_dump(mode="json"),
        }
    )


def _require_labels(
    examples: pd.DataFrame, unusable: Mapping[str, int], spec: Spec, doubts: tuple[str, ...] = ()
) -> None:
    new, least = int(examples["new"].sum()), spec.maintenance.least_labels
    evidence = {"new_labels": new, "least_labels": least, "labels": len(examples), "unusable": dict(unusable)}
    if new < least:
        more = [f"{count} more are {reason}" for reason, count in unusable.items()]
        more += [f"left out: {text}" for text in doubts]
        raise LackError(
            f"there are {new} new labels, and maintenance.least_labels is {least}"
            + "".join(f"; {text}" for text in more),
            hint=f"`pizzeria labels queue {spec.name}` says what to label next; `pizzeria labels add {spec.name} FILE` "
            "adds labels"
            + (
                "; set serving.log.photos: true, so that photos are kept"
                if "without a photo in the log" in unusable
                else ""
            ),
            evidence=evidence,
        )
    said = {_class_of(truth) for truth in examples.loc[examples["new"], "truth"]}
    if len(said) == 1:
        raise LackError(
            f"all {new} new labels say the same: {next(iter(said))}",
            hint="label others as well: neither a model nor a comparison of two can be made of one class alone",
            evidence=evidence,
        )


def _class_of(truth: str) -> str:
    found = json.loads(truth)
    if "classes" in found:
        return " and ".join(found["classes"]) or "nothing is shown"
    return str(found["class"] if "class" in found else found["value"])


def _make(
    root: Path,
    key: str,
    spec: Spec,
    run: Run,
    served: Served,
    before: Lineage,
    examples: pd.DataFrame,
    doubted: Doubted,
    unusable: Mapping[str, int],
    progress: Progress,
) -> Version:
    number = 1 + max((int(path.name) for path in _folders(root)), default=0)
    final, folder = root / str(number), root / f".{number}.partial"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
    folder.mkdir()
    use, replace = joined_source.kind_of(served), before.version is not None
    prefix = joined_source.name_of(spec, use, replace=replace)
    examples = examples.assign(key=[f"{prefix}:{one}" for one in joined_source.ids(examples, use)])
    trusted = examples[~examples.index.isin(list(doubted.rows))]
    units, links, twice = linked(trusted, before, spec)
    trusted = trusted.assign(unit=units, linked=links)
    sides = settle(trusted[~trusted.index.isin(list(twice))], before.rows, _rule(spec))
    side_of = dict(zip(sides["key"], sides["split"], strict=True))
    why_of = dict(zip(sides["key"], sides["why"], strict=True)) | {examples["key"][i]: why for i, why in twice.items()}
    examples = examples.assign(
        split=examples["key"].map(side_of).fillna("none"), why=examples["key"].map(why_of).fillna(DOUBTED)
    )
    learnt = examples[examples["split"] != "none"]
    joined_source.write(use, learnt, root / "kept" / PHOTOS, folder, run, spec)
    written = sides.drop(columns="why").merge(before.rows[["key", "content"]], on="key", how="left")
    written.to_parquet(folder / FIXED, index=False)
    tests = sides[sides["split"] == "test"]
    tests[["key", "part"]].to_parquet(folder / PARTS, index=False)
    examples.drop(columns=["fresh", "before"]).to_parquet(folder / EXAMPLES, index=False)
    if spec.maintenance.start == "warm":
        joined_source.write_start(run, spec, folder)
    text = joined_source.spec_text(spec, use, final, replace=replace)
    (folder / "spec.yaml").write_text(text)  # nosemgrep: half-written  # the folder is renamed when it is whole
    load_resolved(folder / "spec.yaml")  # what does not pass is told now
    manifest = describe(number, key, spec, before, examples, sides, unusable, doubted.texts, folder)
    atomic.write_json(folder / MANIFEST, manifest)
    atomic.sync_all(folder)
    atomic.rename(folder, final)
    for text in doubted.texts:
        progress.say(text)
    for reason, count in manifest["left_out"].items():
        progress.say(f"{count} left out: {reason}")
    counts = manifest["counts"]
    held = f"{counts['window']} of them held out"
    progress.say(f"version {number} of the data: {counts['labels']} labelled predictions, {held}")
    return read_version(final)


def _rule(spec: Spec) -> Rule:
    split = spec.data.split
    return Rule(
        window=spec.maintenance.window,
        window_most=spec.maintenance.window_most,
        validation=split.validation / (1 - split.test) if split.folds is None else split.validation,
        by_time=split.order_by is not None,
        memory=spec.maintenance.memory,
        seed=split.seed,
    )
