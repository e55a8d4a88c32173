"""How two deployments of a name differ: spec, data and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pizzeria.deployments.release import Packed, deployed_by
from pizzeria.errors import BundleError, NotFoundError, nearest
from pizzeria.inference.bundle import DESCRIPTION
from pizzeria.report.data import balance
from pizzeria.report.run_folder import RunFolder
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Store
from pizzeria.shipment import content_hash
from pizzeria.tasks import task

_TABLES = ("images", "boxes", "listings", "rows")


@dataclass(frozen=True)
class Change:
    """One value that is not the same; None where there is none."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class MetricChange:
    """A metric of both bundles, each on its own test split. A verdict needs both values."""

    name: str
    before: float | None
    after: float | None
    verdict: Literal["better", "worse", "same", ""]


@dataclass(frozen=True)
class Difference:
    """Two deployments, each as {entry, at, run, sha256, target}, and where they differ.

    Attributes:
        data: By table, split and class; `same test data` is told as `test_split`.
        comparable: Whether both metrics are of the same test split.
    """

    name: str
    before: dict[str, Any]
    after: dict[str, Any]
    spec: tuple[Change, ...]
    data: tuple[Change, ...]
    metrics: tuple[MetricChange, ...]
    comparable: bool

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def diff(name: str, store: Store, before: str | None = None, after: str | None = None) -> Difference:
    """Compare two deployments.

    Args:
        before, after: The first digits of a sha256, a run, or the number of an entry of `history`. By default the
            present champion, and the bundle that was live before it.

    Raises:
        NotFoundError: there are not two of them, or one is not known.
    """
    made = [entry for entry in Ledger(store.root).entries(name) if entry.event in ("promoted", "rolled_back")]
    if not made:
        raise NotFoundError(f"{name!r} was never deployed", hint=nearest(name, Ledger(store.root).names()))
    last = made[-1] if after is None else _named(after, name, made)
    first = _earlier(last, name, made) if before is None else _named(before, name, made)
    sides = [deployed_by(entry, store) for entry in (first, last)]
    folders = [RunFolder(side.run.folder) for side in sides]
    old, new = (dict(leaves(side.spec.resolved(), "")) for side in sides)
    described = [_description(side) for side in sides]
    splits = [_hash(folder.file("split", "splits.parquet")) for folder in folders]
    tables = [_hash(folder.file("collect", f"{table}.parquet")) for folder in folders for table in _TABLES]
    data = [dict(figures_of_data(folder)) for folder in folders]
    return Difference(
        name,
        _plain(first),
        _plain(last),
        tuple(changes_of(old, new)),
        tuple(changes_of(*data)),
        tuple(changes_of_metrics(sides[1].spec.problem.task, *(one.get("metrics") or {} for one in described))),
        comparable=splits[0] == splits[1] is not None and tables[: len(_TABLES)] == tables[len(_TABLES) :],
    )


def _named(text: str, name: str, made: list[Entry]) -> Entry:
    """An entry by sha256, run or number; of several of the same bundle, the newest."""
    number = int(text) if text.isascii() and text.isdigit() else None
    of_intent = [entry for entry in made if number is not None and number in (entry.detail.get("intent"), entry.id)]
    found = of_intent or [
        entry for entry in made if entry.run == text or (len(text) >= 4 and entry.sha256.startswith(text))
    ]
    if len({entry.sha256 for entry in found}) > 1 and not of_intent:
        raise NotFoundError(f"{text!r} fits several bundles of {name}", hint="write more digits of its sha256")
    if not found:
        known = {entry.run for entry in made} | {entry.sha256[:12] for entry in made}
        raise NotFoundError(f"{name} was never at {text!r}", hint=nearest(text, known))
    return found[-1]


def _earlier(last: Entry, name: str, made: list[Entry]) -> Entry:
    others = [entry for entry in made if entry.id < last.id and entry.sha256 != last.sha256]
    if not others:
        others = [entry for entry in made if entry.id < last.id]
    if not others:
        raise NotFoundError(f"{name} was deployed once; there is nothing to compare with", hint=f"pizzeria plan {name}")
    return others[-1]


def _plain(entry: Entry) -> dict[str, Any]:
    target = str(entry.detail.get("target", ""))
    number = entry.detail.get("intent", entry.id)
    return {"entry": number, "at": entry.at, "run": entry.run, "sha256": entry.sha256, "target": target}


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each value of nested mappings and lists with its YAML path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}[{i}]")
    else:
        yield path, value


def changes_of(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for path in [*before, *(path for path in after if path not in before)]:
        if before.get(path) != after.get(path):
            yield Change(path, before.get(path), after.get(path))


def figures_of_data(run: RunFolder) -> Iterator[tuple[str, Any]]:
    """What decides whether two runs saw the same data, and how much of what they saw."""
    for table in _TABLES:
        found = run.file("collect", f"{table}.parquet")
        if found is not None:
            yield f"{table}.content", _hash(found)
            yield f"{table}.rows", run.facts("collect").get(table)
    yield "splits.content", _hash(run.file("split", "splits.parquet"))
    for split, count in run.facts("split").items():
        yield f"splits.{split}", count
    classes = balance(run)
    for row in [] if classes is None else classes["rows"]:
        for split in ("train", "validation", "test"):
            yield f"{classes['unit']} of {row['name']} in {split}", row[split]  # type: ignore[index]


def _hash(path: Path | None) -> str | None:
    return None if path is None else content_hash(path)[:12]


def _description(found: Packed) -> dict[str, Any]:
    """What the bundle says of itself; nothing where the bundle is gone."""
    try:
        plain = json.loads((found.bundle / DESCRIPTION).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BundleError(f"{found.bundle / DESCRIPTION} cannot be read: {error}") from error
    return plain if isinstance(plain, dict) else {}


def changes_of_metrics(kind: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[MetricChange]:
    known = task(kind).METRICS
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        verdict: Literal["better", "worse", "same", ""] = ""
        if isinstance(old, int | float) and isinstance(new, int | float) and name in known:
            gain = (new - old) * (1 if known[name].better == "higher" else -1)
            verdict = "same" if gain == 0 else "better" if gain > 0 else "worse"
        yield MetricChange(name, old, new, verdict)
